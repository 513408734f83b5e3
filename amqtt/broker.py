"""The MQTT broker."""

from __future__ import annotations

import asyncio
import logging
import weakref
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, ClassVar

from amqtt import _core
from amqtt._broker.context import BrokerContext
from amqtt._broker.dispatch import BrokerDispatch
from amqtt._broker.listening import (
    DEFAULT_PORTS,
    check_listener,
    open_listeners,
    split_bind,
    warn_of_strangers,
)
from amqtt._broker.operations import BrokerOperations
from amqtt._broker.shutdown import ShutdownTime, run_in_thread
from amqtt._broker.storage import StateKeeper, find_storage
from amqtt._compat import wait_for
from amqtt._engine.pump import EventPump, end_engine
from amqtt._engine.states import BrokerTransitions
from amqtt.contexts import (
    Action,
    BaseContext,
    BrokerConfig,
    ListenerConfig,
    ListenerType,
    SessionOwner,
)
from amqtt.errors import BrokerError
from amqtt.events import BrokerEvents
from amqtt.mqtt.constants import QOS_0, QOS_1, QOS_2
from amqtt.mqtt.protocol.broker_handler import BrokerProtocolHandler
from amqtt.plugins.manager import PluginManager
from amqtt.session import RetainedApplicationMessage
from amqtt.topics import TopicMatcher

if TYPE_CHECKING:
    from collections.abc import Callable

    from amqtt.adapters import ReaderAdapter, WriterAdapter
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
    "BrokerProtocolHandler",
    "ListenerConfig",
    "ListenerType",
    "PluginManager",
    "RetainedApplicationMessage",
]

# Seconds that the handlers of one event of the life cycle may take.
_LIFECYCLE_LIMIT = 10.0


