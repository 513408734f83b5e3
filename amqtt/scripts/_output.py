"""Where `amqtt_sub` writes what it receives."""

from __future__ import annotations

import asyncio
import contextlib
import os
import stat
from typing import BinaryIO

from amqtt.scripts._streams import discard

_FLUSH_SIZE = 64 * 1024


class Output:
    """Write messages, each with an end; one flush for what arrives together.

    Must be made inside the task that writes, which is cancelled when the output fails between two
    writes.

    Args:
        stream: a binary stream that has a file descriptor.
        end: what follows each message.

    """

    def __init__(self, stream: BinaryIO, end: bytes = b"\n") -> None:
        """Make an output that holds nothing."""
        self._stream = stream
        self._end = end
        self._writer = asyncio.current_task()
        self._parts: list[bytes] = []
        self._size = 0
        self._flush_handle: asyncio.Handle | None = None
        self._watched: int | None = None
        self.error: OSError | None = None
        self._watch_reader()

    def write(self, payload: bytes) -> None:
        """Write a message and its end, at the latest when the event loop goes on.

        Args:
            payload: the bytes.

        Raises:
            OSError: the output cannot be written.

        """
        self._parts += (payload, self._end)
        self._size += len(payload)
        if self._size >= _FLUSH_SIZE:
            self.flush()
        elif self._flush_handle is None:
            self._flush_handle = asyncio.get_running_loop().call_soon(self._flush_later)

    def flush(self) -> None:
        """Hand everything that was written to the system.

        Raises:
            OSError: the output cannot be written, now or before.

        """
        if self.error is not None:
            raise self.error
        data = b"".join(self._parts)
        self._parts.clear()
        self._size = 0
        try:
            self._stream.write(data)
            self._stream.flush()
        except OSError as error:
            self._fail(error)
            raise

    def close(self) -> None:
        """Stop watching the reader; what was written is not flushed."""
        if self._watched is not None:
            asyncio.get_running_loop().remove_reader(self._watched)
            self._watched = None

    def _watch_reader(self) -> None:
        """Notice the end of a pipe's reader without a message to write."""
        with contextlib.suppress(OSError, NotImplementedError):
            descriptor = self._stream.fileno()
            if stat.S_ISFIFO(os.fstat(descriptor).st_mode):
                # The write end of a pipe becomes readable by an error only: nobody reads any more.
                asyncio.get_running_loop().add_reader(descriptor, self._reader_went_away)
                self._watched = descriptor

    def _reader_went_away(self) -> None:
        self._fail(BrokenPipeError())
        self._cancel_writer()

    def _flush_later(self) -> None:
        self._flush_handle = None
        try:
            self.flush()
        except OSError:
            self._cancel_writer()

    def _cancel_writer(self) -> None:
        if self._writer is not None:
            self._writer.cancel()

    def _fail(self, error: OSError) -> None:
        self.error = error
        self.close()
        if self._flush_handle is not None:  # it would cancel the writer, who has the error
            self._flush_handle.cancel()
            self._flush_handle = None
        discard(self._stream)
