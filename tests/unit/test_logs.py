"""Lines that peers can cause: escaped, and at a bounded rate."""

from __future__ import annotations

import asyncio
import logging

import pytest

from amqtt.logs import LogLimiter, printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("meter-7", "meter-7"),
        ("Zähler 水", "Zähler 水"),
        ("", ""),
        ("a\r\nWARNING b", "a\\x0d\\x0aWARNING b"),
        ("\x1b[2J\x7f\x9b", "\\x1b[2J\\x7f\\x9b"),
        ("a\u2028b\u2029", "a\\u2028b\\u2029"),
        ("a\u202eb\u2066\ufeff\u061c", "a\\u202eb\\u2066\\ufeff\\u061c"),
        ("👩‍🔧", "👩‍🔧"),
        ("x" * 256, "x" * 256),
        ("x" * 65_535, "x" * 256 + "..."),
        ("\ud800", "\\ud800"),
        (b"a\xff\xc3", "a\\xff\\xc3"),
        (b"\xff" * 65_535, "\\xff" * 256 + "..."),
        (ValueError("a\nb"), "a\\x0ab"),
        (None, "None"),
    ],
)
def test_printable(text: object, shown: str) -> None:
    assert printable(text) == shown
    shown.encode()


class Limited:
    """A limiter with a clock of its own, and what it has logged."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        self.now = 0.0
        caplog.set_level(logging.INFO)
        self._caplog = caplog
        self.limiter = LogLimiter(
            logging.getLogger("test"), per_peer=2, total=5, clock=lambda: self.now
        )

    def refuse(self, peer: str) -> None:
        self.limiter.log(logging.INFO, "refused users", peer, "User '%s' is refused.", peer)

    def lines(self) -> list[str]:
        lines = [record.getMessage() for record in self._caplog.records]
        self._caplog.clear()
        return lines


@pytest.fixture
def limited(caplog: pytest.LogCaptureFixture) -> Limited:
    return Limited(caplog)


def test_the_first_lines_are_logged_as_they_are(limited: Limited) -> None:
    for peer in ("a", "a", "b"):
        limited.refuse(peer)
    assert limited.lines() == ["User 'a' is refused."] * 2 + ["User 'b' is refused."]
    limited.limiter.flush()
    assert limited.lines() == []


def test_repeats_are_counted(limited: Limited) -> None:
    for _ in range(10_002):
        limited.refuse("a")
    assert len(limited.lines()) == 2
    limited.now = 10
    limited.refuse("a")
    assert limited.lines() == [
        "User 'a' is refused. (and 10,000 more in the last 10 s)", "User 'a' is refused.",
    ]  # fmt: skip


def test_the_lines_of_all_peers_are_bounded(limited: Limited) -> None:
    for number in range(1000):
        limited.refuse(f"peer {number}")
    limited.refuse("peer 0")
    assert len(limited.lines()) == 5
    limited.now = 2.5
    limited.limiter.flush()
    assert limited.lines() == [
        "User 'peer 0' is refused. (and 1 more in the last 3 s)",
        "refused users: 995 more of other clients in the last 3 s",
    ]


def test_texts_are_escaped_and_tracebacks_kept(limited: Limited) -> None:
    error = ValueError("line\nbreak")
    limited.limiter.log(
        logging.ERROR, "failures", "a\nb", "%s %r %d: %s", "a\nb", "a\nb", 7, error, exc_info=error
    )
    record = limited._caplog.records[0]
    assert record.getMessage() == "a\\x0ab 'a\\nb' 7: line\\x0abreak"
    assert record.exc_info is not None
    assert record.exc_info[1] is error
    assert record.funcName == "test_texts_are_escaped_and_tracebacks_kept"


def test_what_is_not_logged_is_not_counted(limited: Limited) -> None:
    for _ in range(10):
        limited.limiter.log(logging.DEBUG, "refused users", "a", "User is refused.")
    limited.limiter.flush()
    assert limited.lines() == []


def test_there_is_more_at_debug(limited: Limited, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for number in range(150):
        peer = f"peer {number // 50}"
        limited.limiter.log(logging.DEBUG, "decisions", peer, "Decided about '%s'", peer)
    assert len(limited.lines()) == 100
    limited.limiter.flush()
    assert "Decided about 'peer 2' (and 30 more in the last 1 s)" in limited.lines()


async def test_numbers_are_logged_by_time(caplog: pytest.LogCaptureFixture) -> None:
    """Though nothing else happens when the flood is over."""
    caplog.set_level(logging.INFO)
    limiter = LogLimiter(logging.getLogger("test"), per_peer=1, interval=0.05)
    for _ in range(8):
        limiter.log(logging.INFO, "refused users", "a", "User 'a' is refused.")
    while len(caplog.records) < 2:
        await asyncio.sleep(0.01)
    assert caplog.records[1].getMessage() == "User 'a' is refused. (and 7 more in the last 1 s)"