class Broker(BrokerOperations[BrokerProtocolHandler]):
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
        dispatch = BrokerDispatch(
            self._loop,
            self.plugins_manager,
            config.limits.decision_timeout,
            config.timeout_disconnect_delay or 0,
        )
        dispatch.exchanges.may_change_user = config.session_owner == SessionOwner.ANY
        self._make_views(dispatch)
        self._end: weakref.finalize[..., Any] | None = None
        self._stopping: asyncio.Future[None] | None = None
        self._addresses: dict[str, list[tuple[str, int]]] = {}
        self.transitions = BrokerTransitions()

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

    def _handler_of(self, session: Session) -> BrokerProtocolHandler:
        return BrokerProtocolHandler(
            self.plugins_manager, session, disconnect=self._disconnect_soon
        )

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
        native = self._dispatch.native
        if native.authenticates and not self._dispatch.calls.authenticates:
            takes_all = not native.policy["allow_anonymous"]
            warn_of_strangers(self.listeners_config, self._addresses, takes_all)
        try:
            await self._tell_plugins(BrokerEvents.POST_START)
        except asyncio.CancelledError:
            await self.shutdown()  # who has cancelled does not expect a broker that serves
            raise

    async def _tell_plugins(self, event: BrokerEvents, limit: float = _LIFECYCLE_LIMIT) -> None:
        """Wait until the plugins have handled an event of the life cycle."""
        try:
            await wait_for(self._dispatch.calls.tell_and_wait(event), limit)
        except asyncio.TimeoutError:
            self.logger.warning(
                "Plugins did not handle '%s' within %.3g s; continuing", event, limit
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
        storage = find_storage(self.plugins_manager.plugins)
        engine = self._new_engine()
        keeper = None
        try:
            if storage is not None:
                keeper = StateKeeper(storage, engine)
                await keeper.restore()
            addresses = await open_listeners(engine, self.listeners_config, self.config)
        except BaseException:
            engine.stop()  # what is open is not to wait for the garbage collector
            if storage is not None:
                await storage.close()
            raise
        pump = EventPump(self._loop, engine, self._dispatch.handle)
        self._dispatch.attach(engine, pump, keeper)
        engine.start()
        self._addresses = addresses
        # Runs when this object goes and also when the interpreter exits.
        self._end = weakref.finalize(self, end_engine, self._loop, pump, engine.stop)

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
                "unfinished_bytes": limits.max_unfinished_bytes,
                "pending_decisions": limits.max_pending_decisions,
                "pending_decision_bytes": limits.max_pending_decision_bytes,
                "session_bytes": limits.max_session_bytes,
                "subscription_bytes": limits.max_subscription_bytes,
                "total_subscription_bytes": limits.max_total_subscription_bytes,
                "total_queued_bytes": limits.max_total_queued_bytes,
            },
            protocol={
                "reason_strings": protocol.reason_strings,
                "check_payload_format": protocol.check_payload_format,
                "response_information": protocol.response_information or "",
                "server_reference": protocol.server_reference or "",
                "sessions_have_owners": config.session_owner != SessionOwner.ANY,
                "shared_subscription_strategy": protocol.shared_subscription_strategy.value,
                "sent_topic_alias_maximum": protocol.sent_topic_alias_maximum,
            },
            decision_timeout=limits.decision_timeout,
            policy=native.policy,
            python_authenticates=self._dispatch.calls.authenticates,
            authentication_methods=self._dispatch.exchanges.methods,
            python_checks_topics=self._dispatch.calls.checks_topics,
            threads=config.threads,
        )

    async def shutdown(self) -> None:
        """Close the listeners, disconnect all clients, and close the plugins.

        Wills are published first, and each client is sent what waits for it before it is
        disconnected. The whole takes at most `shutdown_timeout` of the configuration, if the
        plugins let it: what has not happened by then is left out.

        When the call is cancelled, the broker is shut down all the same.

        Raises:
            BrokerError: the broker is not running.

        """
        if self.transitions.state != "started" or self._end is None:
            msg = f"Broker instance can't be stopped: it is {self.transitions.state}"
            raise BrokerError(msg)
        self.transitions.shutdown()
        end, self._end = self._end, None
        self._stopping = asyncio.ensure_future(self._shut_down(end))
        await asyncio.shield(self._stopping)

    async def _shut_down(self, end: Callable[[], object]) -> None:
        limit = ShutdownTime(self._loop, self.config.shutdown_timeout)
        try:
            await self._stop_serving(limit)
        finally:  # whatever has failed, or if the loop ends
            self._dispatch.detach()
            self._addresses = {}
            end()
            self.logger.info("Broker closed")
            try:
                await self._tell_plugins(BrokerEvents.POST_SHUTDOWN, limit.left)
                await self._dispatch.calls.close()
            finally:
                self.transitions.stopping_success()

    async def _stop_serving(self, limit: ShutdownTime) -> None:
        await self._tell_plugins(BrokerEvents.PRE_SHUTDOWN, limit.share)
        engine = self._dispatch.engine
        if engine is not None:
            # Off the loop: the engine's thread is waited for.
            await asyncio.shield(run_in_thread(self._loop, engine.stop, limit.left_but_a_share))
            # Until there are none: behind those that it has begun to hand out there may be others.
            while events := engine.take_events(1000)[0]:
                self._dispatch.handle(events)
                await asyncio.sleep(0)  # handlers begin, and many end
            await self._dispatch.externals.wait_closed(limit.left)
            if self._dispatch.keeper is not None:
                await self._dispatch.keeper.finish(limit.left)
        await self._dispatch.calls.wait_for_handlers(limit.left)

    @staticmethod
    def _end_process(seconds: float, status: int) -> None:
        """End the process after a while, by a thread that needs nothing of the interpreter."""
        _core.end_process(seconds, status)

    def _stop_engine(self, limit: float) -> None:
        """Stop the engine, from another thread than that of the event loop.

        Args:
            limit: seconds for which clients may still be sent what waits for them.

        """
        engine = self._dispatch.engine
        if engine is not None:
            engine.stop(limit)

    async def external_connected(
        self, reader: ReaderAdapter, writer: WriterAdapter, listener_name: str
    ) -> None:
        """Serve a connection that the application has accepted; return when the client is gone.

        The connection is held to the limits of the listener and counts for it, but
        `max_connections` does not refuse it. Cancelling the call drops the connection. The writer
        is closed in any case.

        Args:
            reader: what the client sends; an exception that it raises ends the connection.
            writer: what is sent to the client; so does one of this. When it does not know its peer
                the connection is refused.
            listener_name: name of a listener in the configuration, of whatever type.

        Raises:
            BrokerError: there is no such listener, or the broker is not running.
            OSError: the process has no file descriptors left.
            RuntimeError: the running loop is not that of the broker.

        """
        listener = self.listeners_config.get(listener_name)
        if listener is None or listener.bind is None:
            msg = f"Invalid listener name '{listener_name}'"
            raise BrokerError(msg)
        if asyncio.get_running_loop() is not self._loop:
            msg = "external_connected() must be awaited on the event loop of the broker"
            raise RuntimeError(msg)
        engine = self._running_engine("serve a connection")
        if not self.transitions.is_started():
            msg = f"Broker instance can't serve a connection: it is {self.transitions.state}"
            raise BrokerError(msg)
        await self._dispatch.externals.serve(engine.adopt, reader, writer, listener_name)

    async def reload(self) -> None:
        """Let the plugins read again what they decide by, and hold clients to it.

        Then `reauthorize()` disconnects clients and removes subscriptions that are not allowed any
        more, and the certificates are read again. What a plugin raises is logged.

        Raises:
            BrokerError: the broker is not running, or files of a listener cannot be used.

        """
        self._running_engine("reload")
        await self.plugins_manager.map_plugin_reload()
        await self.reauthorize()
        await self.reload_certificates()

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

    # -- names that applications of aMQTT use

    @staticmethod
    def _split_bindaddr_port(port_str: str, default_port: int) -> tuple[str, int]:
        """Split `host:port`; see `split_bind`."""
        return split_bind(port_str, default_port)

    @staticmethod
    def _matches(topic: str, a_filter: str) -> bool:
        """Tell whether a filter matches a topic."""
        return TopicMatcher.is_topic_allowed(topic, a_filter)
