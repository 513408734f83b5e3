"""The headers of control packets (sections 2.2 and 2.3, in MQTT 5.0 sections 2.1 and 2.2)."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from amqtt._engine.codec import (
    PROTOCOL_3_1_1,
    PROTOCOL_5_0,
    decode_properties,
    encode_properties,
    read_layout,
    write_fields,
)
from amqtt.adapters import ReaderAdapter, WriterAdapter
from amqtt.errors import CodecError, NoDataError
from amqtt.mqtt._codes import PUBACK, PUBCOMP, PUBREC, PUBREL

if TYPE_CHECKING:
    from typing_extensions import Self

# Credentials travel in the first, and applications put tokens into the other.
_SECRET_PROPERTIES = ("authentication_data", "user_property")
_ACKNOWLEDGEMENTS = (PUBACK, PUBREC, PUBREL, PUBCOMP)

StreamWriter = WriterAdapter | asyncio.StreamWriter


def read_properties(
    fixed_header: MQTTFixedHeader, data: bytes, *, of_will: bool = False
) -> dict[str, Any]:
    """Decode properties of MQTT 5.0 (section 2.2.2).

    Args:
        fixed_header: header of the packet.
        data: Property Length and properties.
        of_will: whether they are those of the will in a CONNECT.

    Returns:
        Values by name. User properties are a list of pairs, subscription identifiers a list.

    Raises:
        MQTTError: the properties are malformed, or have no place in this packet.

    """
    return decode_properties(fixed_header.packet_type, data, of_will)


class MQTTFixedHeader:
    """Hold type, flags and length of a packet (section 2.2, in MQTT 5.0 section 2.1.1).

    Args:
        packet_type: type of the packet, 0 to 15.
        flags: the four flag bits.
        length: the Remaining Length.
        protocol_version: how the rest of the packet is to be read: 3, 4 (MQTT 3.1.1) or 5.

    """

    __slots__ = ("flags", "packet_type", "protocol_version", "remaining_length")

    def __init__(
        self,
        packet_type: int,
        flags: int = 0,
        length: int = 0,
        protocol_version: int = PROTOCOL_3_1_1,
    ) -> None:
        """Make a header."""
        self.packet_type = packet_type
        self.flags = flags
        self.remaining_length = length
        self.protocol_version = protocol_version

    def to_bytes(self) -> bytes:
        """Encode the header.

        Returns:
            Two to five bytes.

        Raises:
            CodecError: type, flags or length are out of range.

        """
        try:
            return write_fields("Bv", (self.packet_type << 4) | self.flags, self.remaining_length)
        except (TypeError, ValueError) as error:
            msg = f"{self!r} cannot be encoded: {error}"
            raise CodecError(msg) from error

    async def to_stream(self, writer: StreamWriter) -> None:
        """Write the header; the caller drains.

        Args:
            writer: where to write to.

        """
        writer.write(self.to_bytes())

    @property
    def bytes_length(self) -> int:
        """The length of the encoded header."""
        return len(self.to_bytes())

    @classmethod
    async def from_stream(cls, reader: ReaderAdapter | asyncio.StreamReader) -> Self | None:
        """Read a header.

        Args:
            reader: where to read from.

        Returns:
            The header; None when the stream has no complete one.

        Raises:
            MQTTError: the Remaining Length has more than four bytes.

        """
        try:
            first, length = await read_layout(reader, "Bv")
        except NoDataError:
            return None
        return cls(first >> 4, first & 0x0F, length)

    def __repr__(self) -> str:
        """Show type, flags and length."""
        return (
            f"{type(self).__name__}(packet_type={self.packet_type}, flags={self.flags}, "
            f"length={self.remaining_length})"
        )


class MQTTVariableHeader(ABC):
    """Base of the variable headers."""

    __slots__ = ()

    async def to_stream(self, writer: StreamWriter) -> None:
        """Write the header and drain.

        Args:
            writer: where to write to.

        """
        writer.write(bytes(self.to_bytes()))
        await writer.drain()

    @abstractmethod
    def to_bytes(self) -> bytes | bytearray:
        """Encode the header.

        Returns:
            The bytes.

        Raises:
            ValueError: a field is out of range.

        """

    @property
    def bytes_length(self) -> int:
        """The length of the encoded header."""
        return len(self.to_bytes())

    @classmethod
    @abstractmethod
    async def from_stream(cls, reader: ReaderAdapter, fixed_header: MQTTFixedHeader) -> Self:
        """Read a header.

        Args:
            reader: where to read from.
            fixed_header: the fixed header that came before.

        Returns:
            The header.

        Raises:
            NoDataError: the stream ended inside the header.
            MQTTError: the header is malformed.

        """


class PacketIdVariableHeader(MQTTVariableHeader):
    """Hold a packet identifier, and what MQTT 5.0 has behind it.

    Args:
        packet_id: the packet identifier.
        reason_code: Reason Code of PUBACK, PUBREC, PUBREL and PUBCOMP in MQTT 5.0, else None.
        properties: the properties of MQTT 5.0 by name; None in MQTT 3.

    """

    __slots__ = ("packet_id", "properties", "reason_code")

    def __init__(
        self,
        packet_id: int,
        reason_code: int | None = None,
        properties: dict[str, Any] | None = None,
    ) -> None:
        """Make a header."""
        self.packet_id = packet_id
        self.reason_code = reason_code
        self.properties = properties

    def to_bytes(self) -> bytes:
        """Encode the header; a Reason Code 0 without properties is left out (section 3.4.2.1)."""
        if self.reason_code is None:
            if self.properties is None:
                return write_fields("H", self.packet_id)
            return write_fields("Hp", self.packet_id, encode_properties(self.properties))
        if self.properties:
            encoded = encode_properties(self.properties)
            return write_fields("HBp", self.packet_id, self.reason_code, encoded)
        if self.reason_code:
            return write_fields("HB", self.packet_id, self.reason_code)
        return write_fields("H", self.packet_id)

    @classmethod
    async def from_stream(
        cls, reader: ReaderAdapter, fixed_header: MQTTFixedHeader | None = None
    ) -> Self:
        """Read a header; without a fixed header, one of MQTT 3."""
        if fixed_header is None or fixed_header.protocol_version != PROTOCOL_5_0:
            return cls(*await read_layout(reader, "H"))
        if fixed_header.packet_type not in _ACKNOWLEDGEMENTS:
            packet_id, encoded = await read_layout(reader, "Hp")
            return cls(packet_id, None, read_properties(fixed_header, encoded))
        layout = {2: "H", 3: "HB"}.get(fixed_header.remaining_length, "HBp")
        packet_id, *more = await read_layout(reader, layout)
        return cls(packet_id, *_reason_and_properties(fixed_header, more))

    def __repr__(self) -> str:
        """Show the identifier."""
        return f"{type(self).__name__}(packet_id={self.packet_id}{version_5_repr(self)})"


class ReasonCodeVariableHeader(MQTTVariableHeader):
    """Hold Reason Code and properties of DISCONNECT and AUTH (MQTT 5.0, 3.14.2 and 3.15.2).

    Args:
        reason_code: the Reason Code.
        properties: properties by name.

    """

    __slots__ = ("properties", "reason_code")

    def __init__(self, reason_code: int = 0, properties: dict[str, Any] | None = None) -> None:
        """Make a header."""
        self.reason_code = reason_code
        self.properties = properties

    def to_bytes(self) -> bytes:
        """Encode the header; a Reason Code 0 without properties is left out."""
        if self.properties:
            return write_fields("Bp", self.reason_code, encode_properties(self.properties))
        return write_fields("B", self.reason_code) if self.reason_code else b""

    @classmethod
    async def from_stream(cls, reader: ReaderAdapter, fixed_header: MQTTFixedHeader) -> Self:
        """Read a header of the Remaining Length; nothing stands for Reason Code 0."""
        layout = {0: "", 1: "B"}.get(fixed_header.remaining_length, "Bp")
        fields = list(await read_layout(reader, layout))
        return cls(*_reason_and_properties(fixed_header, fields))

    def __repr__(self) -> str:
        """Show the Reason Code."""
        return f"{type(self).__name__}({version_5_repr(self).removeprefix(', ')})"


def _reason_and_properties(
    fixed_header: MQTTFixedHeader, fields: list[Any]
) -> tuple[int, dict[str, Any]]:
    reason_code = fields[0] if fields else 0
    return reason_code, read_properties(fixed_header, fields[1]) if len(fields) > 1 else {}


def version_5_repr(header: Any) -> str:
    """Show what a header has of MQTT 5.0, but for what may be secret.

    Args:
        header: a variable header with the attribute `properties`.

    Returns:
        Text to be put behind the other fields; empty in MQTT 3.

    """
    reason_code = getattr(header, "reason_code", None)
    shown = f", reason_code={reason_code}" if reason_code is not None else ""
    if header.properties is None:
        return shown
    properties = {
        name: _Hidden() if name in _SECRET_PROPERTIES else value
        for name, value in header.properties.items()
    }
    return f"{shown}, properties={properties}"


def hidden(value: object) -> str:
    """Show only whether there is a value: it may be a secret, and what is shown is logged."""
    return "None" if value is None else "***"


class _Hidden:
    def __repr__(self) -> str:
        return "***"
