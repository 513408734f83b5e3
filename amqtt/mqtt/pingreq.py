"""PINGREQ: the client shows that it is there (section 3.12)."""

from __future__ import annotations

from amqtt.errors import AMQTTError
from amqtt.mqtt.packet import PINGREQ, MQTTFixedHeader, MQTTPacket

__all__ = ["PINGREQ", "AMQTTError", "MQTTFixedHeader", "MQTTPacket", "PingReqPacket"]


class PingReqPacket(MQTTPacket[None, None, MQTTFixedHeader]):
    """Hold a PINGREQ, which has nothing but a fixed header.

    Args:
        fixed: fixed header; None makes one.

    Raises:
        AMQTTError: the fixed header is one of another type of packet.

    """

    __slots__ = ()

    VARIABLE_HEADER = None
    PAYLOAD = None
    PACKET_TYPE = PINGREQ

    def __init__(self, fixed: MQTTFixedHeader | None = None) -> None:
        """Make a packet."""
        super().__init__(fixed)
