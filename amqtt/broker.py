"""The MQTT broker."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import weakref
from typing import TYPE_CHECKING, Any, ClassVar

from amqtt import _core
from amqtt._bridge import EventPump, end_engine
from amqtt._dispatch import broker_policy
from amqtt._listener_security import check_security, tls_options
from amqtt._states import BrokerTransitions
from amqtt._topics import check_topic_name
from amqtt.contexts import (
    Action,
    BaseContext,
    BrokerConfig,
    ListenerConfig,
    ListenerType,
)
from amqtt.errors import BrokerError
from amqtt.events import BrokerEvents
from amqtt.mqtt.constants import QOS_0, QOS_1, QOS_2
from amqtt.session import ApplicationMessage

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
    "BrokerError",
    "BrokerEvents",
    "ListenerConfig",
    "ListenerType",
    "RetainedApplicationMessage",
]

DEFAULT_PORTS = {"tcp": 1883, "ws": 8883}
_UNIX = "unix:"


class RetainedApplicationMessage(ApplicationMessage):
    """Hold a message that is kept for subscribers to come.

    Args:
        source_session: the session of the publisher; None for messages of the server.
        topic: topic name.
        data: payload.
        qos: quality of service, or None when it is not decided.

    """

    __slots__ = ("source_session",)

    def __init__(
        self,
        source_session: Session | None,
        topic: str,
        data: bytes | bytearray,
        qos: int | None = None,
    ) -> None:
        """Make a retained message."""
        super().__init__(None, topic, qos, data, True)
        self.source_session = source_session


class Broker:
    """Serve MQTT clients.

    The engine runs on a thread of its own; the event loop only starts and stops it and takes
    its log records. Must be made while a loop is running, unless `loop` is given.

    Args:
        config: the configuration; a dictionary is read by `BrokerConfig.from_dict`, None means
            the defaults: port 1883, everyone admitted.
        loop: the event loop; None means the running one.
        plugin_namespace: name of the group of plugin entry points.

    Raises:
        dacite.DaciteError: the dictionary has an unknown key or a value of a wrong type.
        PluginLoadError: a configured plugin is not available.
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
        self._policy = broker_policy(_as_mapping(config.plugins), self.logger)
        self._engine: _core.BrokerEngine | None = None
        self._end: weakref.finalize[..., Any] | None = None
        self._addresses: dict[str, list[tuple[str, int]]] = {}
        self.transitions = BrokerTransitions()

    @property
    def addresses(self) -> dict[str, list[tuple[str, int]]]:
        """Where the broker listens: host and port of every socket, by name of the listener.

        The way to learn the port of a listener that binds port 0. Of a Unix socket the host is
        `unix:` and its path, and the port is 0.
        """
        return {name: list(bound) for name, bound in self._addresses.items()}

    async def start(self) -> None:
        """Open the listeners and serve clients.

        Raises:
            BrokerError: the broker is started already, or a listener cannot be opened; then none
                is open and `start()` may be called again.

        """
        if self.transitions.state in ("starting", "started", "stopping"):
            msg = f"Broker instance can't be started: it is {self.transitions.state}"
            raise BrokerError(msg)
        self.transitions.start()
        try:
            await self._start_engine()
        except asyncio.CancelledError:
            self.transitions.starting_fail()
            raise
        except Exception as error:
            self.transitions.starting_fail()
            msg = f"Broker instance can't be started: {error}"
            raise BrokerError(msg) from error
        self.transitions.starting_success()

    def check_listeners(self) -> None:
        """Check the addresses of the listeners as far as that needs no socket.

        Raises:
            BrokerError: a listener cannot be opened as it is configured.

        """
        for name, listener in self.listeners_config.items():
            if listener.bind is None or listener.type is ListenerType.EXTERNAL:
                continue
            check_security(name, listener)
            if listener.bind.startswith(_UNIX):
                if listener.bind == _UNIX:
                    msg = f"listener '{name}': bind '{_UNIX}' names no file"
                    raise BrokerError(msg)
                continue
            try:
                self._split_bindaddr_port(listener.bind, DEFAULT_PORTS[listener.type])
            except ValueError as error:
                msg = f"listener '{name}': {error}"
                raise BrokerError(msg) from error

    async def _start_engine(self) -> None:
        self.check_listeners()
        engine = self._new_engine()
        addresses = {}
        for name, listener in self.listeners_config.items():
            if listener.bind is None:
                continue
            try:
                # Off the loop: a host name may have to be resolved.
                addresses[name] = await asyncio.to_thread(self._listen, engine, name, listener)
            except Exception:
                engine.stop()  # those that are open are not to wait for the garbage collector
                raise
            self.logger.info(
                "Listener '%s' bind to %s (max_connections=%d)",
                name,
                listener.bind,
                listener.max_connections,
            )
        pump = EventPump(self._loop, engine, self._log_events)
        engine.start()
        self._engine = engine
        self._addresses = addresses
        # Runs when this object goes and also when the interpreter exits.
        self._end = weakref.finalize(self, end_engine, self._loop, pump, engine.stop)

    def _new_engine(self) -> _core.BrokerEngine:
        config, limits, protocol = self.config, self.config.limits, self.config.protocol
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
            **self._policy.as_arguments(),
        )

    def _listen(
        self, engine: _core.BrokerEngine, name: str, listener: ListenerConfig
    ) -> list[tuple[str, int]]:
        if listener.type is ListenerType.EXTERNAL:
            msg = f"listener '{name}': type external is not available in this version"
            raise BrokerError(msg)
        bind, host, port = listener.bind or "", "", 0
        is_unix = bind.startswith(_UNIX)
        if not is_unix:
            host, port = self._split_bindaddr_port(bind, DEFAULT_PORTS[listener.type])
        try:
            return engine.listen(
                name=name,
                host=host.strip("[]"),
                port=port,
                unix_path=bind.removeprefix(_UNIX) if is_unix else "",
                unix_mode=int(listener.unix_mode, 8) if listener.unix_mode else None,
                max_connections=max(0, listener.max_connections),
                limits={
                    **self.config.limits.of_listener(listener.limits),
                    "tolerate": [each.value for each in self.config.protocol.tolerate],
                },
                tls=tls_options(listener) if listener.ssl else None,
                websocket=(listener.ws_path or "", listener.ws_origins or [])
                if listener.type is ListenerType.WS
                else None,
                proxies=(listener.proxy_trusted or []) if listener.proxy_protocol else None,
            )
        except OSError as error:
            where = bind if is_unix else f"{bind} (port {port})"
            msg = f"listener '{name}' cannot bind to {where}: {_reason(error)}"
            raise OSError(error.errno, msg) from error
        except ValueError as error:
            msg = f"listener '{name}': {error}"
            raise BrokerError(msg) from error

    @staticmethod
    def _split_bindaddr_port(port_str: str, default_port: int) -> tuple[str, int]:
        """Split `host:port`; brackets around an IPv6 address are kept.

        Raises:
            ValueError: the port is no number from 0 to 65535, or a bracket is missing.

        """
        if port_str.startswith("["):
            host, bracket, rest = port_str.partition("]")
            if not bracket:
                msg = f"']' is missing in bind address '{port_str}'"
                raise ValueError(msg)
            host, port = host + "]", rest.removeprefix(":")
        elif ":" in port_str:
            host, _, port = port_str.rpartition(":")
        elif port_str.isdigit():
            host, port = "", port_str
        else:
            host, port = port_str, ""
        if not port:
            return host, default_port
        if not port.isdigit() or int(port) > 65535:
            msg = f"bind address '{port_str}': the port must be a number from 0 to 65535"
            raise ValueError(msg)
        return host, int(port)

    async def shutdown(self) -> None:
        """Disconnect all clients and close the listeners.

        Raises:
            BrokerError: the broker is not running.

        """
        if self.transitions.state != "started" or self._end is None:
            msg = f"Broker instance can't be stopped: it is {self.transitions.state}"
            raise BrokerError(msg)
        self.transitions.shutdown()
        end, self._end = self._end, None
        engine, self._engine = self._engine, None
        self._addresses = {}
        if engine is not None:
            # Off the loop: the engine's thread is waited for.
            await asyncio.shield(asyncio.to_thread(engine.stop))
            self._log_events(engine.take_events(100_000)[0])
        end()
        self.logger.info("Broker closed")
        self.transitions.stopping_success()

    async def reload_certificates(self) -> None:
        """Read the files of certificates, keys, authorities and revocations again.

        The broker also does it by itself within seconds when they have changed. New connections
        use them; those that are open go on as they are.

        Raises:
            BrokerError: the broker is not running, or files of a listener cannot be used: it keeps
                what it has, and the others have the new ones.

        """
        if self._engine is None:
            msg = f"Broker instance can't read its certificates: it is {self.transitions.state}"
            raise BrokerError(msg)
        problems = self._engine.reload_certificates()
        if problems:
            msg = "; ".join(f"listener '{name}': {problem}" for name, problem in problems)
            raise BrokerError(msg)
        self.logger.info("Certificates were read again")

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
        check_topic_name(topic)
        if self._engine is None:
            msg = f"Broker instance can't publish: it is {self.transitions.state}"
            raise BrokerError(msg)
        self._engine.publish(topic, data, qos, False)

    def _log_events(self, events: list[tuple[int, str, str]]) -> None:
        for level, name, text in events:
            logging.getLogger(name).log(level, "%s", text)


def _as_mapping(plugins: Any) -> dict[str, Any] | None:
    # BrokerConfig has made a dictionary of every style of configuration.
    return plugins if plugins is None else dict(plugins)


def _reason(error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return "address already in use"
    return os.strerror(error.errno) if error.errno else str(error)
