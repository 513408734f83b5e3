"""DISCONNECT: the end of a connection is announced (section 3.14)."""

from __future__ import annotations

from amqtt.errors import AMQTTError
from amqtt.mqtt._reasoned import ReasonedPacket
from amqtt.mqtt.packet import DISCONNECT, MQTTFixedHeader, MQTTPacket

__all__ = ["DISCONNECT", "AMQTTError", "DisconnectPacket", "MQTTFixedHeader", "MQTTPacket"]


class DisconnectPacket(ReasonedPacket):
    """Hold a DISCONNECT.

    Args:
        fixed: fixed header; None makes one.
        variable_header: Reason Code and properties in MQTT 5.0; None in MQTT 3.

    Raises:
        AMQTTError: the fixed header is one of another type of packet.

    """

    __slots__ = ()

    PACKET_TYPE = DISCONNECT
