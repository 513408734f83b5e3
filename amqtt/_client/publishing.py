"""A message that a client publishes: its settings, the limits of the broker, its object."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from amqtt.errors import ClientError
from amqtt.mqtt.constants import QOS_0, QOS_1, QOS_2
from amqtt.session import OutgoingApplicationMessage

if TYPE_CHECKING:
    from amqtt.contexts import ClientConfig

LEVELS = (QOS_0, QOS_1, QOS_2)


def publish_settings(
    config: ClientConfig, topic: str, qos: int | None, retain: bool | None
) -> tuple[int, bool]:
    """Return QoS and retain flag of a message; what is None comes from the configuration.

    Raises:
        ClientError: the QoS is out of range.

    """
    defaults = (config.topics or {}).get(topic)
    if qos is None:
        qos = defaults.qos if defaults is not None else config.default_qos or QOS_0
    if retain is None:
        retain = bool(defaults.retain if defaults is not None else config.default_retain)
    if qos not in LEVELS:
        msg = f"QoS {qos!r} is out of range: must be 0, 1 or 2"
        raise ClientError(msg)
    return qos, bool(retain)


def is_limited(
    said: dict[str, Any], size: int, retain: bool, properties: dict[str, Any] | None
) -> bool:
    """Tell whether the broker may have excluded a message: only the engine knows.

    Args:
        said: the properties of CONNACK.
        size: of topic and payload.
        retain: whether the message is to be retained.
        properties: of the message.

    """
    most = said.get("maximum_packet_size")
    # Half of it leaves room enough for all but properties.
    return (retain and said.get("retain_available") == 0) or (
        most is not None and (size > most // 2 or bool(properties))
    )


def outgoing(
    packet_id: int | None,
    topic: str,
    qos: int,
    payload: bytes | bytearray,
    retain: bool,
    properties: dict[str, Any] | None,
) -> OutgoingApplicationMessage:
    """Make the object of a message that was published."""
    message = OutgoingApplicationMessage(packet_id, topic, qos, payload, retain)
    if properties is not None:
        message.properties = properties
    return message
