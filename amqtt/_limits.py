"""The limits of one connection and of one session."""

from __future__ import annotations

import math
from dataclasses import dataclass

from amqtt._dictable import Dictable, check_range
from amqtt._hydrate import ConfigValueError, describe_value


@dataclass
class LimitsConfig(Dictable):
    """Bound what one connection or one session may use of the broker.

    Attributes:
        connect_timeout: seconds a connection may take to send its CONNECT packet.
        max_packet_size: bytes of the largest packet that is accepted; by default MQTT's maximum.
        max_inflight_messages: QoS 1 and 2 messages on their way to one client without
            acknowledgement.
        max_queued_messages: messages that wait for one session.
        max_queued_bytes: bytes that wait for one session.

    Raises:
        ValueError: a value is out of range.

    """

    connect_timeout: int | float = 30
    max_packet_size: int = 268435460
    max_inflight_messages: int = 1000
    max_queued_messages: int = 100000
    max_queued_bytes: int = 268435456

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
