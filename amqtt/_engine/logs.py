"""Log what the engine of a broker has to say, many records at once.

There may be several records for each client that comes and goes. A handler that can write lines, as
that of `amqtt` can, gets those of a batch at once, without a `LogRecord` for each.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

Record = tuple[int, str, str]
"""Level, name of the logger, and text."""


@runtime_checkable
class LineWriter(Protocol):
    """A handler whose lines differ only in their beginnings, which depend on no text."""

    def line_start(self, logger: logging.Logger, level: int) -> str:
        """Return what stands before a text that is logged now."""

    def write_lines(self, lines: Sequence[str]) -> None:
        """Write complete lines."""


class _Way(NamedTuple):
    """How records of one logger and level are logged in a batch; without writer: one by one."""

    logger: logging.Logger
    writer: LineWriter | None = None
    start: str = ""


def log_records(records: Iterable[Record]) -> None:
    """Log records in their order.

    Args:
        records: the records.

    """
    ways: dict[tuple[int, str], _Way | None] = {}
    known: dict[Record, str] = {}  # lines that the writer was given before in this batch
    lines: list[str] = []
    writer: LineWriter | None = None
    for record in records:
        line = known.get(record)
        if line is not None:
            lines.append(line)
            continue
        level, name, text = record
        key = level, name
        if key not in ways:
            ways[key] = _find_way(level, name)
        way = ways[key]
        if way is None:
            continue
        if way.writer is not writer:
            if writer is not None:
                writer.write_lines(lines)
            known, lines, writer = {}, [], way.writer
        if writer is None:
            way.logger.log(level, "%s", text)
        else:
            known[record] = line = way.start + text
            lines.append(line)
    if writer is not None:
        writer.write_lines(lines)


def _find_way(level: int, name: str) -> _Way | None:
    """Find out who takes records of a logger; None means that nobody does."""
    logger = logging.getLogger(name)
    if not logger.isEnabledFor(level):
        return None
    handler = _only_handler(logger)
    # What filters and other handlers are told is theirs to say, record by record.
    if not isinstance(handler, LineWriter) or handler.filters or logger.filters:
        return _Way(logger)
    if level < handler.level:
        return None
    return _Way(logger, handler, handler.line_start(logger, level))


def _only_handler(logger: logging.Logger) -> logging.Handler | None:
    """Return the handler of a logger and those above it, if there is only one."""
    found: list[logging.Handler] = []
    above: logging.Logger | None = logger
    while above is not None:
        found += above.handlers
        above = above.parent if above.propagate else None
    return found[0] if len(found) == 1 else None
