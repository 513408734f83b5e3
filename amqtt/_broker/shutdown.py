"""How a broker shuts down in time."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import Any

# Seconds that each step gets at least, whatever the steps before it have taken.
_LEAST = 0.5


class ShutdownTime:
    """Divide the time that a shutdown may take among its steps.

    Args:
        loop: the loop whose clock is used.
        timeout: seconds for all of it, from now on.

    Attributes:
        share: seconds for the plugins before clients are disconnected.

    """

    def __init__(self, loop: asyncio.AbstractEventLoop, timeout: float) -> None:
        """Begin to count."""
        self._loop = loop
        self._end = loop.time() + timeout
        self.share = max(timeout / 4, _LEAST)

    @property
    def left(self) -> float:
        """Seconds that the present step may take."""
        return max(self._end - self._loop.time(), _LEAST)

    @property
    def left_but_a_share(self) -> float:
        """Seconds that clients may take, so that there is time for what follows."""
        return max(self._end - self._loop.time() - self.share, 0.0)


async def run_in_thread(
    loop: asyncio.AbstractEventLoop, call: Callable[..., Any], *arguments: Any
) -> None:
    """Call something in a thread of its own: those of the loop's executor may all be at work.

    Args:
        loop: the running loop.
        call: what waits; it must not raise.
        *arguments: its arguments.

    """
    done = loop.create_future()

    def settle() -> None:
        if not done.done():
            done.set_result(None)

    def run() -> None:
        try:
            call(*arguments)
        finally:
            with contextlib.suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(settle)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    await done
    thread.join()
