"""SUBSCRIBE: topic filters that the client wants messages of (section 3.8)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, NamedTuple

from amqtt._engine.codec import PROTOCOL_5_0, read_layout_from, read_rest, write_fields
from amqtt.adapters import ReaderAdapter
from amqtt.codecs_amqtt import (
    bytes_to_int,
    decode_string,
    encode_string,
    int_to_bytes,
    read_or_raise,
)
from amqtt.errors import AMQTTError, NoDataError
from amqtt.mqtt._parts import PartField, PropertiesField
from amqtt.mqtt.packet import (
    SUBSCRIBE,
    MQTTFixedHeader,
    MQTTPacket,
    MQTTPayload,
    MQTTVariableHeader,
    PacketIdVariableHeader,
)

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = [
    "SUBSCRIBE",
    "AMQTTError",
    "MQTTFixedHeader",
    "MQTTPacket",
    "MQTTPayload",
    "MQTTVariableHeader",
    "NoDataError",
    "PacketIdVariableHeader",
    "ReaderAdapter",
    "SubscribePacket",
    "SubscribePayload",
    "SubscriptionOptions",
    "bytes_to_int",
    "decode_string",
    "encode_string",
    "int_to_bytes",
    "read_or_raise",
]

_QOS = 0x03
_NO_LOCAL = 0x04
_RETAIN_AS_PUBLISHED = 0x08
_RETAIN_HANDLING_SHIFT = 4
_RETAIN_HANDLING = 0x03


class SubscriptionOptions(NamedTuple):
    """What MQTT 5.0 lets a client say of a subscription besides the QoS (section 3.8.3.1)."""

    no_local: bool = False
    """Whether messages of the client itself are left out."""

    retain_as_published: bool = False
    """Whether messages keep the retain flag they were published with."""

    retain_handling: int = 0
    """When retained messages are sent: 0 at once, 1 if the subscription is new, 2 never."""

    @classmethod
    def from_byte(cls, byte: int) -> Self:
        """Take the options out of the byte that also has the QoS.

        Args:
            byte: the byte behind a topic filter.

        Returns:
            The options.

        """
        return cls(
            bool(byte & _NO_LOCAL),
            bool(byte & _RETAIN_AS_PUBLISHED),
            (byte >> _RETAIN_HANDLING_SHIFT) & _RETAIN_HANDLING,
        )

    def to_byte(self, qos: int) -> int:
        """Join the options with a QoS.

        Args:
            qos: the QoS that is asked for.

        Returns:
            The byte behind a topic filter.

        """
        byte = qos | (self.retain_handling << _RETAIN_HANDLING_SHIFT)
        byte |= _NO_LOCAL if self.no_local else 0
        return byte | (_RETAIN_AS_PUBLISHED if self.retain_as_published else 0)


class SubscribePayload(MQTTPayload[MQTTVariableHeader]):
    """Hold topic filters and the QoS of each; they are not checked.

    Args:
        topics: pairs of filter and QoS.
        options: the options of MQTT 5.0, one for each filter; None in MQTT 3.

    """

    __slots__ = ("options", "topics")

    def __init__(
        self,
        topics: list[tuple[str, int]] | None = None,
        options: list[SubscriptionOptions] | None = None,
    ) -> None:
        """Make a payload."""
        self.topics = topics or []
        self.options = options

    def to_bytes(
        self,
        fixed_header: MQTTFixedHeader | None = None,
        variable_header: MQTTVariableHeader | None = None,
    ) -> bytes:
        """Encode the filters.

        Raises:
            ValueError: a field is out of range, or the options differ in number.

        """
        del fixed_header, variable_header
        if self.options is None:
            return b"".join(write_fields("sB", *topic) for topic in self.topics)
        return b"".join(
            write_fields("sB", topic, options.to_byte(qos))
            for (topic, qos), options in zip(self.topics, self.options, strict=True)
        )

    @classmethod
    async def from_stream(
        cls,
        reader: asyncio.StreamReader | ReaderAdapter,
        fixed_header: MQTTFixedHeader | None,
        variable_header: MQTTVariableHeader | None,
    ) -> Self:
        """Read what the Remaining Length leaves; without a fixed header, the whole stream."""
        remaining = fixed_header.remaining_length if fixed_header is not None else None
        data = await read_rest(reader, remaining, variable_header)
        fields = read_layout_from(data, "sB*")
        filters, bytes_behind = fields[::2], fields[1::2]
        if fixed_header is None or fixed_header.protocol_version != PROTOCOL_5_0:
            return cls(list(zip(filters, bytes_behind, strict=True)))
        topics = [(each, byte & _QOS) for each, byte in zip(filters, bytes_behind, strict=True)]
        return cls(topics, [SubscriptionOptions.from_byte(byte) for byte in bytes_behind])

    def __repr__(self) -> str:
        """Show filters and QoS."""
        options = f", options={self.options!r}" if self.options is not None else ""
        return f"{type(self).__name__}(topics={self.topics!r}{options})"


class SubscribePacket(MQTTPacket[PacketIdVariableHeader, SubscribePayload, MQTTFixedHeader]):
    """Hold a SUBSCRIBE.

    Args:
        fixed: fixed header; None makes one.
        variable_header: variable header.
        payload: payload.

    Raises:
        AMQTTError: the fixed header is one of another type of packet.

    """

    __slots__ = ()

    VARIABLE_HEADER = PacketIdVariableHeader
    PAYLOAD = SubscribePayload
    PACKET_TYPE = SUBSCRIBE
    FLAGS = 0x02

    packet_id = PartField[int]("variable_header")
    properties = PropertiesField()

    @classmethod
    def build(
        cls,
        topics: list[tuple[str, int]],
        packet_id: int,
        properties: dict[str, Any] | None = None,
        options: list[SubscriptionOptions] | None = None,
    ) -> Self:
        """Make a packet of its fields.

        Args:
            topics: pairs of filter and QoS.
            packet_id: packet identifier.
            properties: the properties of MQTT 5.0 by name; None in MQTT 3.
            options: the options of MQTT 5.0, one for each filter.

        Returns:
            The packet.

        """
        if options is not None and properties is None:
            properties = {}
        packet = cls(None, PacketIdVariableHeader(packet_id), SubscribePayload(topics, options))
        packet.properties = properties
        return packet

    @classmethod
    def _from_fields(cls, fixed_header: MQTTFixedHeader, fields: list[Any]) -> Self:
        packet_id, requests, properties = fields
        topics = [(request[0], request[1]) for request in requests]
        options = None
        if properties is not None:
            options = [SubscriptionOptions(*request[2:]) for request in requests]
        header = PacketIdVariableHeader(packet_id, None, properties)
        return cls._assembled(fixed_header, header, SubscribePayload(topics, options))
