"""Coroutine functions that never wait can be called without the cost of a task."""

from __future__ import annotations

import dis
import functools
import inspect
from types import CodeType, FunctionType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Coroutine

# Instructions of `await`, `async for` and `async with`, in the versions of CPython from 3.10.
_WAITING = frozenset(
    {
        "BEFORE_ASYNC_WITH",
        "GET_AITER",
        "GET_ANEXT",
        "GET_AWAITABLE",
        "SEND",
        "SETUP_ASYNC_WITH",
        "YIELD_FROM",
    }
)


def never_waits(call: Callable[..., Any]) -> bool:
    """Tell whether a coroutine function runs to its end without ever giving up the event loop.

    Args:
        call: the function, or a method. Of what is not written in Python nothing is known.

    Returns:
        Whether there is nothing in it that could wait.

    """
    function = getattr(call, "__func__", call)
    return type(function) is FunctionType and _has_no_wait(function.__code__)


@functools.lru_cache(maxsize=1024)
def _has_no_wait(code: CodeType) -> bool:
    if not code.co_flags & inspect.CO_COROUTINE:
        return False
    return not any(each.opname in _WAITING for each in dis.get_instructions(code))


def run_to_end(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine that does not wait, and return what it returns.

    Raises:
        Exception: what the coroutine raises.

    """
    try:
        coroutine.send(None)
    except StopIteration as ended:
        return ended.value
    coroutine.close()
    msg = f"{coroutine!r} has waited, which it cannot"
    raise RuntimeError(msg)


class StartOrder:
    """Know whether there are tasks that were made and have not begun to run.

    What is called without a task must not overtake them: plugins rely on their handlers beginning
    in the order of the events.

    Args:
        loop: the event loop of the tasks.

    Attributes:
        is_clear: whether every task has begun.

    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin without tasks."""
        self._loop = loop
        self._more = False
        self.is_clear = True

    def task_made(self) -> None:
        """Note that a task was made; the loop lets it begin in its next turn."""
        if self.is_clear:
            self.is_clear = False
            self._loop.call_soon(self._begun)
        else:
            self._more = True

    def _begun(self) -> None:
        if self._more:  # made after this call was queued, so behind it in the queue
            self._more = False
            self._loop.call_soon(self._begun)
        else:
            self.is_clear = True
