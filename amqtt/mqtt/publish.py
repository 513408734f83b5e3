"""PUBLISH: a message (section 3.3)."""

from __future__ import annotations

import asyncio
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, ClassVar

from amqtt._engine.codec import (
    PROTOCOL_5_0,
    encode_properties,
    read_layout,
    read_rest,
    write_fields,
)
from amqtt.adapters import ReaderAdapter
from amqtt.codecs_amqtt import (
    decode_packet_id,
    decode_string,
    encode_string,
    int_to_bytes,
    read_or_raise,
)
from amqtt.errors import AMQTTError, MQTTError
from amqtt.logs import printable
from amqtt.mqtt._headers import read_properties, version_5_repr
from amqtt.mqtt._parts import PartField, PropertiesField
from amqtt.mqtt.packet import (
    PUBLISH,
    MQTTFixedHeader,
    MQTTPacket,
    MQTTPayload,
    MQTTVariableHeader,
)

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = [
    "PUBLISH",
    "AMQTTError",
    "MQTTError",
    "MQTTFixedHeader",
    "MQTTPacket",
    "MQTTPayload",
    "MQTTVariableHeader",
    "PublishPacket",
    "PublishPayload",
    "PublishVariableHeader",
    "ReaderAdapter",
    "decode_packet_id",
    "decode_string",
    "encode_string",
    "int_to_bytes",
    "read_or_raise",
]

_DUP = 0x08
_QOS = 0x06
_QOS_SHIFT = 1
_RETAIN = 0x01


class PublishVariableHeader(MQTTVariableHeader):
    """Hold topic and packet identifier of a PUBLISH (section 3.3.2).

    Args:
        topic_name: topic name; empty in MQTT 5.0 when a topic alias stands for it.
        packet_id: packet identifier; it is encoded unless it is None, whatever the QoS.
        properties: the properties of MQTT 5.0 by name; None in MQTT 3.

    Raises:
        MQTTError: the topic name has a wildcard (MQTT-3.3.2-2).

    """

    __slots__ = ("packet_id", "properties", "topic_name")

    def __init__(
        self,
        topic_name: str,
        packet_id: int | None = None,
        properties: dict[str, Any] | None = None,
    ) -> None:
        """Make a header."""
        if topic_name and ("#" in topic_name or "+" in topic_name):
            msg = f"topic name {topic_name!r} of PUBLISH has a wildcard [MQTT-3.3.2-2]"
            raise MQTTError(msg)
        self.topic_name = topic_name
        self.packet_id = packet_id
        self.properties = properties

    def to_bytes(self) -> bytes:
        """Encode the header."""
        if self.packet_id is None:
            encoded = write_fields("s", self.topic_name or "")
        else:
            encoded = write_fields("sH", self.topic_name or "", self.packet_id)
        if self.properties is not None:
            encoded += encode_properties(self.properties)
        return encoded

    @classmethod
    async def from_stream(
        cls, reader: ReaderAdapter | asyncio.StreamReader, fixed_header: MQTTFixedHeader
    ) -> Self:
        """Read a header; the QoS in the fixed header tells whether it has an identifier."""
        layout = "sH" if fixed_header.flags & _QOS else "s"
        if fixed_header.protocol_version != PROTOCOL_5_0:
            return cls(*await read_layout(reader, layout))
        *fields, encoded = await read_layout(reader, layout + "p")
        header = cls(*fields)
        header.properties = read_properties(fixed_header, encoded)
        return header

    def __repr__(self) -> str:
        """Show topic and identifier."""
        return (
            f"{type(self).__name__}(topic={printable(self.topic_name)}, "
            f"packet_id={self.packet_id}{version_5_repr(self)})"
        )


class PublishPayload(MQTTPayload[MQTTVariableHeader]):
    """Hold the message of a PUBLISH (section 3.3.3).

    Args:
        data: the message; None encodes as no bytes.

    """

    __slots__ = ("data",)

    def __init__(self, data: bytes | bytearray | None = None) -> None:
        """Make a payload."""
        self.data = data

    def to_bytes(
        self,
        fixed_header: MQTTFixedHeader | None = None,
        variable_header: MQTTVariableHeader | None = None,
    ) -> bytes:
        """Return the message."""
        del fixed_header, variable_header
        return bytes(self.data) if self.data is not None else b""

    @classmethod
    async def from_stream(
        cls,
        reader: asyncio.StreamReader | ReaderAdapter,
        fixed_header: MQTTFixedHeader | None,
        variable_header: MQTTVariableHeader | None,
    ) -> Self:
        """Read what the Remaining Length leaves; without a fixed header, the whole stream."""
        remaining = fixed_header.remaining_length if fixed_header is not None else None
        return cls(await read_rest(reader, remaining, variable_header))

    def __repr__(self) -> str:
        """Show the message."""
        return f'{type(self).__name__}(data="{self.data!r}")'


