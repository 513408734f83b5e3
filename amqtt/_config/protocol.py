"""How the broker uses the freedom that MQTT leaves to servers."""

from __future__ import annotations

from dataclasses import dataclass, field

from amqtt._compat import StrEnum
from amqtt._config.dictable import Dictable, check_range
from amqtt._config.hydrate import ConfigValueError, describe_value


class SharedSubscriptionStrategy(StrEnum):
    """Which member of a shared subscription gets a message."""

    ROUND_ROBIN = "round_robin"
    RANDOM = "random"
    HASH_OF_PUBLISHER = "hash_of_publisher"
    STICKY = "sticky"


class SessionOwner(StrEnum):
    """Who may resume or end the session of a client identifier."""

    USER = "user"
    ANY = "any"


class Tolerance(StrEnum):
    """A deviation from the standard that clients in the field have."""

    LONG_CLIENT_ID = "long_client_id"
    PASSWORD_WITHOUT_USER_NAME = "password_without_user_name"
    DUP_AT_QOS_0 = "dup_at_qos_0"
    DUP_OF_SUBSCRIBE = "dup_of_subscribe"
    INVALID_FILTER = "invalid_filter"


@dataclass
class ProtocolConfig(Dictable):
    """Choose where MQTT leaves a choice.

    Attributes:
        reason_strings: whether clients of MQTT 5.0 are told in words why they are refused or
            disconnected.
        check_payload_format: whether messages that say that they are UTF-8 are refused when they
            are not.
        response_information: what clients of MQTT 5.0 are told when they ask for Response
            Information, `{client_id}` standing for theirs; None means nothing.
        server_reference: the server that clients of MQTT 5.0 are sent to when this one shuts down;
            None means none.
        shared_subscription_strategy: which member of a shared subscription gets a message, among
            those that have room for it: `round_robin`, `random`, `hash_of_publisher` (the same for
            all messages of one client) or `sticky` (the same until it leaves).
        sent_topic_alias_maximum: topic aliases the broker uses towards one client, as far as that
            admits them.
        tolerate: deviations of clients that are borne instead of ending the connection:
            `long_client_id` (over 23 characters in MQTT 3.1), `password_without_user_name` (in
            MQTT 3), `dup_at_qos_0`, `dup_of_subscribe` (of UNSUBSCRIBE and PUBREL too) and
            `invalid_filter` (a wildcard in a wrong place, in MQTT 3).

    Raises:
        ValueError: a value is none of these, or out of range.

    """

    reason_strings: bool = True
    check_payload_format: bool = False
    response_information: str | None = None
    server_reference: str | None = None
    shared_subscription_strategy: SharedSubscriptionStrategy = (
        SharedSubscriptionStrategy.ROUND_ROBIN
    )
    sent_topic_alias_maximum: int = 256
    tolerate: list[Tolerance] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Check the values."""
        check_range(self, "sent_topic_alias_maximum", 0, 65535)
        for name in ("response_information", "server_reference"):
            text = self[name]
            if text is not None and not 0 < len(text.encode()) <= 1024:
                problem = f"expected 1 to 1024 bytes of text, found {describe_value(text)}"
                raise ConfigValueError(name, problem)
