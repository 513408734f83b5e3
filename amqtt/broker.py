"""The MQTT broker."""

from __future__ import annotations

import asyncio
import logging
import weakref
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, ClassVar

from amqtt import _core
from amqtt._bridge import EventPump, end_engine
from amqtt._broker_context import BrokerContext
from amqtt._broker_sessions import BrokerSession, LocalSubscription, subscriber_numbers
from amqtt._broker_views import ConnectionHandle, RetainedView, SessionsView, SubscriptionsView
from amqtt._dispatch import BrokerDispatch
from amqtt._listening import (
    DEFAULT_PORTS,
    check_listener,
    is_beyond_loopback,
    open_listener,
    split_bind,
)
from amqtt._states import BrokerTransitions
from amqtt._topics import check_topic_name, describe_topic
from amqtt._verdicts import combine
from amqtt.contexts import (
    Action,
    BaseContext,
    BrokerConfig,
    ListenerConfig,
    ListenerType,
)
from amqtt.errors import BrokerError, MQTTError
from amqtt.events import BrokerEvents
from amqtt.mqtt.constants import QOS_0, QOS_1, QOS_2
from amqtt.plugins import TopicMatcher
from amqtt.plugins.manager import PluginManager
from amqtt.session import RetainedApplicationMessage

if TYPE_CHECKING:
    from amqtt.session import Session

__all__ = [
    "DEFAULT_PORTS",
    "QOS_0",
    "QOS_1",
    "QOS_2",
    "Action",
    "BaseContext",
    "Broker",
    "BrokerConfig",
    "BrokerContext",
    "BrokerError",
    "BrokerEvents",
    "ListenerConfig",
    "ListenerType",
    "PluginManager",
    "RetainedApplicationMessage",
]

# Seconds that the handlers of one event of the life cycle may take.
_LIFECYCLE_LIMIT = 60.0
# Messages that may wait for one subscriber inside the process.
_MOST_WAITING = 10_000
_SUBACK_FAILURE = 0x80
_ADMINISTRATIVE_ACTION = 0x98


