"""PUBREL: a packet identifier of QoS 2 is released (section 3.6)."""

from __future__ import annotations

from amqtt.errors import AMQTTError
from amqtt.mqtt._acknowledgement import Acknowledgement
from amqtt.mqtt.packet import PUBREL, MQTTFixedHeader, MQTTPacket, PacketIdVariableHeader

__all__ = [
    "PUBREL",
    "AMQTTError",
    "MQTTFixedHeader",
    "MQTTPacket",
    "PacketIdVariableHeader",
    "PubrelPacket",
]


class PubrelPacket(Acknowledgement):
    """Hold a PUBREL.

    Args:
        fixed: fixed header; None makes one.
        variable_header: variable header.

    Raises:
        AMQTTError: the fixed header is one of another type of packet.

    """

    __slots__ = ()

    PACKET_TYPE = PUBREL
    FLAGS = 0x02
