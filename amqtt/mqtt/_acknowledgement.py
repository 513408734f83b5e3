"""What PUBACK, PUBREC, PUBREL and PUBCOMP have in common (sections 3.4 to 3.7)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from amqtt.mqtt._parts import PartField, PropertiesField
from amqtt.mqtt.packet import MQTTFixedHeader, MQTTPacket, PacketIdVariableHeader

if TYPE_CHECKING:
    from typing_extensions import Self


class Acknowledgement(MQTTPacket[PacketIdVariableHeader, None, MQTTFixedHeader]):
    """Hold a packet identifier and, in MQTT 5.0, a Reason Code and properties.

    Args:
        fixed: fixed header; None makes one.
        variable_header: variable header.

    Raises:
        AMQTTError: the fixed header is one of another type of packet.

    """

    __slots__ = ()

    VARIABLE_HEADER = PacketIdVariableHeader
    PAYLOAD = None

    packet_id = PartField[int]("variable_header")
    reason_code = PartField["int | None"]("variable_header")
    properties = PropertiesField()

    def __init__(
        self,
        fixed: MQTTFixedHeader | None = None,
        variable_header: PacketIdVariableHeader | None = None,
    ) -> None:
        """Make a packet of its parts."""
        super().__init__(fixed, variable_header)

    @classmethod
    def build(
        cls,
        packet_id: int,
        reason_code: int | None = None,
        properties: dict[str, Any] | None = None,
    ) -> Self:
        """Make a packet of its fields.

        Args:
            packet_id: packet identifier.
            reason_code: Reason Code in MQTT 5.0; None in MQTT 3.
            properties: the properties of MQTT 5.0 by name; None in MQTT 3.

        Returns:
            The packet.

        """
        if reason_code is not None or properties is not None:
            reason_code, properties = reason_code or 0, properties or {}
        packet = cls(variable_header=PacketIdVariableHeader(packet_id, reason_code))
        packet.properties = properties
        return packet

    @classmethod
    def _from_fields(cls, fixed_header: MQTTFixedHeader, fields: list[Any]) -> Self:
        return cls._assembled(fixed_header, PacketIdVariableHeader(*fields), None)
