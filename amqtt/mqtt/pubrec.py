"""PUBREC: a message of QoS 2 has arrived (section 3.5)."""

from __future__ import annotations

from amqtt.errors import AMQTTError
from amqtt.mqtt._acknowledgement import Acknowledgement
from amqtt.mqtt.packet import PUBREC, MQTTFixedHeader, MQTTPacket, PacketIdVariableHeader

__all__ = [
    "PUBREC",
    "AMQTTError",
    "MQTTFixedHeader",
    "MQTTPacket",
    "PacketIdVariableHeader",
    "PubrecPacket",
]


class PubrecPacket(Acknowledgement):
    """Hold a PUBREC.

    Args:
        fixed: fixed header; None makes one.
        variable_header: variable header.

    Raises:
        AMQTTError: the fixed header is one of another type of packet.

    """

    __slots__ = ()

    PACKET_TYPE = PUBREC
