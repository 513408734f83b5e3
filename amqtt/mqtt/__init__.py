"""The control packets of MQTT as objects.

`packet_class` tells the class for a fixed header, and `packet_from_bytes` decodes a whole packet.
"""

from __future__ import annotations

from typing import Any

from amqtt._engine.codec import PROTOCOL_3_1_1, PROTOCOL_5_0, decode_packet
from amqtt.errors import AMQTTError
from amqtt.mqtt.auth import AuthPacket
from amqtt.mqtt.connack import ConnackPacket
from amqtt.mqtt.connect import ConnectPacket
from amqtt.mqtt.disconnect import DisconnectPacket
from amqtt.mqtt.packet import (
    AUTH,
    CONNACK,
    CONNECT,
    DISCONNECT,
    PINGREQ,
    PINGRESP,
    PUBACK,
    PUBCOMP,
    PUBLISH,
    PUBREC,
    PUBREL,
    SUBACK,
    SUBSCRIBE,
    UNSUBACK,
    UNSUBSCRIBE,
    MQTTFixedHeader,
    MQTTPacket,
)
from amqtt.mqtt.pingreq import PingReqPacket
from amqtt.mqtt.pingresp import PingRespPacket
from amqtt.mqtt.puback import PubackPacket
from amqtt.mqtt.pubcomp import PubcompPacket
from amqtt.mqtt.publish import PublishPacket
from amqtt.mqtt.pubrec import PubrecPacket
from amqtt.mqtt.pubrel import PubrelPacket
from amqtt.mqtt.suback import SubackPacket
from amqtt.mqtt.subscribe import SubscribePacket
from amqtt.mqtt.unsuback import UnsubackPacket
from amqtt.mqtt.unsubscribe import UnsubscribePacket

__all__ = ["MQTTPacket"]

packet_dict: dict[int, type[MQTTPacket[Any, Any, Any]]] = {
    CONNECT: ConnectPacket,
    CONNACK: ConnackPacket,
    PUBLISH: PublishPacket,
    PUBACK: PubackPacket,
    PUBREC: PubrecPacket,
    PUBREL: PubrelPacket,
    PUBCOMP: PubcompPacket,
    SUBSCRIBE: SubscribePacket,
    SUBACK: SubackPacket,
    UNSUBSCRIBE: UnsubscribePacket,
    UNSUBACK: UnsubackPacket,
    PINGREQ: PingReqPacket,
    PINGRESP: PingRespPacket,
    DISCONNECT: DisconnectPacket,
}
"""The classes by packet type, for the types that all versions have."""


def packet_class(fixed_header: MQTTFixedHeader) -> type[MQTTPacket[Any, Any, Any]]:
    """Tell the class for a packet.

    Args:
        fixed_header: the fixed header of the packet.

    Returns:
        The class; its `from_stream` reads the rest of the packet.

    Raises:
        AMQTTError: there is no packet of this type in this version of MQTT.

    """
    packet_type = fixed_header.packet_type
    if packet_type == AUTH and fixed_header.protocol_version == PROTOCOL_5_0:
        return AuthPacket
    found = packet_dict.get(packet_type)
    if found is None:
        version = fixed_header.protocol_version
        msg = f"Unknown packet type {packet_type} (protocol version {version})"
        raise AMQTTError(msg)
    return found


def packet_from_bytes(
    data: bytes | bytearray | memoryview, protocol_version: int = PROTOCOL_3_1_1
) -> MQTTPacket[Any, Any, Any]:
    """Decode a whole control packet, as strictly as the engine does with all its tolerances.

    Args:
        data: the packet, from its first byte to its last.
        protocol_version: the version of MQTT of its connection: 3, 4 (MQTT 3.1.1) or 5. CONNECT
            says itself which version it is of.

    Returns:
        The packet, of the class for its type.

    Raises:
        MQTTError: the packet is malformed, not complete, or has bytes behind it.
        ValueError: there is no such protocol version.

    """
    packet_type, flags, length, *fields = decode_packet(data, protocol_version)
    fixed_header = MQTTFixedHeader(packet_type, flags, length, protocol_version)
    cls = packet_dict.get(packet_type, AuthPacket)
    return cls._from_fields(fixed_header, fields)
