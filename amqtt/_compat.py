"""Names that the oldest supported interpreter does not have, or has with a fault."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable

if sys.version_info >= (3, 11):
    from enum import StrEnum
else:
    from enum import Enum

    class StrEnum(str, Enum):
        """An enumeration whose members are their own text."""

        def __str__(self) -> str:
            """Return the value, as formatting does on newer interpreters."""
            return str(self.value)


if sys.version_info >= (3, 12):
    from asyncio import wait_for
else:
    T = TypeVar("T")

    async def wait_for(fut: Awaitable[T], timeout: float | None) -> T:
        """Wait with a time limit, as `asyncio.wait_for()` does since Python 3.12.

        Before, that swallows the cancellation of its caller if what it waits for has just ended,
        and returns the result or raises the exception of that. A caller that tries again after an
        exception could then not be cancelled.

        Args:
            fut: what to wait for; it is cancelled when the caller is or the time is over.
            timeout: seconds to wait; None means without end.

        Raises:
            asyncio.TimeoutError: it has not ended in time.

        """
        if timeout is None:
            return await fut
        task = asyncio.ensure_future(fut)
        try:
            if timeout > 0:
                await asyncio.wait((task,), timeout=timeout)
            is_late = not task.done()
            if is_late:
                task.cancel()
                await asyncio.wait((task,))
        except asyncio.CancelledError:
            task.cancel()
            await asyncio.wait((task,))
            if not task.cancelled():
                task.exception()  # else asyncio logs that nobody has asked for it
            raise
        if is_late and task.cancelled():
            raise asyncio.TimeoutError
        return task.result()


__all__ = ["StrEnum", "wait_for"]
