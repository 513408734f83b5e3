"""The standard streams of a command, which whoever starts it may have closed."""

from __future__ import annotations

import os
import sys
from typing import IO, Any

_NAMES = ("stdin", "stdout", "stderr")

_closed: set[str] = set()


def prepare_streams() -> None:
    """Open the null device in the place of each standard stream that is closed.

    To be called before anything else is opened: the next file or socket would get the descriptor of
    the stream, and then what is written to the stream.
    """
    for descriptor, name in enumerate(_NAMES):
        try:
            os.fstat(descriptor)
        except OSError:
            _closed.add(name)
            # The lowest descriptor that is free: those below are open by now.
            os.open(os.devnull, os.O_RDWR)
        if getattr(sys, name) is None:
            mode = "r" if name == "stdin" else "w"
            setattr(sys, name, open(descriptor, mode, encoding="utf-8", closefd=False))  # noqa: SIM115


def is_closed(name: str) -> bool:
    """Tell whether a standard stream was closed when the command began.

    Args:
        name: `stdin`, `stdout` or `stderr`.

    """
    return name in _closed


def discard(stream: IO[Any]) -> None:
    """Have what is written to a stream from now on, and what its buffers hold, go nowhere.

    For a stream that cannot be written: the interpreter flushes its buffers when it exits.

    Args:
        stream: the stream; one without a file descriptor is left alone.

    """
    try:
        descriptor = stream.fileno()
    except (OSError, ValueError):
        return
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, descriptor)
    os.close(null)
