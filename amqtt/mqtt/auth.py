"""AUTH: a step of enhanced authentication, in MQTT 5.0 only (section 3.15)."""

from __future__ import annotations

from amqtt.mqtt._reasoned import ReasonedPacket
from amqtt.mqtt.packet import AUTH

__all__ = ["AUTH", "AuthPacket"]


class AuthPacket(ReasonedPacket):
    """Hold an AUTH.

    Args:
        fixed: fixed header; None makes one.
        variable_header: Reason Code and properties.

    Raises:
        AMQTTError: the fixed header is one of another type of packet.

    """

    __slots__ = ()

    PACKET_TYPE = AUTH
