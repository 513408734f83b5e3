"""PUBCOMP: the flow of QoS 2 is complete (section 3.7)."""

from __future__ import annotations

from amqtt.errors import AMQTTError
from amqtt.mqtt._acknowledgement import Acknowledgement
from amqtt.mqtt.packet import PUBCOMP, MQTTFixedHeader, MQTTPacket, PacketIdVariableHeader

__all__ = [
    "PUBCOMP",
    "AMQTTError",
    "MQTTFixedHeader",
    "MQTTPacket",
    "PacketIdVariableHeader",
    "PubcompPacket",
]


class PubcompPacket(Acknowledgement):
    """Hold a PUBCOMP.

    Args:
        fixed: fixed header; None makes one.
        variable_header: variable header.

    Raises:
        AMQTTError: the fixed header is one of another type of packet.

    """

    __slots__ = ()

    PACKET_TYPE = PUBCOMP
