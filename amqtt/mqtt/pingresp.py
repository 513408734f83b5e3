"""PINGRESP: the server shows that it is there (section 3.13)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from amqtt.errors import AMQTTError
from amqtt.mqtt.packet import PINGRESP, MQTTFixedHeader, MQTTPacket

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["PINGRESP", "AMQTTError", "MQTTFixedHeader", "MQTTPacket", "PingRespPacket"]


class PingRespPacket(MQTTPacket[None, None, MQTTFixedHeader]):
    """Hold a PINGRESP, which has nothing but a fixed header.

    Args:
        fixed: fixed header; None makes one.

    Raises:
        AMQTTError: the fixed header is one of another type of packet.

    """

    __slots__ = ()

    VARIABLE_HEADER = None
    PAYLOAD = None
    PACKET_TYPE = PINGRESP

    def __init__(self, fixed: MQTTFixedHeader | None = None) -> None:
        """Make a packet."""
        super().__init__(fixed)

    @classmethod
    def build(cls) -> Self:
        """Make a packet.

        Returns:
            The packet.

        """
        return cls()
