"""Streams of bytes that MQTT packets are read from and written to.

An application can hand a connection of its own to the broker: it derives a reader from
`ReaderAdapter` and a writer from `WriterAdapter`.
"""

from __future__ import annotations

import asyncio
import io
import logging
import ssl
from abc import ABC, abstractmethod
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from websockets.asyncio.connection import Connection

_LOST = (ConnectionError, asyncio.IncompleteReadError)


class ReaderAdapter(ABC):
    """Base of the readers."""

    @abstractmethod
    async def read(self, n: int = -1) -> bytes:
        """Read bytes.

        Args:
            n: how many bytes; -1 means all until the stream ends.

        Returns:
            Exactly `n` bytes, or fewer when the stream has ended.

        Raises:
            asyncio.IncompleteReadError: the stream has ended.
            ConnectionResetError: so it has.
            BrokenPipeError: so it has.

        """
        raise NotImplementedError

    @abstractmethod
    def feed_eof(self) -> None:
        """Let the stream end behind what has arrived."""
        raise NotImplementedError


class WriterAdapter(ABC):
    """Base of the writers."""

    @abstractmethod
    def write(self, data: bytes) -> None:
        """Take bytes to be sent with the next `drain`.

        Args:
            data: the bytes.

        """
        raise NotImplementedError

    @abstractmethod
    async def drain(self) -> None:
        """Send what was written; return when the stream can take more."""
        raise NotImplementedError

    @abstractmethod
    def get_peer_info(self) -> tuple[str, int] | None:
        """Name the peer.

        Returns:
            Its address and port; None when they are not known.

        """
        raise NotImplementedError

    @abstractmethod
    def get_ssl_info(self) -> ssl.SSLObject | None:
        """Return the TLS object of the connection, which has the certificate of the peer.

        Returns:
            The object; None without TLS.

        """
        raise NotImplementedError

    @abstractmethod
    async def close(self) -> None:
        """Close the connection. It may be closed already."""
        raise NotImplementedError


class StreamReaderAdapter(ReaderAdapter):
    """Read from a stream of asyncio.

    Args:
        reader: the stream.

    """

    def __init__(self, reader: asyncio.StreamReader) -> None:
        """Read from the stream."""
        self._reader = reader

    async def read(self, n: int = -1) -> bytes:
        """Read exactly `n` bytes, or until the stream ends; see `ReaderAdapter.read`."""
        if n == -1:
            return await self._reader.read(n)
        return await self._reader.readexactly(n)

    def feed_eof(self) -> None:
        """Let the stream end behind what has arrived."""
        self._reader.feed_eof()


class StreamWriterAdapter(WriterAdapter):
    """Write to a stream of asyncio.

    Args:
        writer: the stream.

    """

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        """Write to the stream."""
        self.logger = logging.getLogger(__name__)
        self._writer = writer
        self.is_closed = False

    def write(self, data: bytes) -> None:
        """Take bytes to be sent; after `close` they are dropped."""
        if not self.is_closed:
            self._writer.write(data)

    async def drain(self) -> None:
        """Wait until the stream can take more; after `close` return at once."""
        if not self.is_closed:
            await self._writer.drain()

    def get_peer_info(self) -> tuple[str, int] | None:
        """Return address and port of the peer; None when the socket has none."""
        peer = self._writer.get_extra_info("peername")
        # The socket of a Unix listener has a path, which may be empty.
        if not isinstance(peer, tuple | list) or len(peer) < 2:
            return None
        return str(peer[0]), int(peer[1])

    def get_ssl_info(self) -> ssl.SSLObject | None:
        """Return the TLS object of the connection, or None."""
        found: ssl.SSLObject | None = self._writer.get_extra_info("ssl_object")
        return found

    async def close(self) -> None:
        """Send what was written and close; a connection that is lost already is no error."""
        if self.is_closed:
            return
        self.is_closed = True
        with suppress(ConnectionError, OSError):
            await self._writer.drain()
            if self._writer.can_write_eof():
                self._writer.write_eof()
        self._writer.close()
        with suppress(ConnectionError, OSError):
            await self._writer.wait_closed()


