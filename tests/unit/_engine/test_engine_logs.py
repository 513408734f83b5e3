"""How records of the engine are logged: as `logging` does it, only with less effort."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator

import pytest

from amqtt._engine.logs import Record, log_records
from amqtt.scripts._log_lines import LineHandler

EVENTS, BROKER = "test_engine_log.events", "test_engine_log.broker"
RECORDS: list[Record] = [
    (logging.INFO, EVENTS, "connected"),
    (logging.INFO, EVENTS, "connected"),
    (logging.WARNING, BROKER, "100 % of it\nin two lines"),
    (logging.DEBUG, EVENTS, "subscribed"),
    (logging.INFO, EVENTS, "disconnected"),
]
FORMAT = "%(name)s:%(levelname)s %(message)s"


class CountingHandler(LineHandler):
    """Counts how often it is given something."""

    def __init__(self) -> None:
        super().__init__(io.StringIO())
        self.setFormatter(logging.Formatter(FORMAT))
        self.batches = 0
        self.records = 0

    def write_lines(self, lines: list[str]) -> None:  # type: ignore[override]
        self.batches += 1
        super().write_lines(lines)

    def emit(self, record: logging.LogRecord) -> None:
        self.records += 1
        super().emit(record)

    @property
    def text(self) -> str:
        assert isinstance(self.stream, io.StringIO)
        return self.stream.getvalue()


@pytest.fixture
def parent() -> Iterator[logging.Logger]:
    logger = logging.getLogger("test_engine_log")
    logger.propagate = False
    logger.setLevel(logging.INFO)
    yield logger
    logger.propagate = True
    logger.handlers.clear()
    logger.filters.clear()
    for name in (EVENTS, BROKER):
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).filters.clear()


def set_handler(logger: logging.Logger, handler: logging.Handler) -> None:
    """Give a logger one handler; those of pytest are set between fixture and test."""
    logger.handlers[:] = [handler]


def expected() -> str:
    """What `logging` itself writes."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter(FORMAT))
    for level, name, text in RECORDS:
        logger = logging.getLogger(name)
        if logger.isEnabledFor(level):
            handler.handle(logger.makeRecord(name, level, "", 0, "%s", (text,), None))
    return stream.getvalue()


def test_lines_of_a_batch_are_written_at_once(parent: logging.Logger) -> None:
    handler = CountingHandler()
    set_handler(parent, handler)
    log_records(RECORDS)
    assert handler.text == expected()
    assert (handler.batches, handler.records) == (1, 0)


def test_nothing_that_is_enabled(parent: logging.Logger) -> None:
    handler = CountingHandler()
    set_handler(parent, handler)
    parent.setLevel(logging.ERROR)
    log_records(RECORDS)
    parent.setLevel(logging.INFO)
    handler.setLevel(logging.ERROR)
    log_records(RECORDS)
    assert (handler.text, handler.batches, handler.records) == ("", 0, 0)


@pytest.mark.parametrize("where", ["handler", "logger", "other handler"])
def test_who_looks_at_records_gets_records(where: str, parent: logging.Logger) -> None:
    handler = CountingHandler()
    set_handler(parent, handler)
    seen: list[str] = []

    def look(record: logging.LogRecord) -> bool:
        seen.append(record.getMessage())
        return True

    if where == "handler":
        handler.addFilter(look)
    elif where == "logger":
        logging.getLogger(EVENTS).addFilter(look)
    else:
        other = logging.NullHandler()
        other.handle = look  # type: ignore[assignment, method-assign]
        logging.getLogger(EVENTS).addHandler(other)
    log_records(RECORDS)
    assert handler.text == expected()
    texts = [text for level, name, text in RECORDS if level >= logging.INFO]
    if where != "handler":
        texts = [text for text in texts if "connected" in text]
    assert seen == texts


def test_records_without_any_handler(
    parent: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    parent.handlers.clear()
    log_records(RECORDS)
    assert "in two lines" in capsys.readouterr().err  # what logging does as the last resort


def test_stream_that_fails(parent: logging.Logger, monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(io.StringIO):
        def write(self, _: str) -> int:
            raise OSError("no space left")

    failed: list[logging.LogRecord] = []
    handler = LineHandler(Broken())
    monkeypatch.setattr(handler, "handleError", failed.append)
    set_handler(parent, handler)
    log_records(RECORDS)
    assert len(failed) == 1