class PublishPacket(MQTTPacket[PublishVariableHeader, PublishPayload, MQTTFixedHeader]):
    """Hold a PUBLISH; the attributes of header and payload are also attributes of the packet.

    Args:
        fixed: fixed header; None makes one.
        variable_header: variable header.
        payload: payload.

    Raises:
        AMQTTError: the fixed header is one of another type of packet.

    """

    __slots__ = ()

    VARIABLE_HEADER = PublishVariableHeader
    PAYLOAD = PublishPayload
    PACKET_TYPE = PUBLISH

    DUP_FLAG: ClassVar[int] = _DUP
    QOS_FLAG: ClassVar[int] = _QOS
    RETAIN_FLAG: ClassVar[int] = _RETAIN

    packet_id = PartField["int | None"]("variable_header")
    topic_name = PartField["str | None"]("variable_header")
    properties = PropertiesField()
    data = PartField["bytes | bytearray | None"]("payload")

    @classmethod
    def build(
        cls,
        topic_name: str,
        message: bytes | bytearray,
        packet_id: int | None,
        dup_flag: bool,
        qos: int | None,
        retain: bool,
        properties: dict[str, Any] | None = None,
    ) -> Self:
        """Make a packet of its fields.

        Args:
            topic_name: topic name.
            message: the message.
            packet_id: packet identifier; None with QoS 0.
            dup_flag: whether the packet repeats an earlier one.
            qos: quality of service; None means 0.
            retain: the retain flag.
            properties: the properties of MQTT 5.0 by name; None in MQTT 3.

        Returns:
            The packet.

        Raises:
            MQTTError: the topic name has a wildcard (MQTT-3.3.2-2).

        """
        packet = cls(None, PublishVariableHeader(topic_name, packet_id), PublishPayload(message))
        packet.set_flags(dup_flag, qos or 0, retain)
        packet.properties = properties
        return packet

    def set_flags(self, dup_flag: bool = False, qos: int = 0, retain_flag: bool = False) -> None:
        """Set the flags of the fixed header.

        Args:
            dup_flag: whether the packet repeats an earlier one.
            qos: quality of service.
            retain_flag: the retain flag.

        """
        self.dup_flag = dup_flag
        self.qos = qos
        self.retain_flag = retain_flag

    def _set_flag(self, mask: int, bits: int) -> None:
        self.fixed_header.flags = (self.fixed_header.flags & ~mask) | (bits & mask)

    @property
    def dup_flag(self) -> bool:
        """Whether the packet repeats an earlier one."""
        return bool(self.fixed_header.flags & _DUP)

    @dup_flag.setter
    def dup_flag(self, value: bool) -> None:
        self._set_flag(_DUP, _DUP if value else 0)

    @property
    def retain_flag(self) -> bool:
        """The retain flag."""
        return bool(self.fixed_header.flags & _RETAIN)

    @retain_flag.setter
    def retain_flag(self, value: bool) -> None:
        self._set_flag(_RETAIN, _RETAIN if value else 0)

    @property
    def qos(self) -> int:
        """The quality of service."""
        return (self.fixed_header.flags & _QOS) >> _QOS_SHIFT

    @qos.setter
    def qos(self, value: int) -> None:
        self._set_flag(_QOS, value << _QOS_SHIFT)

    @classmethod
    def _from_fields(cls, fixed_header: MQTTFixedHeader, fields: list[Any]) -> Self:
        topic_name, packet_id, data, properties = fields
        # Without the check of the topic name: the codec has made it.
        header = PublishVariableHeader.__new__(PublishVariableHeader)
        header.topic_name = topic_name
        header.packet_id = packet_id
        header.properties = properties
        packet = cls.__new__(cls)
        packet.fixed_header = fixed_header
        packet.variable_header = header
        packet.payload = PublishPayload(data)
        packet.protocol_ts = datetime.now(timezone.utc)
        return packet
