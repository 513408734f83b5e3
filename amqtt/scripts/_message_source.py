"""Where `amqtt_pub` gets its messages from: an argument, a file or the standard input."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

_STDIN = 0
_CHUNK_SIZE = 256 * 1024
_MAX_PAYLOAD = 268_435_455


async def read_whole(descriptor: int = _STDIN) -> AsyncIterator[bytes]:
    """Make one message of everything that a file holds.

    Args:
        descriptor: file descriptor; the standard input unless told otherwise.

    Yields:
        The content.

    Raises:
        ValueError: it is larger than a packet can be.

    """
    content = bytearray()
    async for chunk in _chunks(descriptor):
        _append(content, chunk)
    yield bytes(content)


async def read_lines(descriptor: int = _STDIN) -> AsyncIterator[bytes]:
    """Make one message of each line of a file, the newline included.

    The next part of the file is only read when the lines before it have been taken.

    Args:
        descriptor: file descriptor; the standard input unless told otherwise.

    Yields:
        The lines.

    Raises:
        ValueError: a line is larger than a packet can be.

    """
    unfinished = bytearray()
    async for chunk in _chunks(descriptor):
        first, newline, others = chunk.partition(b"\n")
        _append(unfinished, first + newline)
        if not newline:
            continue
        yield bytes(unfinished)
        *complete, last = others.split(b"\n")
        for line in complete:
            yield line + b"\n"
        unfinished = bytearray(last)
    if unfinished:
        yield bytes(unfinished)


async def read_lines_of(path: str | Path) -> AsyncIterator[bytes]:
    """Make one message of each line of a named file.

    Args:
        path: path of the file.

    Yields:
        The lines, each with its newline.

    Raises:
        OSError: the file cannot be read.
        ValueError: a line is larger than a packet can be.

    """
    # A named pipe blocks here until somebody writes to it.
    descriptor = await _in_thread(os.open, path, os.O_RDONLY)
    try:
        async for line in read_lines(descriptor):
            yield line
    finally:
        os.close(descriptor)


async def single(data: bytes) -> AsyncIterator[bytes]:
    """Make one message of data that is there already.

    Args:
        data: the payload.

    Yields:
        The payload.

    """
    yield data


async def repeated(data: bytes, count: int, delay: float) -> AsyncIterator[bytes]:
    """Make the same message several times.

    Args:
        data: the payload.
        count: how often.
        delay: seconds between two of them.

    Yields:
        The payload.

    """
    for number in range(count):
        if number and delay:
            await asyncio.sleep(delay)
        yield data


def _append(message: bytearray, part: bytes) -> None:
    message += part
    if len(message) > _MAX_PAYLOAD:
        msg = f"a message is larger than {_MAX_PAYLOAD} bytes"
        raise ValueError(msg)


async def _chunks(descriptor: int) -> AsyncIterator[bytes]:
    while chunk := await _in_thread(os.read, descriptor, _CHUNK_SIZE):
        yield chunk


async def _in_thread(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function that may block for ever.

    The thread is a daemon, unlike those of an executor: an interrupted command does not wait for
    a terminal or a pipe that stays silent.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Any] = loop.create_future()

    def finish(result: Any, error: BaseException | None) -> None:
        if future.cancelled():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)

    def work() -> None:
        result: Any = None
        error: BaseException | None = None
        try:
            result = function(*arguments)
        except OSError as caught:
            error = caught
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(finish, result, error)

    threading.Thread(target=work, daemon=True).start()
    return await future
