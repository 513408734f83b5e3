"""Commands of a client to its engine, and their answers."""

from __future__ import annotations

import asyncio
import errno
import itertools
import logging
import weakref
from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from amqtt._client.endpoint import parse_uri
from amqtt._engine.futures import PromptFuture
from amqtt._engine.reactor import ClientReactor, EngineError, client_reactor
from amqtt.errors import ClientError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from amqtt.plugins.manager import PluginManager
    from amqtt.session import Session


# Why a wait for a message is over.
ARRIVED = "a message has arrived"
ENDED = "none is to be waited for"


class _Signal(asyncio.Event):
    """An event that also calls somebody when it is set."""

    def __init__(self, called: Callable[[], None]) -> None:
        super().__init__()
        self._called = weakref.WeakMethod(called)

    def set(self) -> None:
        super().set()
        called = self._called()
        if called is not None:
            called()


class _Handler:
    """The connection, for those who want to lose it."""

    def __init__(self, client: ClientCommands) -> None:
        self._client = client

    async def stop(self) -> None:
        """Drop the connection without DISCONNECT, as a failing network does."""
        await self._client._drop_connection()


class ClientCommands:
    """Send commands on the connection; the part of `MQTTClient` that the others stand on."""

    plugins_manager: PluginManager[Any]

    def __init__(self) -> None:
        """Begin without a connection."""
        self.logger = logging.getLogger("amqtt.client")
        self.session: Session | None = None
        self.client_tasks: deque[PromptFuture[str]] = deque()
        self._reactor: ClientReactor | None = None
        self._handle = 0
        self._release: weakref.finalize[..., Any] | None = None
        self._connected_state = _Signal(self._wake_waiting)
        self._no_more_connections = _Signal(self._wake_waiting)
        self._turns = itertools.count()
        # By turn: what waits for the connection, or for those that have waited for it.
        self._waiting: dict[int, asyncio.Future[None]] = {}
        self._connection_lost: asyncio.Future[str] | None = None
        self._loss: str | None = None  # why the client has given up; None after disconnect()

    # -- what the engine says

    def message_received(
        self,
        topic: str,
        payload: bytes,
        qos: int,
        retain: bool,
        packet_id: int,
        size: int,
        properties: dict[str, Any] | None,
    ) -> None:
        """Take a message from the engine; not for applications."""
        raise NotImplementedError

    def connection_lost(self, reason: str) -> None:
        """Note that the connection is gone; not for applications."""
        if self._connection_lost is not None and not self._connection_lost.done():
            self._connection_lost.set_result(reason)

    # -- commands

    async def _request(self, command: str, *arguments: Any) -> Any:
        """Send a command on the connection and wait for its answer.

        A command that the loss of the connection has cut off is sent again on the next one.
        """
        turn = next(self._turns)
        while True:
            if self._waiting or not self._connected_state.is_set():
                await self._wait_connected(turn)
            reactor = self._require_reactor()
            connection = self._connection_lost
            number, answer = self._send(reactor, command, *arguments)
            try:
                return await answer
            except asyncio.CancelledError:
                reactor.cancel(self._handle, number)
                raise
            except EngineError as error:
                raise_refusal(command, error)
                self.logger.debug("%s was cut off: %s", command, error)
                if connection is not None:
                    await asyncio.wait((connection,))
                if self._connection_lost is connection:
                    self._connected_state.clear()

    def _send(
        self, reactor: ClientReactor, command: str, *arguments: Any
    ) -> tuple[int, asyncio.Future[Any]]:
        """Send a command; return its ticket, and the future of its answer."""
        try:
            return reactor.send(self._handle, command, *arguments)
        except (ValueError, OverflowError) as error:
            raise ClientError(str(error)) from error

    @contextmanager
    def _refusing_bad_values(self, reactor: ClientReactor, number: int) -> Iterator[None]:
        """Turn what the engine finds wrong with a command into a ClientError."""
        try:
            yield
        except (ValueError, OverflowError) as error:
            reactor.drop(number)
            raise ClientError(str(error)) from error

    async def cancel_tasks(self) -> None:
        """End all pending calls of `deliver_message()`; they return None."""
        while self.client_tasks:
            waiter = self.client_tasks.popleft()
            if not waiter.done():
                waiter.set_result(ENDED)

    def _abandon_connection(self) -> None:
        if self._reactor is not None:
            self._reactor.engine.abort(self._handle, 0)

    async def _drop_connection(self) -> None:
        reactor = self._require_reactor()
        number, answer = reactor.ticket(self._handle)
        reactor.engine.abort(self._handle, number)
        await reactor.wait(self._handle, number, answer)
        self.connection_lost("the connection was dropped")

    @property
    def _handler(self) -> _Handler | None:
        return None if self.session is None else _Handler(self)

    async def _wait_connected(self, turn: int | None = None) -> None:
        """Wait for the connection, and until those that came first had their turn.

        Raises:
            ClientError: there will be no connection.

        """
        turn = next(self._turns) if turn is None else turn
        while not (self._connected_state.is_set() and self._is_first(turn)):
            if self.session is None or self._no_more_connections.is_set():
                # Also after disconnect(): nothing will connect unless the application says so.
                raise self._not_connected()
            if not self._connected_state.is_set():
                self.logger.warning("Client is not connected, waiting for the connection")
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting[turn] = waiter
            try:
                await waiter
            finally:
                del self._waiting[turn]
                # Who came after the others were woken stands at the end, and waits still.
                if self._waiting and not next(reversed(self._waiting.values())).done():
                    asyncio.get_running_loop().call_soon(self._wake_waiting)

    def _is_first(self, turn: int) -> bool:
        return not self._waiting or next(iter(self._waiting)) > turn

    def _wake_waiting(self) -> None:
        """Let those that wait go on, in the order in which they came."""
        if not (self._connected_state.is_set() or self._no_more_connections.is_set()):
            return
        self._waiting = dict(sorted(self._waiting.items()))
        for waiter in self._waiting.values():
            if not waiter.done():
                waiter.set_result(None)

    def _not_connected(self) -> ClientError:
        if self.session is None:
            return ClientError("Not connected: call connect() first")
        reason = f": the connection was lost: {self._loss}" if self._loss else ""
        return ClientError(f"Will not reconnect to {self._broker_name()}{reason}")

    def _broker_name(self) -> str:
        """Return host and port of the broker, without credentials."""
        uri = None if self.session is None else self.session.broker_uri
        return str(parse_uri(uri)) if uri else "the broker"

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


def raise_refusal(command: str, error: EngineError) -> None:
    """Raise what the engine has found wrong with a command, if it was not the connection."""
    if error.errno == errno.ENOBUFS:
        msg = "All 65,535 packet identifiers are in use"
        raise ClientError(msg) from error
    if error.errno == errno.EMSGSIZE:
        msg = f"{command}: {error}"
        raise ClientError(msg) from error


def _forget(reactor: ClientReactor, handle: int) -> None:
    try:
        reactor.engine.forget(handle)
    except RuntimeError:  # this process was forked from the client's, which goes on there
        return
