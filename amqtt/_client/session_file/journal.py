"""Bring what changes in the state of a client to its file, and tell the engine what is stored."""

from __future__ import annotations

import asyncio
import errno
import logging
import sqlite3
import weakref
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Protocol

from amqtt._client.session_file.store import SessionStore, StoredState, subscription_changes
from amqtt._engine.codes import ClientStateChange
from amqtt._engine.reactor import EngineError
from amqtt.errors import ClientError
from amqtt.logs import LogLimiter, printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from amqtt._client.session_file.store import Change
    from amqtt._client.subscriptions import EngineFilter
    from amqtt.session import IncomingApplicationMessage

_logger = logging.getLogger("amqtt.client")

_ONE_IDENTIFIER: dict[int, str] = {
    ClientStateChange.DONE: "done",
    ClientStateChange.RECEIVED: "received",
    ClientStateChange.RELEASED: "released",
}
# Seconds between two attempts to write what could not be written.
_PAUSE = 1.0
# Seconds that the end of a session waits for its last changes to be written.
_LAST_WRITE = 10.0
_FIRST_FAILURE = 0x80


class _Engine(Protocol):
    def stored(self, client: int, number: int) -> None: ...


class SessionJournal:
    """Keep the state of one client in its file; for one thread, whose loop it uses.

    What changes while a batch is written makes the next one. What cannot be written is tried again
    until it can, and what depends on it waits.

    Args:
        path: of the file.
        client_id: whose state it is.
        deliver: a method that takes a received message once the state that it belongs to is
            stored; held weakly.

    """

    def __init__(
        self, path: Path, client_id: str, deliver: Callable[[IncomingApplicationMessage], None]
    ) -> None:
        """Remember where the file is; it is not opened yet."""
        self.path = path
        self.loop = asyncio.get_running_loop()
        self._client_id = client_id
        self._deliver = weakref.WeakMethod(deliver)
        self._store: SessionStore | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="amqtt-session-file")
        self._failures = LogLimiter(_logger)
        self._engine: _Engine | None = None
        self._handle = 0
        self._changes: list[Change] = []
        self._written: asyncio.Future[None] | None = None  # while a batch is on its way
        self._last = 0  # the engine's changes that have come
        self._stored = 0  # and those that are in the file
        self._held: deque[tuple[int, IncomingApplicationMessage]] = deque()
        # By ticket: publishes that end when they are stored.
        self._waiting: dict[int, tuple[int | None, asyncio.Future[None]]] = {}
        self._attended: dict[int, asyncio.Future[Any]] = {}
        # By ticket: messages for which no call waits, with their size.
        self.unattended: dict[int, int] = {}
        self.unattended_bytes = 0

    # -- the file

    async def begin(self, engine: _Engine, handle: int, *, clean: bool) -> StoredState:
        """Read the file, and let the changes of an engine follow.

        Args:
            engine: has no changes of the state before to tell any more.
            handle: of the client.
            clean: whether to forget everything before.

        Returns:
            What the engine is to begin with.

        Raises:
            SessionFileError: the file cannot be used, or another client uses it.

        """
        try:
            store: SessionStore = await self._run(SessionStore, self.path, self._client_id)
            self._store = store
            if clean:
                await self._run(store.clear)
            state: StoredState = await self._run(store.load)
        except BaseException:
            self.abandon()
            raise
        self._engine, self._handle = engine, handle
        return state

    async def close(self) -> None:
        """Write what is left, and let go of the file."""
        if self._written is not None:
            await asyncio.wait((self._written,), timeout=_LAST_WRITE)
        if self._changes:
            _logger.error(
                "The session file '%s' could not be written: %d changes of the session are lost",
                self.path,
                len(self._changes),
            )
        self._failures.flush()
        store, self._store = self._store, None
        if store is not None:
            await self._run(store.close)
        self._thread.shutdown(wait=False)

    def abandon(self) -> None:
        """Let go of the file without waiting for anything."""
        store, self._store = self._store, None
        try:
            if store is not None:
                self._thread.submit(store.close)
        except RuntimeError:  # the interpreter ends, and the file with it
            return
        self._thread.shutdown(wait=False)

    async def _run(self, function: Callable[..., Any], *arguments: Any) -> Any:
        # To its end, also when who waits for it is cancelled: the file must not stay open.
        work = self._thread.submit(function, *arguments)
        try:
            return await asyncio.shield(asyncio.wrap_future(work))
        except asyncio.CancelledError:
            if function is SessionStore:
                work.add_done_callback(_close_unwanted)
            raise

    # -- changes

    def changed(self, kind: int, packet_id: int, *more: Any) -> None:
        """Take a change from the engine."""
        self._last += 1
        name = _ONE_IDENTIFIER.get(kind)
        if name is not None:
            self._note((name, (packet_id,)))
        elif kind == ClientStateChange.ADDED:
            ticket, *content = more
            if ticket in self._waiting:
                self._waiting[ticket] = self._last, self._waiting[ticket][1]
            self._note(("added", (packet_id, *content)))
        elif kind == ClientStateChange.PUBREC:
            self._note(("pubrec", (more[0], packet_id)))
        else:
            self._note(("nothing_received", ()))

    def subscribed(
        self, filters: Iterable[EngineFilter], properties: dict[str, Any] | None
    ) -> None:
        """Note subscriptions that were made."""
        for each in subscription_changes(filters, properties):
            self._note(each)

    def unsubscribed(self, filters: Iterable[str]) -> None:
        """Note subscriptions that were removed."""
        for each in filters:
            self._note(("unsubscribed", (each,)))

    def _note(self, change: Change) -> None:
        self._changes.append(change)
        if self._written is None:
            self._written = self.loop.create_future()
            # After what else this turn of the loop brings.
            self.loop.call_soon(self._write)

    def _write(self) -> None:
        store = self._store
        if store is None:
            return
        changes, self._changes = self._changes, []
        last = self._last
        work = self.loop.run_in_executor(self._thread, store.write, changes)
        work.add_done_callback(lambda done: self._wrote(changes, last, done))

    def _wrote(self, changes: list[Change], last: int, done: asyncio.Future[None]) -> None:
        if self._store is None:
            return
        error = asyncio.CancelledError() if done.cancelled() else done.exception()
        if error is not None:  # whatever it is, the batch must not be lost
            is_known = isinstance(error, sqlite3.Error)
            self._failures.log(
                logging.ERROR, "failures to write session files", self.path,
                "The session file '%s' cannot be written: %s",
                str(self.path), error if is_known else repr(error),
                exc_info=None if is_known else error,
            )  # fmt: skip
            self._changes[:0] = changes
            self.loop.call_later(_PAUSE, self._write)
            return
        self._advance(last)
        if self._changes:
            self._write()
        else:
            written, self._written = self._written, None
            if written is not None and not written.done():
                written.set_result(None)

    def _advance(self, stored: int) -> None:
        if stored == self._stored:
            return
        self._stored = stored
        if self._engine is not None:
            self._engine.stored(self._handle, stored)
        deliver = self._deliver()
        while deliver is not None and self._held and self._held[0][0] <= stored:
            deliver(self._held.popleft()[1])
        for ticket, (number, waiter) in list(self._waiting.items()):
            if number is not None and number <= stored:
                del self._waiting[ticket]
                if not waiter.done():
                    waiter.set_result(None)

    def holds(self, message: IncomingApplicationMessage) -> bool:
        """Keep a received message until the state is stored; tell whether that is needed."""
        needed = bool(self._held) or (message.qos == 2 and self._stored < self._last)
        if needed:
            self._held.append((self._last, message))
        return needed

    # -- messages that are to be acknowledged

    async def attended(self, ticket: int, answer: asyncio.Future[Any]) -> Any:
        """Wait for the acknowledgement of a message.

        Returns:
            Packet identifier, reason code, properties.

        Raises:
            EngineError: the message cannot be sent, or nothing will be any more.

        """
        self._attended[ticket] = answer
        try:
            return await answer
        finally:
            self._attended.pop(ticket, None)

    def end_waiting(self, reason: str) -> None:
        """Let go those that wait for acknowledgements; their messages stay in the file."""
        for answer in list(self._attended.values()):
            if not answer.done():
                answer.set_exception(EngineError(reason))

    def attend(self, ticket: int, answer: asyncio.Future[Any], topic: str, size: int) -> None:
        """Look after a message whose caller does not, or is gone with an earlier process."""
        self.unattended[ticket] = size
        self.unattended_bytes += size
        answer.add_done_callback(lambda done: self._ended(ticket, topic, done))

    def _ended(self, ticket: int, topic: str, done: asyncio.Future[Any]) -> None:
        size = self.unattended.pop(ticket, None)
        if size is None or done.cancelled():
            return
        self.unattended_bytes -= size
        error = done.exception()
        if error is None:
            code = done.result()[1]
            if code >= _FIRST_FAILURE:
                _logger.warning("A message for '%s' was refused: 0x%02X", printable(topic), code)
        elif isinstance(error, EngineError) and error.errno in (errno.EMSGSIZE, errno.ENOBUFS):
            _logger.warning("A message for '%s' could not be sent: %s", printable(topic), error)
        # Else the connection is gone for good, and the message is in the file.

    async def wait_stored(self, ticket: int, answer: asyncio.Future[Any]) -> None:
        """Wait until the message of a publish is in the file.

        Raises:
            ClientError: the engine has refused it.

        """
        waiter: asyncio.Future[None] = self.loop.create_future()
        self._waiting[ticket] = None, waiter
        try:
            await asyncio.wait((waiter, answer), return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._waiting.pop(ticket, None)
        if waiter.done() or answer.cancelled():
            return
        error = answer.exception()
        if error is not None:
            raise ClientError(str(error)) from error


def _close_unwanted(done: Future[Any]) -> None:
    if not done.cancelled() and done.exception() is None:
        done.result().close()
