"""The line that tells how far a long publish has come, on a terminal only."""

from __future__ import annotations

import asyncio
import sys
import time
from typing import TextIO

INTERVAL = 0.5
"""Seconds between two updates; the first comes after two of them."""


class Progress:
    """Show number and rate of what was published, while it lasts.

    Args:
        stream: where to show it; nothing is shown unless it is a terminal.

    """

    def __init__(self, stream: TextIO | None = None) -> None:
        """Begin to count; nothing is shown yet."""
        self.count = 0
        self._stream = sys.stderr if stream is None else stream
        self._task: asyncio.Task[None] | None = None
        self._width = 0

    async def __aenter__(self) -> Progress:
        """Begin to show."""
        if self._stream.isatty():
            self._task = asyncio.ensure_future(self._show())
        return self

    async def __aexit__(self, *_: object) -> None:
        """Wipe the line."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait((self._task,))
        if self._width:
            self._write(" " * self._width + "\r")

    async def _show(self) -> None:
        start = before = time.monotonic()
        count = 0
        await asyncio.sleep(INTERVAL)
        while True:
            await asyncio.sleep(INTERVAL)
            now = time.monotonic()
            rate = (self.count - count) / (now - before)
            count, before = self.count, now
            text = f"{count:,} messages in {now - start:,.0f} s, {rate:,.0f} a second"
            self._width = max(self._width, len(text))
            self._write(text.ljust(self._width) + "\r")

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()
