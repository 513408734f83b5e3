"""What all control packets have in common (section 2).

Packet objects hold fields; they can also hold combinations that the standard forbids. The engine
checks what it receives by itself and much more strictly than `from_stream` does.

A packet of MQTT 5.0 is one whose variable header has properties, be they empty; None means
MQTT 3. `MQTTFixedHeader.protocol_version` tells `from_stream` which of the two to read.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from amqtt._engine.codec import read_available
from amqtt.adapters import BufferReader, ReaderAdapter, WriterAdapter
from amqtt.codecs_amqtt import bytes_to_hex_str, decode_packet_id, int_to_bytes, read_or_raise
from amqtt.errors import AMQTTError, CodecError, MQTTError, NoDataError
from amqtt.mqtt._codes import (
    AUTH,
    CONNACK,
    CONNECT,
    DISCONNECT,
    PINGREQ,
    PINGRESP,
    PUBACK,
    PUBCOMP,
    PUBLISH,
    PUBREC,
    PUBREL,
    RESERVED_0,
    RESERVED_15,
    SUBACK,
    SUBSCRIBE,
    UNSUBACK,
    UNSUBSCRIBE,
)
from amqtt.mqtt._headers import (
    MQTTFixedHeader,
    MQTTVariableHeader,
    PacketIdVariableHeader,
    StreamWriter,
)

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = [
    "AUTH",
    "CONNACK",
    "CONNECT",
    "DISCONNECT",
    "PINGREQ",
    "PINGRESP",
    "PUBACK",
    "PUBCOMP",
    "PUBLISH",
    "PUBREC",
    "PUBREL",
    "RESERVED_0",
    "RESERVED_15",
    "SUBACK",
    "SUBSCRIBE",
    "UNSUBACK",
    "UNSUBSCRIBE",
    "CodecError",
    "MQTTError",
    "MQTTFixedHeader",
    "MQTTPacket",
    "MQTTPayload",
    "MQTTVariableHeader",
    "NoDataError",
    "PacketIdVariableHeader",
    "ReaderAdapter",
    "WriterAdapter",
    "bytes_to_hex_str",
    "decode_packet_id",
    "int_to_bytes",
    "read_or_raise",
]

_VH = TypeVar("_VH", bound="MQTTVariableHeader | None")
_P = TypeVar("_P", bound="MQTTPayload[Any] | None")
_FH = TypeVar("_FH", bound=MQTTFixedHeader)


class MQTTPayload(ABC, Generic[_VH]):
    """Base of the payloads."""

    __slots__ = ()

    async def to_stream(self, writer: StreamWriter) -> None:
        """Write the payload and drain.

        Args:
            writer: where to write to.

        """
        writer.write(bytes(self.to_bytes()))
        await writer.drain()

    @abstractmethod
    def to_bytes(
        self, fixed_header: MQTTFixedHeader | None = None, variable_header: _VH | None = None
    ) -> bytes | bytearray:
        """Encode the payload.

        Args:
            fixed_header: the fixed header of the packet.
            variable_header: its variable header.

        Returns:
            The bytes.

        Raises:
            ValueError: a field is out of range.

        """

    @classmethod
    @abstractmethod
    async def from_stream(
        cls,
        reader: asyncio.StreamReader | ReaderAdapter,
        fixed_header: MQTTFixedHeader | None,
        variable_header: _VH | None,
    ) -> Self:
        """Read a payload.

        Args:
            reader: where to read from.
            fixed_header: the fixed header of the packet.
            variable_header: its variable header.

        Returns:
            The payload.

        Raises:
            NoDataError: the stream ended inside the payload.
            MQTTError: the payload is malformed.

        """


class MQTTPacket(Generic[_VH, _P, _FH]):
    """Hold a control packet.

    Args:
        fixed: fixed header; where the class has a default for it, None takes that.
        variable_header: variable header, if the packet has one.
        payload: payload, if the packet has one.

    Raises:
        AMQTTError: the fixed header is one of another type of packet.

    """

    __slots__ = ("fixed_header", "payload", "protocol_ts", "variable_header")

    FIXED_HEADER: ClassVar[type[MQTTFixedHeader]] = MQTTFixedHeader
    VARIABLE_HEADER: ClassVar[type[MQTTVariableHeader] | None] = None
    PAYLOAD: ClassVar[type[MQTTPayload[Any]] | None] = None

    PACKET_TYPE: ClassVar[int | None] = None
    """The type in the fixed header; None in classes for any type."""

    FLAGS: ClassVar[int] = 0
    """The flags of a fixed header that the constructor makes."""

    fixed_header: _FH
    variable_header: _VH | None
    payload: _P | None
    protocol_ts: datetime | None

    def __init__(
        self,
        fixed: _FH | None = None,
        variable_header: _VH | None = None,
        payload: _P | None = None,
    ) -> None:
        """Make a packet of its parts."""
        self.fixed_header = self._own_header(fixed)
        self.variable_header = variable_header
        self.payload = payload
        self.protocol_ts = None

    @classmethod
    def _own_header(cls, fixed: _FH | None) -> _FH:
        """Return the fixed header, or a new one for None; refuse one of another type."""
        expected = cls.PACKET_TYPE
        if fixed is None:
            if expected is None:
                msg = f"{cls.__name__} needs a fixed header, which tells the packet type"
                raise AMQTTError(msg)
            return cls.FIXED_HEADER(expected, cls.FLAGS)  # type: ignore[return-value]
        if expected is not None and fixed.packet_type != expected:
            msg = f"{cls.__name__} is of packet type {expected}, not {fixed.packet_type}"
            raise AMQTTError(msg)
        return fixed

    @property
    def protocol_version(self) -> int:
        """The version of MQTT that the packet is of: 3, 4 (MQTT 3.1.1) or 5."""
        return self.fixed_header.protocol_version

    async def to_stream(self, writer: StreamWriter) -> None:
        """Write the packet, drain, and note the time in `protocol_ts`.

        Args:
            writer: where to write to.

        Raises:
            CodecError: the packet is longer than a packet can be.
            ValueError: a field is out of range.

        """
        writer.write(self.to_bytes())
        await writer.drain()
        self.protocol_ts = datetime.now(timezone.utc)

    def to_bytes(self) -> bytes:
        """Encode the packet and set the Remaining Length of the fixed header.

        Returns:
            The bytes.

        Raises:
            CodecError: the packet is longer than a packet can be.
            ValueError: a field is out of range.

        """
        body = bytearray()
        if self.variable_header is not None:
            body += self.variable_header.to_bytes()
        if self.payload is not None:
            body += self.payload.to_bytes(self.fixed_header, self.variable_header)
        self.fixed_header.remaining_length = len(body)
        return self.fixed_header.to_bytes() + body

    @classmethod
    async def from_stream(
        cls,
        reader: ReaderAdapter,
        fixed_header: _FH | None = None,
        variable_header: _VH | None = None,
        protocol_version: int | None = None,
    ) -> Self:
        """Read a packet, leniently; nothing behind it is read.

        Args:
            reader: where to read from.
            fixed_header: the fixed header, when it was read before.
            variable_header: the variable header, when it was read before.
            protocol_version: the version of MQTT; None means that of the fixed header, which is
                MQTT 3.1.1 unless it was set.

        Returns:
            The packet.

        Raises:
            NoDataError: the stream ended inside the packet.
            MQTTError: the packet is malformed.
            AMQTTError: it is of another type.

        """
        if fixed_header is None:
            fixed_header = await cls._read_fixed_header(reader)
        cls._own_header(fixed_header)
        if protocol_version is not None:
            fixed_header.protocol_version = protocol_version
        length = fixed_header.remaining_length
        if variable_header is not None:
            length -= variable_header.bytes_length
        # The whole rest is taken out of the stream first, so that a malformed packet does not
        # leave bytes behind that could be taken for packets.
        body = BufferReader(await read_available(reader, max(length, 0)))
        return await cls._from_body(body, fixed_header, variable_header)

    @classmethod
    async def _read_fixed_header(cls, reader: ReaderAdapter) -> _FH:
        fixed_header = await cls.FIXED_HEADER.from_stream(reader)
        if fixed_header is None:
            msg = "No more data"
            raise NoDataError(msg)
        return fixed_header  # type: ignore[return-value]

    @classmethod
    async def _from_body(
        cls, body: ReaderAdapter, fixed_header: _FH, variable_header: _VH | None
    ) -> Self:
        header_class, payload_class = cls._part_classes(fixed_header)
        header: Any = variable_header
        if header is None and header_class is not None:
            header = await header_class.from_stream(body, fixed_header)
        payload: Any = None
        if payload_class is not None:
            payload = await payload_class.from_stream(body, fixed_header, header)
        return cls._assembled(fixed_header, header, payload)

    @classmethod
    def _part_classes(
        cls, fixed_header: MQTTFixedHeader
    ) -> tuple[type[MQTTVariableHeader] | None, type[MQTTPayload[Any]] | None]:
        """Tell the classes of variable header and payload of a packet that is read."""
        del fixed_header  # for packets whose parts depend on the version
        return cls.VARIABLE_HEADER, cls.PAYLOAD

    @classmethod
    def _assembled(cls, fixed_header: _FH, variable_header: Any, payload: Any) -> Self:
        """Make a received packet; not all constructors take all parts."""
        packet = cls(fixed_header)
        packet.variable_header = variable_header
        packet.payload = payload
        packet.protocol_ts = datetime.now(timezone.utc)
        return packet

    @classmethod
    def _from_fields(cls, fixed_header: _FH, fields: list[Any]) -> Self:
        """Make a received packet of what `decode_packet` returns behind the fixed header."""
        del fields
        return cls._assembled(fixed_header, None, None)

    @property
    def bytes_length(self) -> int:
        """The length of the encoded packet."""
        return len(self.to_bytes())

    def __repr__(self) -> str:
        """Show time and parts."""
        return (
            f"{type(self).__name__}(ts={self.protocol_ts}, fixed={self.fixed_header!r}, "
            f"variable={self.variable_header!r}, payload={self.payload!r})"
        )
