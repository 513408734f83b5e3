"""Futures whose task goes on at once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextvars import Context

T = TypeVar("T")


class PromptFuture(asyncio.Future[T]):
    """Let the task that awaits it go on in the callback that has the result.

    `set_result()` has the loop run the task in its next turn; for a lone message that turn, with
    its question whether a descriptor is readable, costs as much as all that Python does with the
    message.
    """

    __slots__ = ("_latest",)
    _latest: tuple[Callable[..., Any], Context | None] | None

    def add_done_callback(
        self, fn: Callable[..., object], /, *, context: Context | None = None
    ) -> None:
        """Add a callback; a task does so when it awaits the future."""
        self._latest = fn, context
        super().add_done_callback(fn, context=context)

    def resume(self, result: T) -> None:
        """Set the result and let the task that has awaited it last go on, before this returns.

        Only for callbacks of the loop, which are in no task, and have nothing left to do.
        """
        fn, context = getattr(self, "_latest", None) or (None, None)
        if fn is None or context is None or self.remove_done_callback(fn) != 1:
            self.set_result(result)
            return
        self.set_result(result)
        context.run(fn, self)
