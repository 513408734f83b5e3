"""UNSUBACK: the subscriptions are ended (section 3.11)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from amqtt._engine.codec import PROTOCOL_5_0
from amqtt.errors import AMQTTError
from amqtt.mqtt._parts import PartField, PropertiesField
from amqtt.mqtt.packet import (
    UNSUBACK,
    MQTTFixedHeader,
    MQTTPacket,
    MQTTPayload,
    MQTTVariableHeader,
    PacketIdVariableHeader,
)
from amqtt.mqtt.suback import SubackPayload

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = [
    "UNSUBACK",
    "AMQTTError",
    "MQTTFixedHeader",
    "MQTTPacket",
    "PacketIdVariableHeader",
    "UnsubackPacket",
]


class UnsubackPacket(MQTTPacket[PacketIdVariableHeader, "SubackPayload | None", MQTTFixedHeader]):
    """Hold an UNSUBACK.

    Args:
        fixed: fixed header; None makes one.
        variable_header: variable header.
        payload: Reason Codes in MQTT 5.0; None in MQTT 3, where the packet has no payload.

    Raises:
        AMQTTError: the fixed header is one of another type of packet.

    """

    __slots__ = ()

    VARIABLE_HEADER = PacketIdVariableHeader
    PAYLOAD = None
    PACKET_TYPE = UNSUBACK

    packet_id = PartField[int]("variable_header")
    properties = PropertiesField()

    @classmethod
    def build(
        cls,
        packet_id: int,
        reason_codes: list[int] | None = None,
        properties: dict[str, Any] | None = None,
    ) -> Self:
        """Make a packet of its fields.

        Args:
            packet_id: packet identifier of the UNSUBSCRIBE.
            reason_codes: in MQTT 5.0 one Reason Code for each filter; None in MQTT 3.
            properties: the properties of MQTT 5.0 by name; None in MQTT 3.

        Returns:
            The packet.

        """
        if reason_codes is not None and properties is None:
            properties = {}
        payload = SubackPayload(reason_codes) if reason_codes is not None else None
        packet = cls(None, PacketIdVariableHeader(packet_id), payload)
        packet.properties = properties
        return packet

    @classmethod
    def _part_classes(
        cls, fixed_header: MQTTFixedHeader
    ) -> tuple[type[MQTTVariableHeader] | None, type[MQTTPayload[Any]] | None]:
        has_payload = fixed_header.protocol_version == PROTOCOL_5_0
        return cls.VARIABLE_HEADER, SubackPayload if has_payload else None

    @classmethod
    def _from_fields(cls, fixed_header: MQTTFixedHeader, fields: list[Any]) -> Self:
        packet_id, codes, properties = fields
        header = PacketIdVariableHeader(packet_id, None, properties)
        payload = SubackPayload(codes) if properties is not None else None
        return cls._assembled(fixed_header, header, payload)
