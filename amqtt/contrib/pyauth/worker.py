"""Call functions in threads that do not keep the process alive."""

from __future__ import annotations

import queue
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

_Call = tuple["Future[Any]", "Callable[..., Any]", tuple[Any, ...]]


def ended_by(error: BaseException) -> RuntimeError:
    """Make an error of what would end the event loop or break its futures."""
    return RuntimeError(f"raised {error!r}, which a function must not")


def _is_bearable(error: BaseException) -> bool:
    return isinstance(error, Exception) and not isinstance(error, StopIteration)


class Worker:
    """Call functions one after the other in each of some threads.

    `concurrent.futures` waits for its threads when the interpreter ends; a function of somebody
    else may hang, and must not keep the broker from ending.

    Args:
        threads: how many there are; they are started with the first call.
        name: their name.

    """

    def __init__(self, threads: int, name: str) -> None:
        """Start nothing yet."""
        self._count = threads
        self._name = name
        self._calls: queue.SimpleQueue[_Call | None] = queue.SimpleQueue()
        self._is_running = False

    def submit(self, function: Callable[..., Any], *args: Any) -> Future[Any]:
        """Call a function soon.

        Args:
            function: the function.
            args: its arguments.

        Returns:
            Its result to come; a call that has not begun can be cancelled.

        """
        if not self._is_running:
            self._is_running = True
            for _ in range(self._count):
                threading.Thread(target=self._run, name=self._name, daemon=True).start()
        future: Future[Any] = Future()
        self._calls.put((future, function, args))
        return future

    def stop(self) -> None:
        """Let the threads end when they have done what was submitted."""
        if self._is_running:
            self._is_running = False
            for _ in range(self._count):
                self._calls.put(None)

    def _run(self) -> None:
        while (call := self._calls.get()) is not None:
            future, function, args = call
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(function(*args))
            except BaseException as error:  # whatever somebody else's function may raise
                future.set_exception(error if _is_bearable(error) else ended_by(error))
            del call, future, function, args  # not to be kept until the next call
