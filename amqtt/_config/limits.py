"""The limits of one connection, of one session, and of what all of them may leave behind."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from typing import Any

from amqtt._config.dictable import Dictable, check_range
from amqtt._config.hydrate import ConfigValueError, describe_value
from amqtt._engine.codes import QOS_0, QOS_2

_VERSIONS = ("3.1", "3.1.1", "5.0")
_LARGEST_PACKET = 268435460
_MOST_16_BITS = 65535


@dataclass
class ListenerLimitsConfig(Dictable):
    """Bound what the clients of one listener may do, where that differs from the broker's limits.

    Every attribute is one of `LimitsConfig` and has the meaning it has there; None means the value
    it has there.

    Raises:
        ValueError: a value is out of range.

    """

    connect_timeout: int | float | None = None
    packet_timeout: int | float | None = None
    min_packet_rate: int | None = None
    max_connect_packet_size: int | None = None
    max_packet_size: int | None = None
    min_keep_alive: int | None = None
    max_keep_alive: int | None = None
    protocol_versions: list[str | float] | None = None
    max_qos: int | None = None
    retain_available: bool | None = None
    allow_anonymous: bool | None = None
    receive_maximum: int | None = None
    topic_alias_maximum: int | None = None

    def __post_init__(self) -> None:
        """Check the ranges."""
        _check_connection_limits(self)


@dataclass
class LimitsConfig(Dictable):
    """Bound what clients may use of the broker. 0 means no bound where it is allowed.

    Attributes:
        connect_timeout: seconds a connection may take to send its CONNECT packet.
        packet_timeout: seconds that a packet of an admitted client may take from its first byte to
            its last; a large one gets that much again as long as it comes at `min_packet_rate`.
        min_packet_rate: bytes a second.
        max_connect_packet_size: bytes of the largest packet that is accepted before the client is
            admitted.
        decision_timeout: seconds that plugins may take to decide on a client or a topic; then
            they have refused.
        max_packet_size: bytes of the largest packet that is accepted; by default MQTT's maximum.
        min_keep_alive: seconds of keep alive that clients of MQTT 5.0 are held to when they ask
            for less.
        max_keep_alive: seconds of keep alive that clients of MQTT 5.0 are held to when they ask
            for more, or for none; others are refused. 0 means any.
        protocol_versions: the versions of MQTT that are served: `3.1`, `3.1.1`, `5.0`.
        max_qos: highest quality of service that clients may publish with.
        retain_available: whether clients may have messages retained.
        allow_anonymous: whether clients without a user name are admitted without asking the
            plugins (true), are refused (false), or are for the plugins to decide on (None).
        receive_maximum: QoS 2 messages that a client of MQTT 5.0 may have on their way.
        topic_alias_maximum: topic aliases that a client of MQTT 5.0 may use.
        max_inflight_messages: QoS 1 and 2 messages on their way to one client without
            acknowledgement.
        max_queued_messages: messages that wait for one session.
        max_queued_bytes: bytes that wait for one session.
        max_total_queued_bytes: bytes that wait for all sessions or are on their way to their
            clients, each message once; or 0.
        max_sessions: sessions, whether their client is there or away; or 0.
        max_session_bytes: bytes of all sessions and their clients, without subscriptions and
            messages; or 0.
        max_subscriptions: subscriptions of one session; or 0.
        max_subscription_bytes: bytes of the subscriptions of one session; or 0.
        max_total_subscription_bytes: bytes of the subscriptions of all sessions; or 0.
        max_topic_levels: levels of a topic filter, and of the topic of a retained message; or 0.
        max_retained_messages: retained messages; or 0.
        max_retained_bytes: bytes of all retained messages, everything that is kept of them; or 0.
        max_unfinished_bytes: bytes of packets that have not come completely, of all admitted
            clients; peers that are not admitted may have a quarter of that besides.
        max_pending_decisions: clients that may wait at once for plugins to decide on them.
        max_pending_decision_bytes: bytes that these may take, and as many for questions about
            topics.

    Raises:
        ValueError: a value is out of range.

    """

    connect_timeout: int | float = 30
    packet_timeout: int | float = 60
    min_packet_rate: int = 1024
    max_connect_packet_size: int = 262144
    decision_timeout: int | float = 30
    max_packet_size: int = _LARGEST_PACKET
    min_keep_alive: int = 0
    max_keep_alive: int = 0
    protocol_versions: list[str | float] = field(default_factory=lambda: list(_VERSIONS))
    max_qos: int = QOS_2
    retain_available: bool = True
    allow_anonymous: bool | None = None
    receive_maximum: int = _MOST_16_BITS
    topic_alias_maximum: int = 32
    max_inflight_messages: int = 1000
    max_queued_messages: int = 100000
    max_queued_bytes: int = 67108864
    max_total_queued_bytes: int = 201326592
    max_sessions: int = 1000000
    max_session_bytes: int = 100663296
    max_subscriptions: int = 100000
    max_subscription_bytes: int = 33554432
    max_total_subscription_bytes: int = 100663296
    max_topic_levels: int = 200
    max_retained_messages: int = 1000000
    max_retained_bytes: int = 201326592
    max_unfinished_bytes: int = 285212672
    max_pending_decisions: int = 10000
    max_pending_decision_bytes: int = 67108864

    def __post_init__(self) -> None:
        """Check the ranges."""
        _check_connection_limits(self)
        _check_timeout("decision_timeout", self.decision_timeout)
        check_range(self, "max_inflight_messages", 1, _MOST_16_BITS)
        check_range(self, "max_queued_messages", 1)
        check_range(self, "max_queued_bytes", 1)
        check_range(self, "max_total_queued_bytes", 0)
        check_range(self, "max_sessions", 0)
        check_range(self, "max_session_bytes", 0)
        check_range(self, "max_subscriptions", 0)
        check_range(self, "max_subscription_bytes", 0)
        check_range(self, "max_total_subscription_bytes", 0)
        check_range(self, "max_topic_levels", 0)
        check_range(self, "max_retained_messages", 0)
        check_range(self, "max_retained_bytes", 0)
        check_range(self, "max_unfinished_bytes", 1)
        check_range(self, "max_pending_decisions", 1)
        check_range(self, "max_pending_decision_bytes", 1)

    def of_listener(self, own: ListenerLimitsConfig | None) -> dict[str, Any]:
        """Return the limits of the connections of one listener, by name.

        Args:
            own: what the listener sets itself.

        """
        merged = {}
        for each in fields(ListenerLimitsConfig):
            value = getattr(own, each.name, None)
            merged[each.name] = getattr(self, each.name) if value is None else value
        return merged


def _check_connection_limits(config: ListenerLimitsConfig | LimitsConfig) -> None:
    """Check the limits that a listener may have of its own, those that are None excepted.

    Raises:
        ConfigValueError: a value is out of range.

    """
    for name, least, most in (
        ("min_packet_rate", 1, _LARGEST_PACKET),
        ("max_connect_packet_size", 2, _LARGEST_PACKET),
        ("max_packet_size", 2, _LARGEST_PACKET),
        ("min_keep_alive", 0, _MOST_16_BITS),
        ("max_keep_alive", 0, _MOST_16_BITS),
        ("max_qos", QOS_0, QOS_2),
        ("receive_maximum", 1, _MOST_16_BITS),
        ("topic_alias_maximum", 0, _MOST_16_BITS),
    ):
        if config[name] is not None:
            check_range(config, name, least, most)
    for name in ("connect_timeout", "packet_timeout"):
        if config[name] is not None:
            _check_timeout(name, config[name])
    if config.protocol_versions is not None:
        # YAML makes numbers of some.
        config.protocol_versions = [str(version) for version in config.protocol_versions]
        if not config.protocol_versions or not set(config.protocol_versions) <= set(_VERSIONS):
            found = describe_value(config.protocol_versions)
            problem = f"expected some of {', '.join(_VERSIONS)}, found {found}"
            raise ConfigValueError("protocol_versions", problem)
    shortest, longest = config.min_keep_alive, config.max_keep_alive
    if shortest and longest and shortest > longest:
        problem = f"expected at most max_keep_alive, which is {longest}, found {shortest}"
        raise ConfigValueError("min_keep_alive", problem)


def _check_timeout(name: str, seconds: float) -> None:
    is_number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
    if not (is_number and seconds > 0 and math.isfinite(seconds)):
        found = describe_value(seconds)
        problem = f"expected a number of seconds greater than 0, found {found}"
        raise ConfigValueError(name, problem)
