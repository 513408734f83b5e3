"""The MQTT client."""

from __future__ import annotations

import asyncio
import errno
import logging
import weakref
from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from amqtt._bridge import ClientReactor, EngineError, client_reactor
from amqtt._client_plugins import load_client_plugins, open_watched
from amqtt._topics import check_topic_name
from amqtt._uri import Target, parse_uri
from amqtt.contexts import BaseContext, ClientConfig
from amqtt.errors import ClientError, ConnectError
from amqtt.mqtt.constants import QOS_0, QOS_1, QOS_2
from amqtt.mqtt.protocol.client_handler import ClientProtocolHandler
from amqtt.plugins.manager import PluginManager
from amqtt.session import (
    ApplicationMessage,
    IncomingApplicationMessage,
    OutgoingApplicationMessage,
    Session,
)
from amqtt.utils import gen_client_id

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence
    from pathlib import Path

    from amqtt.mqtt.protocol._tunnel import Tunnel

__all__ = [
    "CONNECTION_ACCEPTED",
    "QOS_0",
    "QOS_1",
    "QOS_2",
    "ApplicationMessage",
    "BaseContext",
    "ClientConfig",
    "ClientContext",
    "ClientError",
    "ClientProtocolHandler",
    "ConnectError",
    "MQTTClient",
    "OutgoingApplicationMessage",
    "PluginManager",
    "Session",
]

CONNECTION_ACCEPTED = 0

# CONNACK return codes that the next attempt would get again.
_PERMANENT_REFUSALS = (1, 2, 4, 5)
# Publishes at QoS 0 between two waits for the engine to have sent them.
_UNCONFIRMED_MESSAGES = 500
_UNCONFIRMED_BYTES = 256 * 1024
# Seconds that the plugins may take to handle the last packets.
_HANDLERS_LIMIT = 5.0


class _ConnectCancelledError(ConnectError, asyncio.CancelledError):
    """Say that a connect was cancelled, to those who catch ConnectError and to asyncio."""


class ClientContext(BaseContext):
    """Give a plugin of a client its environment.

    Attributes:
        config: the configuration of the client.

    """

    def __init__(self) -> None:
        """Make a context without a configuration."""
        super().__init__()
        self.config: ClientConfig | None = None


class _Handler:
    """The connection, for those who want to lose it."""

    def __init__(self, client: MQTTClient) -> None:
        self._client = client

    async def stop(self) -> None:
        """Drop the connection without DISCONNECT, as a failing network does."""
        await self._client._drop_connection()


