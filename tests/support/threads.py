"""Brokers that have several threads in tests which do not configure that."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

VARIABLE = "AMQTT_TEST_THREADS"
# Where Python looks for code that a subprocess is to begin with.
STARTUP = Path(__file__).with_name("startup")


def wanted() -> int:
    """Return how many threads brokers are to have that are configured to have one."""
    return int(os.environ.get(VARIABLE) or "1")


def patch_engine() -> None:
    """Give engines that are made from now on in this process the threads that are wanted."""
    from amqtt import _core

    class ThreadedEngine(_core.BrokerEngine):
        def __init__(self, *, threads: int, **options: Any) -> None:
            super().__init__(threads=threads if threads > 1 else wanted(), **options)

    ThreadedEngine.plain = _core.BrokerEngine  # type: ignore[attr-defined]
    _core.BrokerEngine = ThreadedEngine  # type: ignore[misc]


def unpatch_engine() -> None:
    """Undo that."""
    from amqtt import _core

    _core.BrokerEngine = _core.BrokerEngine.plain  # type: ignore[attr-defined, misc]


@contextmanager
def brokers_with_threads(count: int) -> Iterator[None]:
    """Let brokers have so many threads, in this process and in those that it starts meanwhile."""
    before = os.environ.get(VARIABLE)
    os.environ[VARIABLE] = str(count)
    patch_engine()
    try:
        yield
    finally:
        unpatch_engine()
        if before is None:
            del os.environ[VARIABLE]
        else:
            os.environ[VARIABLE] = before
