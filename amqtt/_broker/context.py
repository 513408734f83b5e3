"""What a broker offers to its plugins."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

from amqtt.contexts import BaseContext
from amqtt.errors import BrokerError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, MutableMapping

    from amqtt._broker.operations import BrokerOperations
    from amqtt.session import RetainedApplicationMessage, Session


class BrokerContext(BaseContext):
    """Offer a broker to a plugin.

    Args:
        broker: the broker.

    """

    def __init__(self, broker: BrokerOperations[Any]) -> None:
        """Make the context of a broker."""
        super().__init__()
        # A plugin with a timer must not keep a broker alive that nobody else holds.
        self._broker_reference = weakref.ref(broker)

    @property
    def _broker_instance(self) -> BrokerOperations[Any]:
        broker = self._broker_reference()
        if broker is None:
            msg = "The broker of this plugin is gone"
            raise BrokerError(msg)
        return broker

    async def broadcast_message(
        self, topic: str, data: bytes | bytearray, qos: int | None = None
    ) -> None:
        """Publish a message of the server; see `Broker.internal_message_broadcast`."""
        await self._broker_instance.internal_message_broadcast(topic, data, qos)

    async def retain_message(
        self, topic_name: str, data: bytes | bytearray | None, qos: int | None = None
    ) -> None:
        """Keep a message for the subscribers to come of a topic; see `Broker.retain_message`."""
        await self._broker_instance.retain_message(None, topic_name, data, qos)

    @property
    def sessions(self) -> Iterator[Session]:
        """The sessions, of clients that are connected and of those that may come back."""
        for session, _ in list(self._broker_instance.sessions.values()):
            yield session

    def get_session(self, client_id: str) -> Session | None:
        """Return the session of a client; None when it has none, nor had one a second ago."""
        return self._broker_instance.find_session(client_id)

    @property
    def retained_messages(self) -> MutableMapping[str, RetainedApplicationMessage]:
        """The retained messages by topic; what is written holds at once."""
        return self._broker_instance.retained_messages

    @property
    def subscriptions(self) -> Mapping[str, list[tuple[Session, int]]]:
        """Sessions and granted QoS by topic filter."""
        return self._broker_instance.subscriptions

    async def add_subscription(self, client_id: str, topic: str | None, qos: int | None) -> None:
        """Subscribe a client, which need not be connected.

        Topic plugins are asked as if the client itself subscribed.

        Args:
            client_id: the client; without a session it gets one that is kept.
            topic: topic filter; None only makes the session.
            qos: quality of service; None likewise.

        """
        broker = self._broker_instance
        session = broker.restore_session(client_id)
        if topic is not None and qos is not None:
            await broker.add_subscription((topic, qos), session)

    def invalidate_verdicts(self, client_id: str | None = None, topic: str | None = None) -> None:
        """Forget what topic plugins have decided, so that they are asked again.

        Only plugins with a `verdict_ttl` have verdicts that are remembered.

        Args:
            client_id: of this client only; None means of all.
            topic: on this topic or filter only; None means on all.

        """
        self._broker_instance.invalidate_verdicts(client_id, topic)

    async def reauthorize(
        self, client_id: str | None = None, *, username: str | None = None
    ) -> None:
        """Ask the plugins again about clients and subscriptions; see `Broker.reauthorize`."""
        await self._broker_instance.reauthorize(client_id, username=username)

    async def disconnect_client(self, client_id: str, reason: int = 0x98) -> None:
        """Disconnect a client; see `Broker.disconnect_client`."""
        await self._broker_instance.disconnect_client(client_id, reason)

    def statistics(self) -> dict[str, Any]:
        """Return what the broker counts; see `Broker.statistics`."""
        return self._broker_instance.statistics()
