"""What DISCONNECT and AUTH have in common in MQTT 5.0 (sections 3.14 and 3.15)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from amqtt._engine.codec import PROTOCOL_5_0
from amqtt.mqtt._headers import ReasonCodeVariableHeader
from amqtt.mqtt._parts import PartField, PropertiesField
from amqtt.mqtt.packet import (
    MQTTFixedHeader,
    MQTTPacket,
    MQTTPayload,
    MQTTVariableHeader,
)

if TYPE_CHECKING:
    from typing_extensions import Self


class ReasonedPacket(MQTTPacket["ReasonCodeVariableHeader | None", None, MQTTFixedHeader]):
    """Hold a Reason Code and properties, which only MQTT 5.0 has.

    Args:
        fixed: fixed header; None makes one.
        variable_header: Reason Code and properties in MQTT 5.0; None in MQTT 3.

    Raises:
        AMQTTError: the fixed header is one of another type of packet.

    """

    __slots__ = ()

    VARIABLE_HEADER = None
    PAYLOAD = None

    reason_code = PartField[int]("variable_header")
    properties = PropertiesField()

    def __init__(
        self,
        fixed: MQTTFixedHeader | None = None,
        variable_header: ReasonCodeVariableHeader | None = None,
    ) -> None:
        """Make a packet of its parts."""
        super().__init__(fixed, variable_header)

    @classmethod
    def build(cls, reason_code: int = 0, properties: dict[str, Any] | None = None) -> Self:
        """Make a packet of MQTT 5.0 of its fields.

        Args:
            reason_code: the Reason Code.
            properties: properties by name.

        Returns:
            The packet.

        """
        packet = cls(None, ReasonCodeVariableHeader(reason_code))
        packet.properties = properties or {}
        return packet

    @classmethod
    def _part_classes(
        cls, fixed_header: MQTTFixedHeader
    ) -> tuple[type[MQTTVariableHeader] | None, type[MQTTPayload[Any]] | None]:
        has_header = fixed_header.protocol_version == PROTOCOL_5_0
        return ReasonCodeVariableHeader if has_header else None, None

    @classmethod
    def _from_fields(cls, fixed_header: MQTTFixedHeader, fields: list[Any]) -> Self:
        reason_code, properties = fields
        header = None
        if reason_code is not None:
            header = ReasonCodeVariableHeader(reason_code, properties)
        return cls._assembled(fixed_header, header, None)
