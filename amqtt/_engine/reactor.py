"""The engine that serves all clients of an event loop."""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
import weakref
from typing import Any, Protocol

from amqtt import _core
from amqtt._engine.codes import ClientEvent
from amqtt._engine.futures import PromptFuture
from amqtt._engine.pump import EventPump, end_engine
from amqtt.logs import LogLimiter

_MESSAGE = ClientEvent.MESSAGE  # a look-up less for each
_ANSWERS = (
    ClientEvent.COMPLETION,
    ClientEvent.FAILURE,
    ClientEvent.SUBACK,
    ClientEvent.CONNACK,
)


class ClientEvents(Protocol):
    """What every client is told without having asked; `MQTTClient` has the rest."""

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
        """Take a message of a subscription; it takes `size` bytes of the receive buffer."""

    def connection_lost(self, reason: str) -> None:
        """Note that the connection is gone."""


class EngineError(Exception):
    """A command failed in the engine.

    Args:
        text: what went wrong.
        errno: the number of the system's error, or 0.

    """

    def __init__(self, text: str, errno: int = 0) -> None:
        """Make an error."""
        super().__init__(text)
        self.errno = errno

    def as_os_error(self) -> OSError:
        """Return the same error in the terms of the operating system, or of `ssl`."""
        text = str(self)
        if text.startswith("[SSL: "):
            import ssl  # is there already, if the connection was encrypted

            unverified = "CERTIFICATE_VERIFY_FAILED" in text
            return (ssl.SSLCertVerificationError if unverified else ssl.SSLError)(1, text)
        return OSError(self.errno, text) if self.errno else ConnectionError(text)


