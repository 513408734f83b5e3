"""The limits of one connection, of one session, and of what all of them may leave behind."""

from __future__ import annotations

import math
from dataclasses import dataclass

from amqtt._dictable import Dictable, check_range
from amqtt._hydrate import ConfigValueError, describe_value


@dataclass
class LimitsConfig(Dictable):
    """Bound what clients may use of the broker. 0 means no bound where it is allowed.

    Attributes:
        connect_timeout: seconds a connection may take to send its CONNECT packet.
        max_packet_size: bytes of the largest packet that is accepted; by default MQTT's maximum.
        max_inflight_messages: QoS 1 and 2 messages on their way to one client without
            acknowledgement.
        max_queued_messages: messages that wait for one session.
        max_queued_bytes: bytes that wait for one session.
        max_sessions: sessions, whether their client is there or away; or 0.
        max_subscriptions: subscriptions of one session; or 0.
        max_topic_levels: levels of a topic filter, and of the topic of a retained message; or 0.
        max_retained_messages: retained messages; or 0.
        max_retained_bytes: bytes of all retained messages, topic and properties included; or 0.

    Raises:
        ValueError: a value is out of range.

    """

    connect_timeout: int | float = 30
    max_packet_size: int = 268435460
    max_inflight_messages: int = 1000
    max_queued_messages: int = 100000
    max_queued_bytes: int = 268435456
    max_sessions: int = 1000000
    max_subscriptions: int = 100000
    max_topic_levels: int = 200
    max_retained_messages: int = 1000000
    max_retained_bytes: int = 1073741824

    def __post_init__(self) -> None:
        """Check the ranges."""
        timeout = self.connect_timeout
        if (
            isinstance(timeout, bool)
            or not isinstance(timeout, int | float)
            or not (timeout > 0 and math.isfinite(timeout))
        ):
            found = describe_value(timeout)
            problem = f"expected a number of seconds greater than 0, found {found}"
            raise ConfigValueError("connect_timeout", problem)
        check_range(self, "max_packet_size", 2, 268435460)
        check_range(self, "max_inflight_messages", 1, 65535)
        check_range(self, "max_queued_messages", 1)
        check_range(self, "max_queued_bytes", 1)
        check_range(self, "max_sessions", 0)
        check_range(self, "max_subscriptions", 0)
        check_range(self, "max_topic_levels", 0)
        check_range(self, "max_retained_messages", 0)
        check_range(self, "max_retained_bytes", 0)
