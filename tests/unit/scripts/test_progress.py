"""The line that tells how far a long publish has come."""

from __future__ import annotations

import asyncio
import io
import re

import pytest

from amqtt.scripts import _progress
from amqtt.scripts._progress import Progress


class Terminal(io.StringIO):
    """A stream that is, or is not, a terminal."""

    def __init__(self, is_terminal: bool) -> None:
        super().__init__()
        self._is_terminal = is_terminal
        self.written = asyncio.Event()

    def isatty(self) -> bool:
        return self._is_terminal

    def write(self, text: str) -> int:
        self.written.set()
        return super().write(text)


async def test_line_on_a_terminal_is_wiped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_progress, "INTERVAL", 0.01)
    terminal = Terminal(True)
    async with Progress(terminal) as progress:
        progress.count = 12_345
        await asyncio.wait_for(terminal.written.wait(), 10)
    first, *_, last, end = terminal.getvalue().split("\r")
    assert re.fullmatch(r"12,345 messages in \d+ s, [\d,]+ a second", first.rstrip())
    assert (last.strip(), end) == ("", "")
    assert len(last) >= len(first.rstrip())


async def test_nothing_without_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_progress, "INTERVAL", 0)
    stream = Terminal(False)
    async with Progress(stream) as progress:
        progress.count = 1
        for _ in range(10):
            await asyncio.sleep(0)
    assert stream.getvalue() == ""


async def test_nothing_of_a_short_publish() -> None:
    terminal = Terminal(True)
    async with Progress(terminal) as progress:
        progress.count = 100
    assert terminal.getvalue() == ""
