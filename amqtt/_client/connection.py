"""The connection of a client: made, lost, made again."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from amqtt._client.authentication import AuthenticationExchange
from amqtt._client.commands import ClientCommands
from amqtt._client.endpoint import Target, endpoint_of, engine_settings, parse_uri
from amqtt._client.packets import (
    CONNECTION_ACCEPTED,
    check_disconnect,
    connect_fields,
    refusal,
)
from amqtt._client.plugins import PacketEvents
from amqtt._client.retries import is_permanent, until_connected
from amqtt._client.session import new_session
from amqtt._compat import wait_for
from amqtt._engine.codec import PROTOCOL_5_0
from amqtt._engine.reactor import EngineError
from amqtt.errors import ClientError, ConnectError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from amqtt.client_authentication import ClientAuthentication
    from amqtt.contexts import ClientConfig
    from amqtt.session import Session

# Seconds that the plugins may take to handle the last packets.
_HANDLERS_LIMIT = 5.0


class _ConnectCancelledError(ConnectError, asyncio.CancelledError):
    """Say that a connect was cancelled, to those who catch ConnectError and to asyncio."""

    def __init__(self, *args: object) -> None:
        ConnectError.__init__(self, *args)


class ClientConnection(ClientCommands):
    """Connect, and connect again; the part of `MQTTClient` that sends and receives nothing."""

    config: ClientConfig
    client_id: str

    def __init__(self) -> None:
        """Begin without a connection."""
        super().__init__()
        self.additional_headers: dict[str, Any] = {}
        self.reconnected: Callable[[bool], Awaitable[None]] | None = None
        self.authentication: ClientAuthentication | None = None
        self.connack_properties: dict[str, Any] = {}
        self.disconnect_properties: dict[str, Any] = {}
        self._connection_number = 0  # the ticket of its connect
        self._disconnect_task: asyncio.Task[None] | None = None
        self._exchange: AuthenticationExchange | None = None
        self._packet_events: PacketEvents | None = None
        self._forgets_session = False

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
            uri: `scheme://[user:password@]host[:port][/path]` with the scheme `mqtt`, `mqtts`, `ws`
                or `wss`, or `unix:///path`.
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
            ClientError: there is no URI, its scheme is not supported, or an option contradicts
                another.

        """
        if self._connected_state.is_set():
            await self.disconnect()
        else:
            await self._stop_reconnecting()
        self.additional_headers = additional_headers or {}
        if cleansession is not None:
            self.config.cleansession = cleansession
        self.session = new_session(self.config, self.client_id, uri, cafile, capath, cadata)
        self._forgets_session = bool(self.session.clean_session)
        self.new_session_begins()
        code = await self._attempt(first=True)
        # Also here: an earlier process had subscriptions, messages were put aside meanwhile.
        await self.connection_restored(bool(self.session.parent))
        return code

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
        await self.connection_restored(bool(self.session.parent))
        return code

    async def _attempt(self, *, first: bool) -> int:
        """Connect, repeatedly; calls that wait for the connection wait until this has ended."""
        self._no_more_connections.clear()
        try:
            await self.session_begins()
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
                await self.session_ends()

    async def _connect_first(self) -> int:
        try:
            return await self._connect_once()
        except ConnectError as error:
            if not self.config.auto_reconnect or is_permanent(error):
                raise
            self.logger.warning("%s; trying again", error)
        return await self._reconnect_until_given_up()

    async def _reconnect_until_given_up(self) -> int:
        return await until_connected(
            self._connect_once,
            self._connected_state.is_set,  # by another call of reconnect(), that is
            self.config,
            self.logger,
            CONNECTION_ACCEPTED,
        )

    async def _connect_once(self) -> int:
        session = self._require_session()
        target = parse_uri(session.broker_uri or "")
        # Before the command: the connection may be made and lost before this task runs again.
        self._connection_lost = asyncio.get_running_loop().create_future()
        try:
            return_code, session_present, properties = await wait_for(
                self._exchange_connect(session, target), self.config.connection_timeout
            )
        except asyncio.TimeoutError as error:
            msg = f"No connection to {target} within {self.config.connection_timeout} seconds"
            raise ConnectError(msg) from error
        except EngineError as error:
            cause = self._exchange.failure if self._exchange is not None else None
            msg = f"Connection to {target} failed: {cause or error}"
            raise ConnectError(msg) from (cause or error.as_os_error())
        if return_code != CONNECTION_ACCEPTED:
            raise refusal(target, return_code, properties)
        await self._finish_authentication(properties)
        self._connection_made(session, session_present, properties or {})
        return CONNECTION_ACCEPTED

    async def _finish_authentication(self, properties: dict[str, Any] | None) -> None:
        if self._exchange is None:
            return
        try:
            self._exchange.connected(properties or {})
        except Exception as error:  # whatever the application's class raises
            self._abandon_connection()
            msg = f"The broker could not be authenticated: {error}"
            raise ConnectError(msg) from error

    async def _exchange_connect(
        self, session: Session, target: Target
    ) -> tuple[int, bool, dict[str, Any] | None]:
        """Let the engine connect; return what CONNACK says."""
        reactor = self._require_reactor()
        endpoint = await endpoint_of(target, session, self.config, self.additional_headers)
        settings = engine_settings(endpoint, **self._connect_fields(session))
        number, answer = reactor.ticket(self._handle)
        self._connection_number = number
        with self._refusing_bad_values(reactor, number):
            reactor.engine.connect(self._handle, number, settings)
        self._forgets_session = False
        answered: tuple[int, bool, dict[str, Any] | None] = await reactor.wait(
            self._handle, number, answer
        )
        return answered

    def _connect_fields(self, session: Session) -> dict[str, Any]:
        self._packet_events = PacketEvents.wanted(self.plugins_manager, session)
        return {
            **connect_fields(session, self.config),
            "client_id": self.client_id,
            "forget_session": self._forgets_session,
            "properties": self._connect_properties(),
            "watch_packets": self._packet_events is not None,
        }

    def _connect_properties(self) -> dict[str, Any] | None:
        self._exchange = None
        if self.config.protocol_version < PROTOCOL_5_0:
            return None
        properties = dict(self.config.connect_properties)
        if self.authentication is not None:
            self._exchange = AuthenticationExchange(self.authentication)
            properties.update(self._exchange.first())
        return properties

    def _connection_made(
        self, session: Session, session_present: bool, properties: dict[str, Any]
    ) -> None:
        self.connack_properties = properties
        self.disconnect_properties = {}
        assigned = properties.get("assigned_client_identifier")
        if assigned:  # also for the next connect, which would be somebody else without
            self.client_id = session.client_id = assigned
        session.parent = int(session_present)
        session.disconnect_reason = None
        session.transitions.connect()
        self._loss = None
        self.connection_made(session_present)
        self._connected_state.set()
        self._disconnect_task = asyncio.create_task(self.handle_connection_close())

    async def disconnect(
        self, reason_code: int = 0, properties: dict[str, Any] | None = None
    ) -> None:
        """Send DISCONNECT and close the connection and the plugins, or stop trying to connect.

        Pending calls of `deliver_message()` return None; messages that have been received can
        still be taken.

        Args:
            reason_code: of DISCONNECT in MQTT 5.0; 4 has the broker publish the will.
            properties: of DISCONNECT in MQTT 5.0 by name, as `session_expiry_interval`.

        Raises:
            ClientError: the reason code or a property is none of DISCONNECT, or the protocol has
                none.

        """
        check_disconnect(self.config, reason_code, properties)
        session = self.session
        if session is None or not session.transitions.is_connected() or self._reactor is None:
            self.logger.warning("Client session is not currently connected")
            await self.cancel_tasks()
            await self._stop_reconnecting()
            await self.session_ends()
            return
        number, answer = self._reactor.ticket(self._handle)
        with self._refusing_bad_values(self._reactor, number):
            self._reactor.engine.disconnect(self._handle, number, reason_code, properties)
        await self.cancel_tasks()
        if self._disconnect_task is not None:
            self._disconnect_task.cancel()
        self._connected_state.clear()
        self._no_more_connections.set()
        session.transitions.disconnect()
        self.messages_ended()
        await self._reactor.wait(self._handle, number, answer)
        if self._connection_lost is not None:
            self._connection_lost.cancel()
        self._reactor.fail_all(self._handle, "the client has disconnected")
        await self.session_ends()
        await self.plugins_manager.wait_for_handlers(_HANDLERS_LIMIT)
        await self.plugins_manager.close()

    async def _stop_reconnecting(self) -> None:
        """End what tries to connect again after a loss, if that goes on."""
        monitor = self._disconnect_task
        if monitor is not None and not monitor.done() and monitor is not asyncio.current_task():
            monitor.cancel()
            await asyncio.wait((monitor,))

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
            except Exception:  # a fault somewhere; who waits for messages must learn of the end
                self.logger.exception("Gave up reconnecting")
            else:
                await self._tell_reconnected(bool(session.parent))
                return
        if self._connected_state.is_set():  # restoring failed, which the next loss will repair
            return
        try:
            self._give_up(reason)
            await self.session_ends()
        except Exception:
            self.logger.exception("The session could not be ended")
        finally:
            await self.cancel_tasks()

    def connection_made(self, session_present: bool) -> None:
        """Note what a new connection has brought; not for applications.

        Args:
            session_present: whether the server has kept the session.

        """

    async def connection_restored(self, session_present: bool) -> None:
        """Do what is to follow a connection before the application is told; not for applications.

        Args:
            session_present: whether the server has kept the session.

        """

    async def session_begins(self) -> None:
        """Read what an earlier process has kept; not for applications."""

    async def session_ends(self) -> None:
        """Let go of what keeps the session; not for applications."""

    def new_session_begins(self) -> None:
        """Forget what belongs to the session before; not for applications."""

    def messages_ended(self) -> None:
        """Tell who waits for messages that none will come; not for applications."""

    async def _tell_reconnected(self, session_present: bool) -> None:
        if self.reconnected is None:
            return
        try:
            await self.reconnected(session_present)
        except ClientError as error:  # most likely the connection is lost for good
            self.logger.warning("What was to follow the reconnection failed: %s", error)
        except Exception:
            self.logger.exception("What was to follow the reconnection failed")

    def _give_up(self, reason: str) -> None:
        self._no_more_connections.set()
        self._loss = reason
        # What is in flight will not be acknowledged any more.
        self._abandon_connection()
        if self._reactor is not None:
            self._reactor.fail_all(self._handle, "the connection was lost")
        self.messages_ended()

    async def reauthenticate(self) -> None:
        """Authenticate again on the connection, with `authentication` (MQTT 5.0, section 4.12.1).

        Raises:
            ClientError: the client has not connected with enhanced authentication, or an exchange
                goes on already.
            ConnectError: the broker has refused, and closed the connection, or could not prove
                who it is.

        """
        await self._wait_connected()
        if self._exchange is None:
            msg = "Set authentication before connect(), with protocol_version 5"
            raise ClientError(msg)
        reactor = self._require_reactor()
        properties, done = self._exchange.again()
        reactor.engine.authenticate(self._handle, 0x19, properties)
        assert self._connection_lost is not None
        await asyncio.wait((done, self._connection_lost), return_when=asyncio.FIRST_COMPLETED)
        if done.done() and done.exception() is None:
            return
        done.cancel()
        if self._exchange.failure is not None:
            await self._drop_connection()
        msg = "The broker has refused to authenticate the client again"
        refused = ConnectError(msg, properties=self.disconnect_properties)
        refused.return_code = self._require_session().disconnect_reason
        raise refused from self._exchange.failure

    # -- what the engine says

    def authentication_step(self, code: int, properties: dict[str, Any]) -> None:
        """Take an AUTH of the server; not for applications."""
        exchange = self._exchange
        if exchange is None or self._reactor is None:
            return
        reply = exchange.step(code, properties)
        if reply is not None:
            self._reactor.engine.authenticate(self._handle, 0x18, reply)
        elif exchange.failure is not None and not self._connected_state.is_set():
            self._abandon_connection()  # ends the connect, which tells the failure

    def server_disconnected(self, code: int, properties: dict[str, Any]) -> None:
        """Take the DISCONNECT of the server; not for applications."""
        self.disconnect_properties = properties
        if self.session is not None:
            self.session.disconnect_reason = code

    def packet_passed(self, sent: bool, packet: bytes) -> None:
        """Take a packet as it was on the wire; not for applications."""
        if self._packet_events is not None:
            self._packet_events.passed(sent, packet)
