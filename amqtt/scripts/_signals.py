"""Signals that end a command, or make a broker reload.

Imports nothing of the package and little of the library: the command of a broker handles signals
before it imports anything else.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable
from typing import Any, ClassVar

SAME_REQUEST_TIME = 1.0
"""Seconds after a signal in which another one is the same request to stop."""

_HANGUP: signal.Signals | None = getattr(signal, "SIGHUP", None)
# Seconds for which a broker that is still starting may take to end.
_START_LIMIT = 10.0
# Seconds beyond `shutdown_timeout` in which the process ends in any case.
_LAST_SECOND = 1.0


class StopSignals:
    """Take SIGINT and SIGTERM for a request to stop, while a block runs that runs event loops.

    A signal within a second of the first belongs to it: some senders signal the process and also
    its group. A later one ends the process at once, with status 1. After a block that a signal
    has ended, signals are ignored: the process is about to exit.
    """

    def __init__(self) -> None:
        """Prepare; the signals are handled from the beginning of the block."""
        self._first: float | None = None
        self._notify: Callable[[], object] | None = None
        self._previous: dict[signal.Signals, Any] = {}

    @property
    def received(self) -> bool:
        """Whether a signal has come."""
        return self._first is not None

    def __enter__(self) -> StopSignals:
        """Begin to handle the signals; only in the main thread."""
        # Not the loop's own handlers: they go with the loop, and a second signal comes later.
        for number in (signal.SIGINT, signal.SIGTERM):
            self._previous[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        """Ignore the signals from now on, or put back what handled them before."""
        for number, handler in self._previous.items():
            signal.signal(number, signal.SIG_IGN if self.received else handler)

    def call(self, callback: Callable[[], object]) -> None:
        """Call back on the running event loop when a signal comes, or has come already.

        Args:
            callback: what the first signal calls.

        """
        self._notify = _on_running_loop(callback)
        if self.received:
            self._notify()

    def _handle(self, *_: object) -> None:
        now = time.monotonic()
        if self._first is None:
            self._first = now
            self._first_came()
        elif now - self._first > SAME_REQUEST_TIME:
            os._exit(1)

    def _first_came(self) -> None:
        if self._notify is not None:
            self._notify()


class BrokerSignals(StopSignals):
    """The signals of a broker's command: also SIGHUP, which makes the broker reload.

    Before there is a broker to stop or to reload, a request to stop ends the command with status
    0, and SIGHUP waits.

    When the command is asked to stop it ends in time, whatever its event loop does meanwhile: a
    thread closes the broker's engine if the loop has not begun to, and at last ends the process.
    """

    active: ClassVar[BrokerSignals | None] = None
    """The signals that are handled at present."""

    def __init__(self) -> None:
        """Prepare; the signals are handled from the beginning of the block."""
        super().__init__()
        self._ends_at_once = False
        self._reload: Callable[[], object] | None = None
        self._reload_waits = False
        self._guard: Callable[[], object] | None = None
        self._pipe: tuple[int, int] | None = None
        self._previous_fd = -1

    def __enter__(self) -> BrokerSignals:
        """Begin to handle the signals; only in the main thread."""
        super().__enter__()
        if _HANGUP is not None:
            self._previous[_HANGUP] = signal.signal(_HANGUP, self._handle_hangup)
        # The interpreter writes to it from the signal itself: a thread learns of it although the
        # main thread is busy.
        self._pipe = os.pipe()
        os.set_blocking(self._pipe[1], False)
        self._previous_fd = signal.set_wakeup_fd(self._pipe[1], warn_on_full_buffer=False)
        threading.Thread(target=self._watch, args=(self._pipe[0],), daemon=True).start()
        BrokerSignals.active = self
        return self

    def __exit__(self, *_: object) -> None:
        """Ignore the signals from now on, or put back what handled them before."""
        BrokerSignals.active = None
        super().__exit__()
        signal.set_wakeup_fd(self._previous_fd)
        if self._pipe is not None:
            os.close(self._pipe[1])  # the thread ends, unless it is at work
            self._pipe = None

    @contextlib.contextmanager
    def ending_at_once(self) -> Any:
        """Raise SystemExit on a request to stop, while a block runs that cannot be asked to."""
        self._ends_at_once = True
        try:
            if self.received:
                raise SystemExit(0)
            yield
        finally:
            self._ends_at_once = False

    def call_on_hangup(self, callback: Callable[[], object]) -> None:
        """Call back on the running event loop on every SIGHUP, and soon if one has come already.

        Args:
            callback: what makes the broker reload.

        """
        self._reload = _on_running_loop(callback)
        if self._reload_waits:
            self._reload()

    def guard(self, end: Callable[[], object]) -> None:
        """Call a function in a thread as soon as the command is asked to stop.

        Args:
            end: ends the process in time.

        """
        self._guard = end

    def _first_came(self) -> None:
        if self._ends_at_once:
            raise SystemExit(0)
        super()._first_came()

    def _handle_hangup(self, *_: object) -> None:
        if self._reload is None:
            self._reload_waits = True
        else:
            self._reload()

    def _watch(self, pipe: int) -> None:
        """Wait in a thread for a request to stop, and see to it that it is met."""
        stops = {int(signal.SIGINT), int(signal.SIGTERM)}
        is_asked = False
        # To the end: the interpreter complains when it writes and nobody reads any more.
        while numbers := os.read(pipe, 64):
            if not is_asked and not stops.isdisjoint(numbers):
                is_asked = True
                self._end_in_time()
        os.close(pipe)

    def _end_in_time(self) -> None:
        if self._guard is not None:
            self._guard()
        else:
            time.sleep(_START_LIMIT)
            os._exit(1)


def guard_of(
    stop_engine: Callable[[float], object],
    end_process: Callable[[float, int], object],
    timeout: float,
) -> Callable[[], None]:
    """Return a function that ends a broker's process in time.

    Args:
        stop_engine: stops the engine, waiting for clients at most the seconds that it is given;
            does nothing when that is being done.
        end_process: ends the process after so many seconds with that status, whatever it does then.
        timeout: seconds after which the broker is to have ended.

    """

    def end() -> None:
        end_process(timeout + _LAST_SECOND, 1)
        # The event loop stops the engine, unless it has other things to do.
        time.sleep(timeout / 3)
        stop_engine(timeout / 3)

    return end


def _on_running_loop(callback: Callable[[], object]) -> Callable[[], None]:
    """Return a function that calls back on the running event loop, from wherever it is called."""
    import asyncio

    loop = asyncio.get_running_loop()

    def call() -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: it has stopped
            loop.call_soon_threadsafe(callback)

    return call