class MQTTClient:
    """Publish and subscribe through an MQTT broker, from asyncio code.

    Args:
        client_id: client identifier; None means a random one, an empty text lets the broker
            choose one.
        config: the configuration; a dictionary is read by `ClientConfig.from_dict`, None means
            the defaults.

    Attributes:
        client_id: as given or chosen.
        config: the configuration.
        plugins_manager: the plugins of the configuration; `disconnect()` closes them.
        session: what is known of the connection; None before the first `connect()`.
        client_tasks: what pending calls of `deliver_message()` wait for.
        reconnected: a coroutine function that is called each time the client has connected again
            by itself, after a loss of the connection; None for nothing. Its argument tells
            whether the broker had kept the session: if not, the subscriptions are gone.

    Raises:
        dacite.DaciteError: the dictionary has an unknown key or a value of a wrong type.
        PluginImportError: a configured plugin cannot be imported.
        PluginLoadError: a configured class is no plugin, or its options are wrong.
        PluginInitError: the constructor of a plugin raised.

    """

    def __init__(
        self, client_id: str | None = None, config: ClientConfig | dict[str, Any] | None = None
    ) -> None:
        """Read the configuration; nothing is connected yet."""
        self.logger = logging.getLogger(__name__)
        if isinstance(config, dict) or config is None:
            config = ClientConfig.from_dict(config)
        self.config = config
        context = ClientContext()
        context.config = config
        self.plugins_manager = load_client_plugins(context)
        self.client_id = gen_client_id() if client_id is None else client_id
        self.session: Session | None = None
        self.additional_headers: dict[str, Any] = {}
        self.client_tasks: deque[asyncio.Future[Any]] = deque()
        self.reconnected: Callable[[bool], Awaitable[None]] | None = None
        self._reactor: ClientReactor | None = None
        self._handle = 0
        self._release: weakref.finalize[..., Any] | None = None
        self._connected_state = asyncio.Event()
        self._no_more_connections = asyncio.Event()
        self._connection_lost: asyncio.Future[str] | None = None
        self._disconnect_task: asyncio.Task[None] | None = None
        self._tunnel: Tunnel | None = None
        self._unconfirmed_messages = 0
        self._unconfirmed_bytes = 0

    # -- connecting

    async def connect(
        self,
        uri: str | None = None,
        cleansession: bool | None = None,
        cafile: str | Path | None = None,
        capath: str | Path | None = None,
        cadata: str | None = None,
        additional_headers: dict[str, Any] | None = None,
    ) -> int:
        """Connect to a broker, with a new session object.

        Arguments that are None come from the configuration. With `auto_reconnect` a failed attempt
        is repeated as by `reconnect()`, unless it is bound to fail again.

        Args:
            uri: `mqtt://[user:password@]host[:port]`.
            cleansession: whether the broker is to begin with a new session; kept in the
                configuration for later connects.
            cafile: file with the certificates that the broker's is checked against.
            capath: folder with such certificates.
            cadata: such certificates in PEM form.
            additional_headers: headers of a WebSocket handshake.

        Returns:
            0, the return code of CONNACK.

        Raises:
            ConnectError: the broker cannot be reached (the cause says why), or it refuses the
                client (`return_code` says why).
            ClientError: there is no URI, or its scheme is not supported.

        """
        if self._connected_state.is_set():
            await self.disconnect()
        else:
            await self._stop_reconnecting()
        self.additional_headers = additional_headers or {}
        if cleansession is not None:
            self.config.cleansession = cleansession
        self.session = self._new_session(uri, cafile, capath, cadata)
        return await self._attempt(first=True)

    async def reconnect(self, cleansession: bool | None = None) -> int:
        """Connect again after the connection was lost, with the same session object.

        Waits longer after each failed attempt, at most `reconnect_max_interval` seconds.

        Args:
            cleansession: True lets the broker begin with a new session.

        Returns:
            0, the return code of CONNACK.

        Raises:
            ConnectError: `reconnect_retries` attempts after the first have failed too.
            ClientError: the client was never connected.

        """
        if self.session is None:
            msg = "Never connected: call connect() first"
            raise ClientError(msg)
        if self.session.transitions.is_connected():
            self.logger.warning("Client already connected")
            return CONNECTION_ACCEPTED
        if cleansession:
            self.session.clean_session = cleansession
        code = await self._attempt(first=False)
        kept = "was kept" if self.session.parent else "is new"
        self.logger.info("Reconnected to broker, the session %s", kept)
        return code

    async def _attempt(self, *, first: bool) -> int:
        """Connect, repeatedly; calls that wait for the connection wait until this has ended."""
        self._no_more_connections.clear()
        try:
            if first:
                return await self._connect_first()
            return await self._reconnect_until_given_up()
        except asyncio.CancelledError as cancelled:
            self._abandon_connection()
            msg = "Future or Task was cancelled"
            raise _ConnectCancelledError(msg) from cancelled
        finally:
            if not self._connected_state.is_set():
                self._no_more_connections.set()

    async def _connect_first(self) -> int:
        try:
            return await self._connect_once()
        except ConnectError as error:
            if not self.config.auto_reconnect or _is_permanent(error):
                raise
            self.logger.warning("%s; trying again", error)
        return await self._reconnect_until_given_up()

    async def _reconnect_until_given_up(self) -> int:
        retries = 2 if self.config.reconnect_retries is None else self.config.reconnect_retries
        longest = self.config.reconnect_max_interval or 10
        attempt = 0
        while not self._connected_state.is_set():  # by another call of reconnect(), that is
            attempt += 1
            try:
                return await self._connect_once()
            except ConnectError as error:
                if _is_permanent(error):
                    raise
                self.logger.warning("Reconnection attempt %d failed: %s", attempt, error)
                if 0 <= retries < attempt:
                    msg = "Too many failed attempts"
                    failure = ConnectError(msg)
                    failure.return_code = error.return_code
                    raise failure from (error.__cause__ or error)
            # 2**attempt would grow without end with unlimited retries.
            await asyncio.sleep(min(longest, 2 ** min(attempt, 16)))
        return CONNECTION_ACCEPTED

    async def _connect_once(self) -> int:
        session = self._require_session()
        target = parse_uri(session.broker_uri or "")
        await self._stop_watching()
        # Before the command: the connection may be made and lost before this task runs again.
        self._connection_lost = asyncio.get_running_loop().create_future()
        try:
            return_code, session_present = await asyncio.wait_for(
                self._exchange_connect(session, target), self.config.connection_timeout
            )
        except asyncio.TimeoutError as error:
            msg = f"No connection to {target.host}:{target.port} within "
            msg += f"{self.config.connection_timeout} seconds"
            raise ConnectError(msg) from error
        except EngineError as error:
            cause = error.as_os_error()
            msg = f"Connection to {target.host}:{target.port} failed: {error}"
            raise ConnectError(msg) from cause
        except OSError as error:  # from the stream that plugins watch
            msg = f"Connection to {target.host}:{target.port} failed: {error}"
            raise ConnectError(msg) from error
        if return_code != CONNECTION_ACCEPTED:
            msg = "Connection rejected by broker"
            refused = ConnectError(msg)
            refused.return_code = return_code
            raise refused
        self._connection_made(session, session_present)
        return CONNECTION_ACCEPTED

    async def _exchange_connect(self, session: Session, target: Target) -> tuple[int, bool]:
        """Let the engine connect; return the return code and session present flag of CONNACK."""
        reactor = self._require_reactor()
        self._tunnel = await open_watched(
            self.plugins_manager, session, target, self.config.keep_alive or 0
        )
        settings: dict[str, Any] = {
            "host": target.host,
            "port": target.port,
            "client_id": self.client_id,
            "user_name": session.username,
            "password": _as_bytes(session.password),
            "will": self._will(),
        }
        number, answer = reactor.ticket(self._handle)
        try:
            if self._tunnel is not None:
                settings = await self._tunnel.open()
            with self._refusing_bad_values(reactor, number):
                reactor.engine.connect(
                    self._handle,
                    number,
                    clean_session=bool(session.clean_session),
                    keep_alive=self.config.keep_alive or 0,
                    ping_after=session.keep_alive,
                    **settings,
                )
            answered: tuple[int, bool] = await reactor.wait(self._handle, number, answer)
        except BaseException:
            await self._stop_watching()
            raise
        return answered

    async def _stop_watching(self) -> None:
        """Close the stream that plugins watch; the engine ends, or has ended, its connection."""
        tunnel, self._tunnel = self._tunnel, None
        if tunnel is not None:
            await tunnel.close()

    def _connection_made(self, session: Session, session_present: bool) -> None:
        session.parent = int(session_present)
        session.transitions.connect()
        self._connected_state.set()
        self._disconnect_task = asyncio.create_task(self.handle_connection_close())

    def _new_session(
        self,
        uri: str | None,
        cafile: str | Path | None,
        capath: str | Path | None,
        cadata: str | None,
    ) -> Session:
        connection = self.config.connection
        uri = uri or connection.uri
        if not uri:
            msg = "Missing connection parameter 'uri'"
            raise ClientError(msg)
        target = parse_uri(uri)
        session = Session()
        session.broker_uri = uri
        session.client_id = self.client_id
        session.cafile = cafile or connection.cafile
        session.capath = capath or connection.capath
        session.cadata = cadata or connection.cadata
        session.username = target.username
        session.password = target.password
        session.clean_session = self.config.cleansession is not False
        # When to ping; the broker is told keep_alive itself.
        if self.config.keep_alive:
            session.keep_alive = max(1, self.config.keep_alive - (self.config.ping_delay or 0))
        if self.config.will is not None:
            session.will_flag = True
            session.will_topic = self.config.will.topic
            session.will_message = _as_bytes(self.config.will.message)
            session.will_qos = self.config.will.qos or QOS_0
            session.will_retain = bool(self.config.will.retain)
        return session

    def _will(self) -> tuple[str, bytes, int, bool] | None:
        session = self._require_session()
        if not session.will_flag or session.will_topic is None:
            return None
        payload = bytes(session.will_message or b"")
        return session.will_topic, payload, session.will_qos or QOS_0, bool(session.will_retain)

    async def disconnect(self) -> None:
        """Send DISCONNECT and close the connection and the plugins, or stop trying to connect.

        Pending calls of `deliver_message()` return None; messages that have been received can
        still be taken.
        """
        await self.cancel_tasks()
        session = self.session
        if session is None or not session.transitions.is_connected() or self._reactor is None:
            self.logger.warning("Client session is not currently connected")
            await self._stop_reconnecting()
            return
        if self._disconnect_task is not None:
            self._disconnect_task.cancel()
        self._connected_state.clear()
        self._no_more_connections.set()
        session.transitions.disconnect()
        number, answer = self._reactor.ticket(self._handle)
        self._reactor.engine.disconnect(self._handle, number)
        await self._reactor.wait(self._handle, number, answer)
        await self._stop_watching()
        if self._connection_lost is not None:
            self._connection_lost.cancel()
        self._reactor.fail_all(self._handle, "the client has disconnected")
        await self.plugins_manager.wait_for_handlers(_HANDLERS_LIMIT)
        await self.plugins_manager.close()

    async def _stop_reconnecting(self) -> None:
        """End what tries to connect again after a loss, if that goes on."""
        monitor = self._disconnect_task
        if monitor is not None and not monitor.done() and monitor is not asyncio.current_task():
            monitor.cancel()
            await asyncio.wait((monitor,))

    async def _drop_connection(self) -> None:
        reactor = self._require_reactor()
        number, answer = reactor.ticket(self._handle)
        reactor.engine.abort(self._handle, number)
        await reactor.wait(self._handle, number, answer)
        self.connection_lost("the connection was dropped")

    @property
    def _handler(self) -> _Handler | None:
        return None if self.session is None else _Handler(self)

    async def cancel_tasks(self) -> None:
        """End all pending calls of `deliver_message()`; they return None."""
        while self.client_tasks:
            self.client_tasks.popleft().cancel()

    async def handle_connection_close(self) -> None:
        """Wait until the connection is lost, then reconnect or give up."""
        if self._connection_lost is None:
            return
        reason = await self._connection_lost
        self.logger.warning("Disconnected from broker: %s", reason)
        session = self._require_session()
        self._connected_state.clear()
        if session.transitions.is_connected():
            session.transitions.disconnect()
        if self.config.auto_reconnect:
            try:
                await self.reconnect()
            except ClientError as error:
                self.logger.warning("Gave up reconnecting: %s", error)
            else:
                await self._tell_reconnected(bool(session.parent))
                return
        self._give_up()
        await self.cancel_tasks()

    async def _tell_reconnected(self, session_present: bool) -> None:
        if self.reconnected is None:
            return
        try:
            await self.reconnected(session_present)
        except ClientError as error:  # most likely the connection is lost for good
            self.logger.warning("What was to follow the reconnection failed: %s", error)
        except Exception:
            self.logger.exception("What was to follow the reconnection failed")

    def _give_up(self) -> None:
        self._no_more_connections.set()
        # What is in flight will not be acknowledged any more.
        self._abandon_connection()
        if self._reactor is not None:
            self._reactor.fail_all(self._handle, "the connection was lost")

    def _abandon_connection(self) -> None:
        if self._reactor is not None:
            self._reactor.engine.abort(self._handle, 0)

    # -- what the engine says

    def message_received(
        self, topic: str, payload: bytes, qos: int, retain: bool, packet_id: int, dup: bool
    ) -> None:
        """Take a message from the engine; not for applications."""
        del dup
        session = self._require_session()
        message = IncomingApplicationMessage(packet_id or None, topic, qos, payload, retain)
        session.delivered_message_queue.put_nowait(message)
        self._wake_delivery()

    def connection_lost(self, reason: str) -> None:
        """Note that the connection is gone; not for applications."""
        if self._connection_lost is not None and not self._connection_lost.done():
            self._connection_lost.set_result(reason)

    # -- publishing and subscribing

    async def ping(self) -> None:
        """Send PINGREQ and wait for PINGRESP.

        Raises:
            ClientError: the client is not connected and does not try to be.

        """
        await self._request("ping")

    async def publish(
        self,
        topic: str,
        message: bytes | bytearray,
        qos: int | None = None,
        retain: bool | None = None,
        ack_timeout: int | None = None,
    ) -> OutgoingApplicationMessage:
        """Publish a message and wait until its QoS flow is complete.

        At QoS 0 the message is on its way when the call returns; at QoS 1 PUBACK has come, at
        QoS 2 PUBCOMP.

        Args:
            topic: topic name, without wildcards.
            message: payload.
            qos: quality of service, 0 to 2; None means what the configuration has for the topic.
            retain: the retain flag; None means what the configuration has for the topic.
            ack_timeout: seconds to wait for the acknowledgement; None or 0 means without end.

        Returns:
            The message as it was sent.

        Raises:
            ClientError: `qos` is out of range, or the client is not connected and does not try
                to be.
            MQTTError: the topic is empty, has a wildcard, or is no MQTT text (MQTT-3.3.2-2).
            TypeError: the payload is not bytes.
            asyncio.TimeoutError: the acknowledgement did not come in time.

        """
        qos, retain = self._publish_settings(topic, qos, retain)
        if not isinstance(message, bytes | bytearray):
            msg = f"the payload must be bytes or bytearray, not {type(message).__name__}"
            raise TypeError(msg)
        check_topic_name(topic)
        await self._wait_connected()
        if qos == QOS_0:
            await self._publish_unacknowledged(topic, message, retain)
            return OutgoingApplicationMessage(None, topic, qos, message, retain)
        acknowledged = self._request("publish", topic, message, qos, retain)
        packet_id = await asyncio.wait_for(acknowledged, ack_timeout or None)
        return OutgoingApplicationMessage(packet_id, topic, qos, message, retain)

    def _publish_settings(
        self, topic: str, qos: int | None, retain: bool | None
    ) -> tuple[int, bool]:
        defaults = (self.config.topics or {}).get(topic)
        if qos is None:
            qos = defaults.qos if defaults is not None else self.config.default_qos or QOS_0
        if retain is None:
            retain = bool(defaults.retain if defaults is not None else self.config.default_retain)
        if qos not in (QOS_0, QOS_1, QOS_2):
            msg = f"QoS {qos!r} is out of range: must be 0, 1 or 2"
            raise ClientError(msg)
        return qos, bool(retain)

    async def _publish_unacknowledged(
        self, topic: str, message: bytes | bytearray, retain: bool
    ) -> None:
        """Hand a message to the engine, and wait for it to catch up now and then."""
        self._unconfirmed_messages += 1
        self._unconfirmed_bytes += len(topic) + len(message)
        if (
            self._unconfirmed_messages < _UNCONFIRMED_MESSAGES
            and self._unconfirmed_bytes < _UNCONFIRMED_BYTES
        ):
            reactor = self._require_reactor()
            with self._refusing_bad_values(reactor, 0):
                reactor.engine.publish(self._handle, 0, topic, message, QOS_0, retain)
            return
        self._unconfirmed_messages = self._unconfirmed_bytes = 0
        await self._request("publish", topic, message, QOS_0, retain)

    async def subscribe(self, topics: Sequence[tuple[str, int]]) -> list[int]:
        """Subscribe to topic filters.

        Args:
            topics: pairs of filter and the highest QoS to receive, 0 to 2.

        Returns:
            A return code for each filter, in their order: the QoS that was granted, or 0x80 for
            a filter that the broker refuses.

        Raises:
            ClientError: a QoS is out of range, there is no filter, or the client is not connected
                and does not try to be.

        """
        filters = [(topic, qos) for topic, qos in topics]
        if not filters:
            msg = "[MQTT-3.8.3-3] subscribe() needs at least one topic filter"
            raise ClientError(msg)
        for topic, qos in filters:
            if qos not in (QOS_0, QOS_1, QOS_2):
                msg = f"QoS {qos!r} for '{topic}' is out of range: must be 0, 1 or 2"
                raise ClientError(msg)
        codes: list[int] = await self._request("subscribe", filters)
        return codes

    async def unsubscribe(self, topics: Sequence[str]) -> None:
        """Remove subscriptions.

        Args:
            topics: the filters, as they were given to `subscribe()`.

        Raises:
            ClientError: there is no filter, or the client is not connected and does not try to be.

        """
        filters = list(topics)
        if not filters:
            msg = "[MQTT-3.10.3-2] unsubscribe() needs at least one topic filter"
            raise ClientError(msg)
        await self._request("unsubscribe", filters)

    async def _request(self, command: str, *arguments: Any) -> Any:
        """Send a command on the connection and wait for its answer.

        A command that the loss of the connection has cut off is sent again on the next one.
        """
        while True:
            await self._wait_connected()
            reactor = self._require_reactor()
            connection = self._connection_lost
            number, answer = reactor.ticket(self._handle)
            with self._refusing_bad_values(reactor, number):
                getattr(reactor.engine, command)(self._handle, number, *arguments)
            try:
                return await reactor.wait(self._handle, number, answer)
            except EngineError as error:
                if error.errno == errno.ENOBUFS:
                    msg = "All 65,535 packet identifiers are in use"
                    raise ClientError(msg) from error
                self.logger.debug("%s was cut off: %s", command, error)
                if connection is not None:
                    await asyncio.wait((connection,))
                if self._connection_lost is connection:
                    self._connected_state.clear()

    @contextmanager
    def _refusing_bad_values(self, reactor: ClientReactor, number: int) -> Iterator[None]:
        """Turn what the engine finds wrong with a command into a ClientError."""
        try:
            yield
        except (ValueError, OverflowError) as error:
            reactor.drop(number)
            raise ClientError(str(error)) from error

    async def _wait_connected(self) -> None:
        if self._connected_state.is_set():
            return
        if self.session is None or self._no_more_connections.is_set():
            # Also after disconnect(): nothing will connect unless the application says so.
            never = self.session is None
            msg = "Not connected: call connect() first" if never else "Will not reconnect"
            raise ClientError(msg)
        self.logger.warning("Client is not connected, waiting for the connection")
        events = (self._connected_state, self._no_more_connections)
        waiting = [asyncio.ensure_future(event.wait()) for event in events]
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waiting:
                each.cancel()
        if self._no_more_connections.is_set():
            msg = "Will not reconnect"
            raise ClientError(msg)

    # -- receiving

    async def deliver_message(
        self, timeout_duration: float | None = None
    ) -> ApplicationMessage | None:
        """Return the next message of the subscriptions, in the order of arrival.

        Args:
            timeout_duration: seconds to wait; None means without end.

        Returns:
            The message; None when the wait was ended by `disconnect()`, `cancel_tasks()` or an
            unrecovered loss of the connection.

        Raises:
            asyncio.TimeoutError: no message came in time.
            ClientError: the client was never connected, or it is not connected any more and all
                messages have been taken.

        """
        if self.session is None:
            msg = "Handler is not initialized."
            raise ClientError(msg)
        queue = self.session.delivered_message_queue
        loop = asyncio.get_running_loop()
        deadline = None if timeout_duration is None else loop.time() + timeout_duration
        while queue.empty():
            if self._no_more_connections.is_set():
                msg = "Will not reconnect"
                raise ClientError(msg)
            waiter: asyncio.Future[None] = loop.create_future()
            self.client_tasks.append(waiter)
            try:
                left = None if deadline is None else max(0, deadline - loop.time())
                await asyncio.wait((waiter,), timeout=left)
            except asyncio.CancelledError:
                if waiter.done() and not waiter.cancelled():
                    self._wake_delivery()  # the message is for somebody else now
                raise
            finally:
                if waiter in self.client_tasks:
                    self.client_tasks.remove(waiter)
            if waiter.cancelled():
                return None
            if not waiter.done():
                raise asyncio.TimeoutError
        message: ApplicationMessage = queue.get_nowait()
        return message

    def _wake_delivery(self) -> None:
        while self.client_tasks:
            waiter = self.client_tasks.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return

    # -- helpers

    def _require_session(self) -> Session:
        if self.session is None:
            msg = "Not connected: call connect() first"
            raise ClientError(msg)
        return self.session

    def _require_reactor(self) -> ClientReactor:
        loop = asyncio.get_running_loop()
        if self._reactor is None or self._reactor.loop is not loop:
            if self._release is not None:
                self._release()
            self.plugins_manager.use_loop(loop)
            self._reactor = client_reactor(loop)
            self._handle = self._reactor.open(self)
            self._release = weakref.finalize(self, _forget, self._reactor, self._handle)
        return self._reactor


def _forget(reactor: ClientReactor, handle: int) -> None:
    try:
        reactor.engine.forget(handle)
    except RuntimeError:  # this process was forked from the client's, which goes on there
        return


def _is_permanent(error: ConnectError) -> bool:
    return error.return_code in _PERMANENT_REFUSALS


def _as_bytes(value: str | bytes | bytearray | None) -> bytes | None:
    return value.encode() if isinstance(value, str) else None if value is None else bytes(value)
