"""What an application does with a running broker: messages, subscriptions, sessions."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, Generic

from amqtt._broker.decisions import combine
from amqtt._broker.reauthorization import Reauthorization, Reauthorized
from amqtt._broker.sessions import BrokerSession, LocalSubscription, subscriber_numbers
from amqtt._broker.views import Handler, RetainedView, SessionsView, SubscriptionsView
from amqtt.contexts import Action
from amqtt.errors import BrokerError, MQTTError
from amqtt.mqtt.constants import QOS_0, QOS_2
from amqtt.topics import check_topic_name, describe_topic

if TYPE_CHECKING:
    from amqtt._broker.dispatch import BrokerDispatch
    from amqtt._engine.states import BrokerTransitions
    from amqtt._engine.types import BrokerEngine
    from amqtt.plugins.manager import PluginManager
    from amqtt.session import Session

# Messages that may wait for one subscriber inside the process.
_MOST_WAITING = 10_000
_SUBACK_FAILURE = 0x80
_ADMINISTRATIVE_ACTION = 0x98


class BrokerOperations(Generic[Handler]):
    """The part of `Broker` that needs a running engine; `Broker` starts and stops it.

    `Handler` stands for the connection of a session.
    """

    plugins_manager: PluginManager[Any]
    transitions: BrokerTransitions
    _dispatch: BrokerDispatch

    def _make_views(self, dispatch: BrokerDispatch) -> None:
        self._dispatch = dispatch
        self._sessions = SessionsView(lambda: dispatch.engine, dispatch.registry, self._handler_of)
        self._subscriptions = SubscriptionsView(lambda: dispatch.engine, dispatch.registry)
        self._retained_messages = RetainedView(lambda: dispatch.engine, self._session_of)

    def _session_of(self, client_id: str) -> Session:
        """Return the session of a client, which may be over."""
        self._dispatch.track_sessions()
        return self._dispatch.registry.of_event(client_id)

    @property
    def sessions(self) -> SessionsView[Handler]:
        """Session and connection by client id; live, every access asks the engine."""
        self._dispatch.track_sessions()
        return self._sessions

    @property
    def subscriptions(self) -> SubscriptionsView:
        """Session and granted QoS of each subscriber, by topic filter; live as well."""
        self._dispatch.track_sessions()
        return self._subscriptions

    @property
    def retained_messages(self) -> RetainedView:
        """The retained messages by topic; live as well, and writing stores in the engine."""
        return self._retained_messages

    # -- messages

    def _running_engine(self, what: str) -> BrokerEngine:
        engine = self._dispatch.engine
        if engine is None:
            msg = f"Broker instance can't {what}: it is {self.transitions.state}"
            raise BrokerError(msg)
        return engine

    async def internal_message_broadcast(
        self, topic: str, data: bytes | bytearray, qos: int | None = None
    ) -> None:
        """Publish a message of the server to every matching subscription.

        Args:
            topic: topic name, which may start with `$`.
            data: payload.
            qos: quality of service, at most that of each subscription; None means that of each
                subscription.

        Raises:
            MQTTError: the topic is empty, has a wildcard, or is no MQTT text.
            BrokerError: the broker is not running.
            ValueError: `qos` is out of range, or the message is too large for MQTT.

        """
        await self.publish(topic, data, qos)

    async def publish(
        self,
        topic: str,
        data: bytes | bytearray,
        qos: int | None = None,
        retain: bool = False,
    ) -> None:
        """Publish a message of the server.

        Args:
            topic: topic name, which may start with `$`.
            data: payload.
            qos: quality of service, at most that of each subscription; None means that of each
                subscription.
            retain: whether to keep the message for subscribers to come.

        Raises:
            MQTTError: the topic is empty, has a wildcard, or is no MQTT text.
            BrokerError: the broker is not running.
            ValueError: `qos` is out of range, or the message is too large for MQTT.

        """
        check_topic_name(topic)
        self._running_engine("publish").publish(topic, data, qos, retain)

    async def retain_message(
        self,
        source_session: Session | None,  # noqa: ARG002  # the engine does not keep it
        topic_name: str | None,
        data: bytes | bytearray | None,
        qos: int | None = None,
    ) -> None:
        """Keep a message for the subscribers to come of a topic, without publishing it.

        Args:
            source_session: the session of the publisher.
            topic_name: topic name; None does nothing.
            data: payload; when it is empty or None the kept message is forgotten.
            qos: quality of service; None means 0.

        Raises:
            MQTTError: the topic is empty, has a wildcard, or is no MQTT text.
            BrokerError: the broker is not running.
            ValueError: `qos` is out of range, or the message is too large for MQTT.

        """
        if topic_name is None:
            return
        check_topic_name(topic_name)
        self._running_engine("retain a message").retain(topic_name, data or b"", qos or QOS_0)

    def subscribe(self, topic_filter: str, qos: int = QOS_2) -> LocalSubscription:
        """Subscribe inside the process, without a connection.

        Retained messages come first. Plugins are not asked, and messages that nobody takes are
        dropped when 10,000 are waiting.

        Args:
            topic_filter: which messages; wildcards are allowed.
            qos: the highest quality of service that messages carry.

        Returns:
            An asynchronous iterator of messages, which subscribes at once.

        Raises:
            MQTTError: it is no topic filter.
            BrokerError: the broker is not running.
            ValueError: `qos` is out of range.

        """
        engine = self._running_engine("subscribe")
        number = next(subscriber_numbers)
        dispatch = self._dispatch
        subscription = LocalSubscription(_MOST_WAITING, lambda: dispatch.remove_local(number))
        dispatch.add_local(number, subscription)
        if not engine.subscribe_local(number, topic_filter, qos):
            dispatch.remove_local(number)
            msg = f"{describe_topic(topic_filter)} is no topic filter"
            raise MQTTError(msg)
        return subscription

    # -- sessions

    def create_offline_session(self, client_id: str) -> tuple[Handler, Session]:
        """Make a session object of a client that is not connected; it is not stored.

        Returns:
            The handler of its connection, which it does not have, and the session.

        """
        dispatch = self._dispatch
        session = BrokerSession(lambda: dispatch.engine, client_id)
        session.set_connected(False)
        return self._handler_of(session), session

    @abstractmethod
    def _handler_of(self, session: Session) -> Handler:
        """Return what stands for the connection of a session."""

    def find_session(self, client_id: str) -> Session | None:
        """Return the session of a client; None when it has none, nor had one a second ago."""
        found = self.sessions.get(client_id)
        return self._dispatch.registry.recent(client_id) if found is None else found[0]

    def restore_session(self, client_id: str) -> Session:
        """Return the session of a client; without one it gets one that is kept for it.

        Raises:
            BrokerError: the broker is not running.

        """
        self._dispatch.track_sessions()
        self._running_engine("restore a session").create_session(client_id)
        session = self._dispatch.registry.of_event(client_id)
        if session.clean_session is None:
            session.clean_session = False
        return session

    async def add_subscription(self, subscription: tuple[str, int], session: Session) -> int:
        """Subscribe a session, if the topic plugins allow it; no retained messages are sent.

        Args:
            subscription: topic filter and quality of service.
            session: the session; when the broker does not know its client id, it keeps a session
                for it.

        Returns:
            The granted quality of service, or 128 for a refusal.

        Raises:
            BrokerError: the broker is not running.

        """
        topic_filter, qos = subscription
        engine = self._running_engine("subscribe")
        manager = self.plugins_manager
        calls = self._dispatch.calls
        if calls.checks_topics or calls.native.checks_topics:
            results = await manager.map_plugin_topic(
                session=session, topic=topic_filter, action=Action.SUBSCRIBE
            )
            if not combine(manager, results).allowed:
                return _SUBACK_FAILURE
        client_id = session.client_id or ""
        engine.create_session(client_id)
        code = engine.subscribe(client_id, topic_filter, qos)
        return _SUBACK_FAILURE if code is None or code > QOS_2 else code

    async def disconnect_client(self, client_id: str, reason: int = _ADMINISTRATIVE_ACTION) -> None:
        """Disconnect a client, whose will is published; one that is not connected is left alone.

        Args:
            client_id: the client.
            reason: the reason code that a client of MQTT 5.0 is told, 128 to 255.

        Raises:
            BrokerError: the broker is not running.
            ValueError: the reason is out of range.

        """
        if not _SUBACK_FAILURE <= reason <= 0xFF:
            msg = f"the reason to disconnect a client is a code from 128 to 255, not {reason}"
            raise ValueError(msg)
        self._running_engine("disconnect a client").disconnect_client(client_id, reason)

    def _disconnect_soon(self, client_id: str) -> None:
        engine = self._dispatch.engine
        if engine is not None:
            engine.disconnect_client(client_id, _ADMINISTRATIVE_ACTION)

    def invalidate_verdicts(self, client_id: str | None = None, topic: str | None = None) -> None:
        """Forget what topic plugins have decided; see `BrokerContext.invalidate_verdicts`."""
        self._dispatch.forget_verdicts(client_id, topic)

    async def reauthorize(
        self, client_id: str | None = None, *, username: str | None = None
    ) -> Reauthorized:
        """Ask the plugins again what was decided before, because rights may have been withdrawn.

        Remembered verdicts are forgotten. Of each client that is connected, the authentication
        plugins are asked whether it may stay (`still_allowed`); one that may not is disconnected
        with the code of the refusal. Of each session, also of a client that is away, the topic
        plugins are asked about its subscriptions; those that are not allowed are removed, with the
        messages that wait because of them. Other messages that wait are decided on before they are
        sent. A plugin that does not answer within `limits.decision_timeout` changes nothing.

        Args:
            client_id: this client only; None means all.
            username: clients of this user only; None means all.

        Returns:
            How many clients were disconnected, and how many subscriptions removed.

        Raises:
            BrokerError: the broker is not running.

        """
        self._running_engine("check rights again")
        return await Reauthorization(self._dispatch, client_id, username).run()

    def statistics(self) -> dict[str, Any]:
        """Return what the broker counts: bytes, packets, messages, clients, subscriptions.

        Of messages: `publish_dropped` because a subscriber's queue was full, `publish_too_large`
        because they exceed what a subscriber accepts or a packet can hold, both counted for each
        subscriber, and `publish_refused`, which clients have published and nobody got.

        Raises:
            BrokerError: the broker is not running.

        """
        return self._running_engine("count").status()
