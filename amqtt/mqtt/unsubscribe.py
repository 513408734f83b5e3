"""UNSUBSCRIBE: topic filters that the client wants no more messages of (section 3.10)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from amqtt._engine.codec import read_layout_from, read_rest
from amqtt.adapters import ReaderAdapter
from amqtt.codecs_amqtt import decode_string, encode_string
from amqtt.errors import AMQTTError, NoDataError
from amqtt.mqtt._parts import PartField, PropertiesField
from amqtt.mqtt.packet import (
    UNSUBSCRIBE,
    MQTTFixedHeader,
    MQTTPacket,
    MQTTPayload,
    MQTTVariableHeader,
    PacketIdVariableHeader,
)

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = [
    "UNSUBSCRIBE",
    "AMQTTError",
    "MQTTFixedHeader",
    "MQTTPacket",
    "MQTTPayload",
    "MQTTVariableHeader",
    "NoDataError",
    "PacketIdVariableHeader",
    "ReaderAdapter",
    "UnsubscribePacket",
    "UnsubscribePayload",
    "UnubscribePayload",
    "decode_string",
    "encode_string",
]


class UnubscribePayload(MQTTPayload[MQTTVariableHeader]):
    """Hold topic filters; they are not checked.

    The name lacks an "s" as it does in aMQTT; `UnsubscribePayload` is the same class.

    Args:
        topics: the filters.

    """

    __slots__ = ("topics",)

    def __init__(self, topics: list[str] | None = None) -> None:
        """Make a payload."""
        self.topics = topics or []

    def to_bytes(
        self,
        fixed_header: MQTTFixedHeader | None = None,
        variable_header: MQTTVariableHeader | None = None,
    ) -> bytes:
        """Encode the filters."""
        del fixed_header, variable_header
        return b"".join(encode_string(topic) for topic in self.topics)

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
        return cls(list(read_layout_from(data, "s*")))

    def __repr__(self) -> str:
        """Show the filters."""
        return f"{type(self).__name__}(topics={self.topics!r})"


UnsubscribePayload = UnubscribePayload


class UnsubscribePacket(MQTTPacket[PacketIdVariableHeader, UnubscribePayload, MQTTFixedHeader]):
    """Hold an UNSUBSCRIBE.

    Args:
        fixed: fixed header; None makes one.
        variable_header: variable header.
        payload: payload.

    Raises:
        AMQTTError: the fixed header is one of another type of packet.

    """

    __slots__ = ()

    VARIABLE_HEADER = PacketIdVariableHeader
    PAYLOAD = UnubscribePayload
    PACKET_TYPE = UNSUBSCRIBE
    FLAGS = 0x02

    packet_id = PartField[int]("variable_header")
    properties = PropertiesField()

    @classmethod
    def build(
        cls, topics: list[str], packet_id: int, properties: dict[str, Any] | None = None
    ) -> Self:
        """Make a packet of its fields.

        Args:
            topics: the filters.
            packet_id: packet identifier.
            properties: the properties of MQTT 5.0 by name; None in MQTT 3.

        Returns:
            The packet.

        """
        packet = cls(None, PacketIdVariableHeader(packet_id), UnubscribePayload(topics))
        packet.properties = properties
        return packet

    @classmethod
    def _from_fields(cls, fixed_header: MQTTFixedHeader, fields: list[Any]) -> Self:
        packet_id, filters, properties = fields
        header = PacketIdVariableHeader(packet_id, None, properties)
        return cls._assembled(fixed_header, header, UnubscribePayload(filters))
