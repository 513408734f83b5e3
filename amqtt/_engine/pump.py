"""Bring what the engine says to the asyncio loop, in batches."""

from __future__ import annotations

import asyncio
import os
import select
import threading
import weakref
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

# Events handled before the loop gets to do something else.
_EVENTS_PER_TICK = 1000


class _Engine(Protocol):
    def fileno(self) -> int: ...
    def take_events(self, most: int) -> tuple[list[Any], bool]: ...


class EventPump:
    """Hand the events of an engine to a callback on the event loop.

    Args:
        loop: the loop that runs the callback.
        engine: where the events come from.
        handle: called with each list of events. A bound method is held weakly, so that the pump
            does not keep its owner alive.

    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        engine: _Engine,
        handle: Callable[[list[Any]], None],
    ) -> None:
        """Begin to wait for events."""
        self._loop = loop
        self._engine: _Engine | None = engine
        self._handle = weakref.WeakMethod(handle)
        self._fd = engine.fileno()
        self._waiter: _WaitingThread | None = None
        self._drains_soon = False
        self.paused = False
        try:
            loop.add_reader(self._fd, self._readable)
        except NotImplementedError:  # a loop that cannot wait for descriptors
            self._waiter = _WaitingThread(loop, self._fd, self._readable)

    def _readable(self) -> None:
        # What has come behind the events that are left is not to be taken in the same turn.
        if not self._drains_soon:
            self._drain()

    def _drain_soon(self) -> None:
        if not self._drains_soon:
            self._drains_soon = True
            self._loop.call_soon(self._drain)

    def _drain(self) -> None:
        self._drains_soon = False
        handle = self._handle()
        if self._engine is None or handle is None or self.paused:
            return
        events, more = self._engine.take_events(_EVENTS_PER_TICK)
        try:
            if events:
                handle(events)
        finally:
            if more:
                self._drain_soon()

    def pause(self) -> None:
        """Leave the events in the engine, which makes it wait, until `resume()`."""
        if self._engine is not None and self._waiter is None and not self.paused:
            self.paused = True
            self._loop.remove_reader(self._fd)

    def resume(self) -> None:
        """Take events again."""
        if self._engine is not None and self.paused:
            self.paused = False
            self._loop.add_reader(self._fd, self._readable)
            self._drain_soon()

    def close(self) -> None:
        """Stop waiting; events that are left are dropped. Only on the loop's thread."""
        if self._engine is None:
            return
        self._engine = None
        if self._waiter is not None:
            self._waiter.stop()
        elif not self._loop.is_closed():
            self._loop.remove_reader(self._fd)


class _WaitingThread:
    """Wait for a descriptor in place of a loop that cannot."""

    def __init__(self, loop: asyncio.AbstractEventLoop, fd: int, drain: Callable[[], None]) -> None:
        self._loop = loop
        self._drain = drain
        self._drained = threading.Event()
        self._wake_read, self._wake_write = os.pipe()
        self._thread = threading.Thread(target=self._run, args=(fd,), daemon=True)
        self._thread.start()

    def _run(self, fd: int) -> None:
        while True:
            readable, _, _ = select.select([fd, self._wake_read], [], [])
            if self._wake_read in readable:
                return
            self._drained.clear()
            try:
                self._loop.call_soon_threadsafe(self._drain_on_loop)
            except RuntimeError:  # the loop is closed
                return
            self._drained.wait()

    def _drain_on_loop(self) -> None:
        try:
            self._drain()
        finally:
            self._drained.set()

    def stop(self) -> None:
        os.write(self._wake_write, b"x")
        self._drained.set()
        self._thread.join()
        os.close(self._wake_read)
        os.close(self._wake_write)


def call_if_alive(reference: weakref.WeakMethod[Callable[[], None]]) -> None:
    """Call a method of an object that a timer of the loop must not keep alive."""
    method = reference()
    if method is not None:
        method()


def end_engine(loop: asyncio.AbstractEventLoop, pump: EventPump, stop: Callable[[], None]) -> None:
    """Take an engine off its loop and stop it, from whatever thread."""
    on_loop = loop.is_closed() or not loop.is_running() or asyncio._get_running_loop() is loop
    if on_loop:
        pump.close()
    else:
        loop.call_soon_threadsafe(pump.close)
    try:
        stop()
    except RuntimeError:  # this process was forked from the engine's, which goes on there
        return
