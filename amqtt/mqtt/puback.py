"""PUBACK: a message of QoS 1 has arrived (section 3.4)."""

from __future__ import annotations

from amqtt.errors import AMQTTError
from amqtt.mqtt._acknowledgement import Acknowledgement
from amqtt.mqtt.packet import PUBACK, MQTTFixedHeader, MQTTPacket, PacketIdVariableHeader

__all__ = [
    "PUBACK",
    "AMQTTError",
    "MQTTFixedHeader",
    "MQTTPacket",
    "PacketIdVariableHeader",
    "PubackPacket",
]


class PubackPacket(Acknowledgement):
    """Hold a PUBACK.

    Args:
        fixed: fixed header; None makes one.
        variable_header: variable header.

    Raises:
        AMQTTError: the fixed header is one of another type of packet.

    """

    __slots__ = ()

    PACKET_TYPE = PUBACK