class Broker:
    """Serve MQTT clients.

    The engine runs on a thread of its own; the event loop starts and stops it and runs the
    plugins. Must be made while a loop is running, unless `loop` is given. `async with` starts the
    broker and shuts it down.

    Args:
        config: the configuration; a dictionary is read by `BrokerConfig.from_dict`, None means
            the defaults: port 1883, everyone admitted.
        loop: the event loop; None means the running one.
        plugin_namespace: name of the group of plugin entry points.

    Raises:
        dacite.DaciteError: the dictionary has an unknown key or a value of a wrong type.
        PluginImportError: a configured plugin cannot be imported.
        PluginLoadError: a configured class is no plugin, or its options are wrong.
        PluginInitError: the constructor of a plugin raised.
        RuntimeError: no loop is running and none is given.

    """

    states: ClassVar[list[str]] = [
        "new",
        "starting",
        "started",
        "not_started",
        "stopping",
        "stopped",
        "not_stopped",
    ]

    def __init__(
        self,
        config: BrokerConfig | dict[str, Any] | None = None,
        loop: asyncio.AbstractEventLoop | None = None,
        plugin_namespace: str | None = None,
    ) -> None:
        """Read the configuration; nothing is opened yet."""
        self.logger = logging.getLogger(__name__)
        if isinstance(config, dict) or config is None:
            config = BrokerConfig.from_dict(config)
        self.config = config
        self.listeners_config = config.listeners
        self.plugin_namespace = plugin_namespace or "amqtt.broker.plugins"
        self._loop = loop or asyncio.get_running_loop()
        self.context = BrokerContext(self)
        self.context.config = self.config
        self.plugins_manager: PluginManager[BrokerContext] = PluginManager(
            self.plugin_namespace, self.context, self._loop
        )
        self._dispatch = BrokerDispatch(
            self._loop, self.plugins_manager, config.limits.decision_timeout
        )
        self._end: weakref.finalize[..., Any] | None = None
        self._addresses: dict[str, list[tuple[str, int]]] = {}
        self.transitions = BrokerTransitions()
        dispatch = self._dispatch
        self._sessions = SessionsView(
            lambda: dispatch.engine, dispatch.registry, self._disconnect_soon
        )
        self._subscriptions = SubscriptionsView(lambda: dispatch.engine, dispatch.registry)
        self._retained_messages = RetainedView(lambda: dispatch.engine)

    @property
    def sessions(self) -> SessionsView:
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

    @property
    def addresses(self) -> dict[str, list[tuple[str, int]]]:
        """Where the broker listens: host and port of every socket, by name of the listener.

        The way to learn the port of a listener that binds port 0. Of a Unix socket the host is
        `unix:` and its path, and the port is 0.
        """
        return {name: list(bound) for name, bound in self._addresses.items()}

    @property
    def _servers(self) -> dict[str, SimpleNamespace]:
        """Listeners in the form that applications of aMQTT look at to learn a port."""
        engine = self._dispatch.engine
        counts: Any = engine.status()["connections"] if engine is not None else {}
        return {
            name: SimpleNamespace(
                conn_count=counts.get(name, 0),
                instance=SimpleNamespace(
                    sockets=[SimpleNamespace(getsockname=lambda at=at: at) for at in bound]
                ),
            )
            for name, bound in self._addresses.items()
        }

    async def __aenter__(self) -> Broker:
        """Start the broker."""
        await self.start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Shut the broker down, if it is still running."""
        if self.transitions.is_started():
            await self.shutdown()

    # -- life

    async def start(self) -> None:
        """Open the listeners and serve clients.

        The plugins have handled `BrokerEvents.PRE_START` before a listener is open, and
        `BrokerEvents.POST_START` when this returns.

        Raises:
            BrokerError: the broker is started already, or a listener cannot be opened; then none
                is open and `start()` may be called again.

        """
        if self.transitions.state in ("starting", "started", "stopping"):
            msg = f"Broker instance can't be started: it is {self.transitions.state}"
            raise BrokerError(msg)
        self.transitions.start()
        try:
            await self._tell_plugins(BrokerEvents.PRE_START)
            await self._start_engine()
        except asyncio.CancelledError:
            self.transitions.starting_fail()
            raise
        except Exception as error:
            self.transitions.starting_fail()
            msg = f"Broker instance can't be started: {error}"
            raise BrokerError(msg) from error
        self.transitions.starting_success()
        self._warn_of_strangers()
        await self._tell_plugins(BrokerEvents.POST_START)

    async def _tell_plugins(self, event: BrokerEvents) -> None:
        """Wait until the plugins have handled an event of the life cycle."""
        try:
            await asyncio.wait_for(
                self.plugins_manager.fire_event(event, wait=True), _LIFECYCLE_LIMIT
            )
        except asyncio.TimeoutError:
            self.logger.warning(
                "Plugins take more than %d s to handle '%s'; going on", _LIFECYCLE_LIMIT, event
            )

    def _warn_of_strangers(self) -> None:
        native = self._dispatch.native
        if native.auth or not (native.authenticates and native.policy["allow_anonymous"]):
            return
        for name, listener in self.listeners_config.items():
            if is_beyond_loopback(listener):
                self.logger.warning(
                    "Listener '%s' at %s admits everyone who can reach it. To keep it to this"
                    " machine set listeners.%s.bind to '127.0.0.1:%d'; to ask for passwords"
                    " replace AnonymousAuthPlugin in 'plugins' by"
                    " 'amqtt.plugins.authentication.FileAuthPlugin: {password_file: FILE}'",
                    name,
                    listener.bind,
                    name,
                    self._addresses[name][0][1],
                )

    def check_listeners(self) -> None:
        """Check the addresses of the listeners as far as that needs no socket.

        Raises:
            BrokerError: a listener cannot be opened as it is configured.

        """
        for name, listener in self.listeners_config.items():
            check_listener(name, listener)

    async def _start_engine(self) -> None:
        self.check_listeners()
        engine = self._new_engine()
        addresses = {}
        for name, listener in self.listeners_config.items():
            if listener.bind is None:
                continue
            try:
                # Off the loop: a host name may have to be resolved.
                addresses[name] = await asyncio.to_thread(
                    open_listener, engine, name, listener, self._limits_of(listener)
                )
            except Exception:
                engine.stop()  # those that are open are not to wait for the garbage collector
                raise
            self.logger.info(
                "Listener '%s' bind to %s (max_connections=%d)",
                name,
                listener.bind,
                listener.max_connections,
            )
        pump = EventPump(self._loop, engine, self._dispatch.handle)
        self._dispatch.attach(engine, pump)
        engine.start()
        self._addresses = addresses
        # Runs when this object goes and also when the interpreter exits.
        self._end = weakref.finalize(self, end_engine, self._loop, pump, engine.stop)

    def _limits_of(self, listener: ListenerConfig) -> dict[str, Any]:
        tolerated = [each.value for each in self.config.protocol.tolerate]
        return {**self.config.limits.of_listener(listener.limits), "tolerate": tolerated}

    def _new_engine(self) -> _core.BrokerEngine:
        config, limits, protocol = self.config, self.config.limits, self.config.protocol
        native = self._dispatch.native
        return _core.BrokerEngine(
            max_inflight_messages=limits.max_inflight_messages,
            max_queued_messages=limits.max_queued_messages,
            max_queued_bytes=limits.max_queued_bytes,
            session_expiry=config.session_expiry_interval,
            keep_alive_extra=config.timeout_disconnect_delay or 0,
            max_qos=getattr(config, "max_qos", QOS_2),
            quotas={
                "sessions": limits.max_sessions,
                "subscriptions": limits.max_subscriptions,
                "topic_levels": limits.max_topic_levels,
                "retained_messages": limits.max_retained_messages,
                "retained_bytes": limits.max_retained_bytes,
            },
            protocol={
                "reason_strings": protocol.reason_strings,
                "check_payload_format": protocol.check_payload_format,
                "response_information": protocol.response_information or "",
                "server_reference": protocol.server_reference or "",
                "shared_subscription_strategy": protocol.shared_subscription_strategy.value,
                "sent_topic_alias_maximum": protocol.sent_topic_alias_maximum,
            },
            decision_timeout=limits.decision_timeout,
            policy=native.policy,
            python_authenticates=bool(native.auth),
            authentication_methods=self._dispatch.exchanges.methods,
            python_checks_topics=bool(native.topic),
        )

    async def shutdown(self) -> None:
        """Disconnect all clients, close the listeners and the plugins.

        Raises:
            BrokerError: the broker is not running.

        """
        if self.transitions.state != "started" or self._end is None:
            msg = f"Broker instance can't be stopped: it is {self.transitions.state}"
            raise BrokerError(msg)
        self.transitions.shutdown()
        end, self._end = self._end, None
        await self._tell_plugins(BrokerEvents.PRE_SHUTDOWN)
        engine = self._dispatch.engine
        if engine is not None:
            # Off the loop: the engine's thread is waited for.
            await asyncio.shield(asyncio.to_thread(engine.stop))
            more = True
            while more:
                events, more = engine.take_events(1000)
                self._dispatch.handle(events)
        await self.plugins_manager.wait_for_handlers(_LIFECYCLE_LIMIT)
        self._dispatch.detach()
        self._addresses = {}
        end()
        self.logger.info("Broker closed")
        await self._tell_plugins(BrokerEvents.POST_SHUTDOWN)
        await self.plugins_manager.close()
        self.transitions.stopping_success()

    async def reload_certificates(self) -> None:
        """Read the files of certificates, keys, authorities and revocations again.

        The broker also does it by itself within seconds when they have changed. New connections
        use them; those that are open go on as they are.

        Raises:
            BrokerError: the broker is not running, or files of a listener cannot be used: it keeps
                what it has, and the others have the new ones.

        """
        problems = self._running_engine("read its certificates").reload_certificates()
        if problems:
            msg = "; ".join(f"listener '{name}': {problem}" for name, problem in problems)
            raise BrokerError(msg)
        self.logger.info("Certificates were read again")

    # -- messages

    def _running_engine(self, what: str) -> _core.BrokerEngine:
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

    def create_offline_session(self, client_id: str) -> tuple[ConnectionHandle, Session]:
        """Make a session object of a client that is not connected; it is not stored.

        Returns:
            The handle of its connection, which it does not have, and the session.

        """
        dispatch = self._dispatch
        session = BrokerSession(lambda: dispatch.engine, client_id)
        session.set_connected(False)
        return ConnectionHandle(session, self._disconnect_soon), session

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
        if manager.is_topic_filtering_enabled() and manager.topic_plugins:
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
        engine = self._dispatch.engine
        if engine is not None:
            engine.forget_verdicts(client_id, topic)

    def statistics(self) -> dict[str, Any]:
        """Return what the broker counts: bytes, packets, messages, clients, subscriptions.

        Raises:
            BrokerError: the broker is not running.

        """
        return self._running_engine("count").status()

    # -- names that applications of aMQTT use

    @staticmethod
    def _split_bindaddr_port(port_str: str, default_port: int) -> tuple[str, int]:
        """Split `host:port`; see `split_bind`."""
        return split_bind(port_str, default_port)

    @staticmethod
    def _matches(topic: str, a_filter: str) -> bool:
        """Tell whether a filter matches a topic."""
        return TopicMatcher.is_topic_allowed(topic, a_filter)