class WebSocketsReader(ReaderAdapter):
    """Read from a connection of the library `websockets`.

    Packets are reassembled from binary frames, which need not be aligned with them
    (MQTT-6.0.0-3). A text frame ends the stream (MQTT-6.0.0-1).

    Args:
        protocol: the connection.

    """

    def __init__(self, protocol: Connection) -> None:
        """Read from the connection."""
        self._protocol = protocol
        self._buffer = bytearray()
        self._ended = False

    async def read(self, n: int = -1) -> bytes:
        """Read exactly `n` bytes, or until the stream ends; see `ReaderAdapter.read`.

        What has arrived is kept when the call is cancelled.
        """
        while not self._ended and (n < 0 or len(self._buffer) < n):
            await self._receive_frame()
        size = len(self._buffer) if n < 0 else n
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        return data

    async def _receive_frame(self) -> None:
        from websockets.exceptions import ConnectionClosed

        try:
            frame = await self._protocol.recv()
        except ConnectionClosed:
            self._ended = True
            return
        if isinstance(frame, str):
            self._ended = True
            await self._protocol.close(1003, "MQTT is sent in binary frames")
            return
        self._buffer += frame

    def feed_eof(self) -> None:
        """Let the stream end behind what has arrived."""
        self._ended = True


class WebSocketsWriter(WriterAdapter):
    """Write to a connection of the library `websockets`, one binary frame a `drain`.

    Args:
        protocol: the connection.

    """

    def __init__(self, protocol: Connection) -> None:
        """Write to the connection."""
        self._protocol = protocol
        self._buffer = bytearray()

    def write(self, data: bytes) -> None:
        """Take bytes to be sent with the next `drain`."""
        self._buffer += data

    async def drain(self) -> None:
        """Send what was written as one frame; to a lost connection nothing is sent."""
        from websockets.exceptions import ConnectionClosed

        if not self._buffer:
            return
        frame = bytes(self._buffer)
        self._buffer.clear()
        with suppress(ConnectionClosed):
            await self._protocol.send(frame)

    def get_peer_info(self) -> tuple[str, int] | None:
        """Return address and port of the peer; None when the connection has none."""
        peer = self._protocol.remote_address
        if not isinstance(peer, tuple | list) or len(peer) < 2:
            return None
        return str(peer[0]), int(peer[1])

    def get_ssl_info(self) -> ssl.SSLObject | None:
        """Return the TLS object of the connection, or None."""
        transport = getattr(self._protocol, "transport", None)
        return transport.get_extra_info("ssl_object") if transport is not None else None

    async def close(self) -> None:
        """Close the connection with the closing handshake."""
        await self._protocol.close()


class BufferReader(ReaderAdapter):
    """Read from bytes.

    Args:
        buffer: the bytes.

    """

    def __init__(self, buffer: bytes) -> None:
        """Read from the beginning of the bytes."""
        self._stream = io.BytesIO(buffer)

    async def read(self, n: int = -1) -> bytes:
        """Read `n` bytes, or what is left when that is less."""
        return self._stream.read(n)

    def feed_eof(self) -> None:
        """Do nothing: the bytes end where they end."""


class BufferWriter(WriterAdapter):
    """Gather what is written.

    Args:
        buffer: what comes before it.

    """

    def __init__(self, buffer: bytes = b"") -> None:
        """Begin with the bytes."""
        self._buffer = bytearray(buffer)

    def write(self, data: bytes) -> None:
        """Append bytes."""
        self._buffer += data

    async def drain(self) -> None:
        """Do nothing: what was written is there."""

    def get_buffer(self) -> bytes:
        """Return everything that was written."""
        return bytes(self._buffer)

    def get_peer_info(self) -> tuple[str, int]:
        """Name the buffer as the peer."""
        return "BufferWriter", 0

    def get_ssl_info(self) -> ssl.SSLObject | None:
        """Return None: there is no TLS."""
        return None

    async def close(self) -> None:
        """Do nothing: the buffer can still be read."""
