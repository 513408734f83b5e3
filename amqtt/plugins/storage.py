"""The base of plugins that keep the state of the broker across restarts.

The broker hands every change of its sessions and retained messages to the plugin in batches, one
after the other, and holds back the acknowledgements that depend on a batch until the plugin has
committed it. When the broker starts, the plugin gives back what it has.

Rows are tuples, in the order that the types here name. Times are seconds since the epoch.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from enum import IntEnum
from typing import ClassVar, NamedTuple

from amqtt.events import BrokerEvents
from amqtt.plugins.base import BaseContext, BasePlugin

__all__ = [
    "BaseStoragePlugin",
    "DeliveryRow",
    "DeliveryState",
    "MessageRow",
    "ReceivedRow",
    "SessionRow",
    "StateChanges",
    "StoredState",
    "SubscriptionRow",
    "WillRow",
]

# What a client of MQTT 5.0 sends as Session Expiry Interval for a session without end.
NEVER_EXPIRES = 0xFFFFFFFF


class WillRow(NamedTuple):
    """The will of a client.

    Attributes:
        topic: topic name.
        payload: the message.
        qos: quality of service.
        retain: whether to retain it.
        delay: seconds between the end of the connection and publishing.
        properties: the properties that go with it, encoded as in MQTT 5.0.
        expiry_interval: seconds after which it is not to be delivered any more, from publishing on.

    """

    topic: str
    payload: bytes
    qos: int
    retain: bool
    delay: int
    properties: bytes
    expiry_interval: int | None


class SessionRow(NamedTuple):
    """A session; a row with the same id replaces the one before.

    Attributes:
        id: a number of the broker's choice.
        client_id: client identifier.
        user_name: by which the client was admitted, whose session it is; empty when it was
            admitted without one, None when no client has been admitted to the session yet.
        expiry_interval: seconds it outlives its connection; `NEVER_EXPIRES`: for ever. 0 is only
            stored because of the will.
        disconnected_at: when its connection ended; None while it is connected.
        keep_alive: seconds, of the last connection.
        clean_start: the flag of the last CONNECT.
        will: the will that is not published yet; while it is disconnected, one that waits for its
            delay.

    """

    id: int
    client_id: str
    user_name: str | None
    expiry_interval: int
    disconnected_at: float | None
    keep_alive: int
    clean_start: bool
    will: WillRow | None


class SubscriptionRow(NamedTuple):
    """A subscription; a row with the same id replaces the one before.

    Attributes:
        id: a number of the broker's choice; 0, only when restoring: it has none yet.
        session: id of the session.
        topic_filter: as the client gave it, with `$share/...`.
        qos: granted quality of service.
        no_local: option of MQTT 5.0.
        retain_as_published: option of MQTT 5.0.
        retain_handling: option of MQTT 5.0.
        identifier: Subscription Identifier; 0: none.

    """

    id: int
    session: int
    topic_filter: str
    qos: int
    no_local: bool
    retain_as_published: bool
    retain_handling: int
    identifier: int


class MessageRow(NamedTuple):
    """A message; rows never change.

    Attributes:
        id: a number of the broker's choice; 0, only of a retained one when restoring: none yet.
        topic: topic name.
        payload: the message.
        qos: the quality of service with which it was published.
        retain: the flag with which it was published.
        properties: the properties that go with it, encoded as in MQTT 5.0.
        expires_at: when it is not to be delivered any more.

    """

    id: int
    topic: str
    payload: bytes
    qos: int
    retain: bool
    properties: bytes
    expires_at: float | None


class DeliveryState(IntEnum):
    """How far a message for a subscriber has come.

    While it is `UNDECIDED` whether the subscriber may have it, a topic plugin is to answer.
    """

    QUEUED = 0
    AWAITING_PUBACK = 1
    AWAITING_PUBREC = 2
    AWAITING_PUBCOMP = 3
    UNDECIDED = 4


class DeliveryRow(NamedTuple):
    """A message on its way to one subscriber; in the order of their ids.

    Attributes:
        id: a number of the broker's choice; 0, only when restoring: it has none yet.
        session: id of the session.
        message: id of the message. With `DeliveryState.AWAITING_PUBCOMP` there may be none.
        qos: quality of service of the delivery.
        retain: the flag it is delivered with.
        identifiers: Subscription Identifiers, with commas between them.
        share: the shared subscription it came by, with `$share/...`; None: an ordinary one.
        packet_id: packet identifier; 0 while it is queued.
        state: a `DeliveryState`.

    """

    id: int
    session: int
    message: int
    qos: int
    retain: bool
    identifiers: str
    share: str | None
    packet_id: int
    state: int


class ReceivedRow(NamedTuple):
    """A QoS 2 message that a client has sent and not released yet.

    Attributes:
        session: id of the session.
        packet_id: packet identifier.

    """

    session: int
    packet_id: int


@dataclass
class StoredState:
    """Hold a part of what is stored.

    A row may only refer to rows of the same part or of parts before it.

    Attributes:
        sessions: sessions.
        subscriptions: their subscriptions.
        messages: messages that deliveries refer to.
        deliveries: messages on their way, of each session in the order of delivery.
        received: QoS 2 messages that clients have not released.
        retained: the retained messages, one of each topic.

    """

    sessions: list[SessionRow] = field(default_factory=list)
    subscriptions: list[SubscriptionRow] = field(default_factory=list)
    messages: list[MessageRow] = field(default_factory=list)
    deliveries: list[DeliveryRow] = field(default_factory=list)
    received: list[ReceivedRow] = field(default_factory=list)
    retained: list[MessageRow] = field(default_factory=list)


@dataclass
class StateChanges(StoredState):
    """Hold a batch of changes, to be stored as a whole or not at all.

    `sessions` and `subscriptions` are new or replace rows; `messages`, `deliveries`, `received` and
    `retained` are new. What is removed is removed last, but `removed_received` first. There may be
    no row with an id that is to be removed or changed.

    Attributes:
        number: of the batch, counted from 1 since the broker started.
        ended_sessions: ids of sessions to remove, with their subscriptions, deliveries and received
            ones.
        removed_subscriptions: ids of subscriptions.
        removed_messages: ids of messages that nothing refers to any more.
        delivery_states: id, packet identifier and state of deliveries that have changed.
        removed_deliveries: ids of deliveries that are complete or were dropped.
        removed_received: sessions and packet identifiers.
        removed_retained: ids of messages that are not retained any more.

    """

    number: int = 0
    ended_sessions: list[int] = field(default_factory=list)
    removed_subscriptions: list[int] = field(default_factory=list)
    removed_messages: list[int] = field(default_factory=list)
    delivery_states: list[tuple[int, int, int]] = field(default_factory=list)
    removed_deliveries: list[int] = field(default_factory=list)
    removed_received: list[ReceivedRow] = field(default_factory=list)
    removed_retained: list[int] = field(default_factory=list)


class BaseStoragePlugin(BasePlugin[BaseContext]):
    """Base of the plugins that keep sessions and retained messages; a broker has at most one.

    Attributes:
        durable: whether acknowledgements wait for `commit()`. Otherwise what was acknowledged in
            the moments before a crash can be lost.
        commit_delay: seconds for which the broker waits with a batch after its first change. What
            is undone meanwhile, as a message that its subscribers acknowledge, needs no commit.
        stored_events: events that the broker does not tell this plugin, although it has a handler,
            because what they are about comes with `restore()` or `commit()`.

    """

    durable: bool = True
    commit_delay: float = 0.002
    stored_events: ClassVar[frozenset[BrokerEvents]] = frozenset()

    def restore(self) -> AsyncGenerator[StoredState, None]:
        """Return what is stored, part by part, before the listeners open.

        When the broker does not start after all, `close()` follows, and perhaps `restore()` again.

        Raises:
            PluginError: the broker is not to start; the text says why.

        """
        raise NotImplementedError

    async def commit(self, changes: StateChanges) -> None:
        """Store a batch durably, in one transaction.

        Called for one batch after the other. When it raises, that is logged and it is called again
        with the same batch after a pause, so a batch that was stored already is to be accepted.

        Args:
            changes: the batch.

        """
        raise NotImplementedError
