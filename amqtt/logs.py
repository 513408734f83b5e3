"""Log what peers can cause: their texts escaped, and repeats counted instead of logged.

A client that is refused can try again thousands of times a second, and it chooses its names and
topics itself. A line for each attempt would fill the disk, and a name with a line break would forge
lines.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

_LONGEST = 256
# At DEBUG somebody looks for the cause of something.
_FACTOR_AT_DEBUG = 20
_HARMFUL = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)


def printable(text: object) -> str:
    r"""Return a peer's text as it may stand in a line of a log.

    Args:
        text: the text, or an object whose `str()` is meant; bytes are read as UTF-8.

    Returns:
        At most 256 characters of it, with `...` behind them if there are more. Control characters,
            line separators, marks that change the direction of writing, and bytes that are not
            UTF-8 stand there as `\xNN` or `\uNNNN`.

    """
    if isinstance(text, bytes | bytearray | memoryview):
        text = bytes(text[: _LONGEST * 4 + 4]).decode("utf-8", "surrogateescape")
    whole = str(text)
    shown = _HARMFUL.sub(_number, whole[:_LONGEST])
    return shown if len(whole) <= _LONGEST else shown + "..."


def _number(found: re.Match[str]) -> str:
    code = ord(found[0])
    if 0xDC80 <= code <= 0xDCFF:  # a byte that is not UTF-8
        code -= 0xDC00
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


class _Printable:
    """An argument of a log line."""

    def __init__(self, value: object) -> None:
        self._value = value

    def __str__(self) -> str:
        return printable(self._value)

    def __repr__(self) -> str:
        return printable(repr(self._value))


@dataclass
class _Source:
    lines: int = 0
    more: int = 0
    last_line: str = ""


@dataclass
class _Interval:
    level: int
    end: float
    lines: int = 0
    others: int = 0
    sources: dict[str, _Source] = field(default_factory=dict)


class LogLimiter:
    """Log lines that peers can cause, at a bounded rate.

    In an interval a few lines of each kind and peer are logged, and of each kind not many more; at
    DEBUG twenty times as many. The others are counted, and their number is logged when the interval
    is over. Any thread may call the methods.
    """

    def __init__(
        self,
        logger: logging.Logger,
        *,
        per_peer: int = 5,
        total: int = 50,
        interval: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Log to a logger.

        Args:
            logger: the logger.
            per_peer: lines of one kind that are logged for one peer in an interval.
            total: lines of one kind that are logged for all peers in an interval.
            interval: seconds.
            clock: what time it is, in seconds; it must not go backwards.

        """
        self.logger = logger
        self._per_peer = per_peer
        self._total = total
        self._interval = interval
        self._clock = clock
        self._lock = threading.Lock()
        self._running: dict[str, _Interval] = {}
        self._timer: asyncio.TimerHandle | None = None

    def log(
        self,
        level: int,
        kind: str,
        peer: object,
        message: str,
        *args: object,
        exc_info: BaseException | bool | None = None,
    ) -> None:
        """Log a line, or count it.

        Args:
            level: the level of the line.
            kind: what happened, in the plural, as in `refused users: 12 more of other clients`. It
                must not depend on what peers send.
            peer: who caused it: the client identifier, user name or address.
            message: the text with placeholders, as for `logging`.
            args: the values of the placeholders; their texts are made `printable()`.
            exc_info: the exception whose traceback is to be logged too.

        """
        if not self.logger.isEnabledFor(level):
            return
        now = self._clock()
        with self._lock:
            counts = self._end_intervals(now)
            source = self._admit(level, kind, peer, now)
            if source is not None:
                shown = tuple(
                    each if isinstance(each, int | float) else _Printable(each) for each in args
                )
                source.last_line = message % shown if shown else message
        self._write(counts)
        if source is None:
            self._flush_later()
        else:
            self.logger.log(level, message, *shown, exc_info=exc_info, stacklevel=2)

    def flush(self) -> None:
        """Log the numbers of all lines that were counted so far."""
        with self._lock:
            if self._timer is not None:
                # Its loop may be another thread's, or closed.
                with contextlib.suppress(RuntimeError):
                    self._timer.cancel()
                self._timer = None
            counts = self._end_intervals(math.inf)
        self._write(counts)

    def _admit(self, level: int, kind: str, peer: object, now: float) -> _Source | None:
        """Return the source whose line is to be logged, or None when it is counted."""
        factor = 1 if level > logging.DEBUG else _FACTOR_AT_DEBUG
        current = self._running.get(kind)
        if current is None:
            current = self._running[kind] = _Interval(level, now + self._interval)
        name = str(peer)[:_LONGEST]
        source = current.sources.get(name)
        if source is None:
            if current.lines >= self._total * factor:
                current.others += 1
                return None
            source = current.sources[name] = _Source()
        if source.lines >= self._per_peer * factor or current.lines >= self._total * factor:
            source.more += 1
            return None
        source.lines += 1
        current.lines += 1
        return source

    def _end_intervals(self, now: float) -> list[tuple[int, str]]:
        """End the intervals that are over; return levels and lines of what they have counted."""
        lines = []
        for kind, each in list(self._running.items()):
            if now < each.end:
                continue
            del self._running[kind]
            passed = min(now, self._clock()) - each.end + self._interval
            when = f" more in the last {max(math.ceil(passed), 1)} s)"
            lines += [
                (each.level, f"{source.last_line} (and {source.more:,}{when}")
                for source in each.sources.values()
                if source.more
            ]
            if each.others:
                others = f"{kind}: {each.others:,} more of other clients{when[5:-1]}"
                lines.append((each.level, others))
        return lines

    def _write(self, lines: list[tuple[int, str]]) -> None:
        for level, line in lines:
            self.logger.log(level, "%s", line)

    def _flush_later(self) -> None:
        """See to it that what was counted is logged, though nothing else may come."""
        if self._timer is not None:
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return  # a worker thread: the next line does it, or flush()
        self._timer = loop.call_later(self._interval, self._tick)

    def _tick(self) -> None:
        self._timer = None
        with self._lock:
            counts = self._end_intervals(self._clock())
            unfinished = any(
                each.others or any(source.more for source in each.sources.values())
                for each in self._running.values()
            )
        self._write(counts)
        if unfinished:
            self._flush_later()
