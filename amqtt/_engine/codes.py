"""Numbers that Python and the engine agree on."""

from __future__ import annotations

from amqtt._core import (
    AuthenticationOutcome,
    BrokerEvent,
    ClientEvent,
    ClientStateChange,
    MessageFate,
    TopicAction,
)

__all__ = [
    "QOS_0",
    "QOS_1",
    "QOS_2",
    "AuthenticationOutcome",
    "BrokerEvent",
    "ClientEvent",
    "ClientStateChange",
    "MessageFate",
    "TopicAction",
]

QOS_0 = 0
"""At most once: sent without acknowledgement."""

QOS_1 = 1
"""At least once: repeated until it is acknowledged."""

QOS_2 = 2
"""Exactly once: a handshake of four packets."""