class ClientReactor:
    """Serve all clients of one event loop with one engine.

    Get it from `client_reactor()`. The engine ends when the last client lets go of it.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Start an engine whose events come to `loop`."""
        self.loop = loop
        self.engine = _core.ClientEngine()
        self._tickets = itertools.count(1)
        # By ticket: the client that asked, and what it waits for.
        self._answers: dict[int, tuple[int, PromptFuture[Any]]] = {}
        self._is_lone = False  # the event that is handled is the only one
        self._peer_log = LogLimiter(logging.getLogger("amqtt.client"))
        self._clients: weakref.WeakValueDictionary[int, Any] = weakref.WeakValueDictionary()
        pump = EventPump(loop, self.engine, self._handle)
        # Runs when this object goes and also when the interpreter exits.
        weakref.finalize(self, _end_client_engine, loop, pump, self.engine)

    def open(self, client: ClientEvents) -> int:
        """Register a client, which is held weakly.

        Returns:
            Its handle, to be given back with `engine.forget`.

        """
        handle = self.engine.open()
        self._clients[handle] = client
        return handle

    def flush_soon(self) -> None:
        """Let the messages that this turn of the loop publishes leave together."""
        self.loop.call_soon(self.engine.flush)

    def ticket(self, handle: int) -> tuple[int, asyncio.Future[Any]]:
        """Make a ticket for a command of a client and the future of its answer."""
        number = next(self._tickets)
        answer: PromptFuture[Any] = PromptFuture(loop=self.loop)
        self._answers[number] = handle, answer
        return number, answer

    def send(self, handle: int, command: str, *arguments: Any) -> tuple[int, asyncio.Future[Any]]:
        """Give the engine a command of a client; return its ticket, and the future of its answer.

        Raises:
            ValueError: the engine refuses an argument; there is no ticket then. The same with
            OverflowError: a number is out of range.

        """
        number, answer = self.ticket(handle)
        try:
            if getattr(self.engine, command)(handle, number, *arguments):
                self.flush_soon()
        except (ValueError, OverflowError):
            self.drop(number)
            raise
        return number, answer

    def drop(self, number: int) -> None:
        """Forget a ticket whose command was not sent."""
        self._answers.pop(number, None)

    def fail_all(self, handle: int, reason: str) -> None:
        """End all waiting of a client; messages in flight are forgotten."""
        for number, (asker, answer) in list(self._answers.items()):
            if asker == handle:
                del self._answers[number]
                self.engine.cancel(handle, number)
                if not answer.done():
                    answer.set_exception(EngineError(reason))

    async def wait(self, handle: int, number: int, answer: asyncio.Future[Any]) -> Any:
        """Wait for the answer to a command; being cancelled cancels the command.

        Returns:
            To a connect: return code, session present, properties. To a subscribe or unsubscribe:
            codes, properties. Else: packet identifier, reason code, properties.

        Raises:
            EngineError: the command failed.

        """
        try:
            return await answer
        except asyncio.CancelledError:
            self.cancel(handle, number)
            raise

    def cancel(self, handle: int, number: int) -> None:
        """Cancel a command whose answer nobody waits for any more."""
        if self._answers.pop(number, None) is not None:
            self.engine.cancel(handle, number)

    def resume(self, waiter: PromptFuture[Any], result: Any) -> None:
        """Let a task go on, at once if nothing is to be done before; the last thing to do."""
        if self._is_lone:
            self._is_lone = False
            waiter.resume(result)
        else:
            waiter.set_result(result)

    def _handle(self, events: list[Any]) -> None:
        self._is_lone = len(events) == 1
        try:
            self._handle_all(events)
        finally:
            self._is_lone = False

    def _handle_all(self, events: list[Any]) -> None:
        handle, received = None, None  # of the client whose message came last
        rest = iter(events)
        for event in rest:
            try:
                kind = event[0]
                if kind == _MESSAGE:
                    if event[1] != handle:
                        handle = event[1]
                        client = self._clients.get(handle)
                        received = None if client is None else client.message_received
                    if received is not None:
                        received(*event[2:])
                elif kind in _ANSWERS:
                    self._resolve(event)
                else:
                    self._tell(event)
            except Exception:  # the next event is another client's
                self._peer_log.log(
                    logging.ERROR, "events that could not be handled", event[1],
                    "An event of the engine could not be handled", exc_info=True,
                )  # fmt: skip
            except BaseException:  # ends the program, which may wait for the others
                self.loop.call_soon(self._handle, list(rest))
                raise

    def _tell(self, event: tuple[Any, ...]) -> None:
        kind, handle, *values = event
        client = self._clients.get(handle)
        if client is None:
            return
        if kind == ClientEvent.STATE:
            client.state_changed(*values)
        elif kind == ClientEvent.LOST:
            client.connection_lost(*values)
        elif kind == ClientEvent.PACKET:
            client.packet_passed(*values)
        elif kind == ClientEvent.AUTH:
            client.authentication_step(values[0], values[1] or {})
        else:
            client.server_disconnected(values[0], values[1] or {})

    def _resolve(self, event: tuple[Any, ...]) -> None:
        _, answer = self._answers.pop(event[2], (0, None))
        if answer is None or answer.done():
            return
        if event[0] == ClientEvent.FAILURE:
            answer.set_exception(EngineError(event[4], event[3]))
        else:
            self.resume(answer, event[3:])


def _end_client_engine(
    loop: asyncio.AbstractEventLoop, pump: EventPump, engine: _core.ClientEngine
) -> None:
    end_engine(loop, pump, engine.stop)


_reactors: weakref.WeakValueDictionary[int, ClientReactor] = weakref.WeakValueDictionary()


def client_reactor(loop: asyncio.AbstractEventLoop) -> ClientReactor:
    """Return the reactor of an event loop, a new one if it has none.

    Args:
        loop: a loop of this thread.

    """
    key = hash((id(loop), os.getpid()))
    reactor = _reactors.get(key)
    if reactor is None or reactor.loop is not loop:
        reactor = ClientReactor(loop)
        _reactors[key] = reactor
    return reactor
