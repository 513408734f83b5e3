"""Connections that the application hands in, as bytes on adapters.

The engine has one end of a pair of connected sockets and serves it like any other connection. Here
is what carries the bytes between the other end and the adapters. The system's buffers between the
two are bounded, so each side feels it when the other one does not keep up.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import socket
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol

from amqtt._compat import wait_for
from amqtt.logs import printable

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Coroutine

    from amqtt.adapters import ReaderAdapter, WriterAdapter

logger = logging.getLogger("amqtt.broker")

# What a reader raises when its stream has ended.
_ENDED = (ConnectionError, asyncio.IncompleteReadError)
# Bytes that are asked of a reader, or given to a writer, at a time.
_PIECE = 64 * 1024
# Seconds that an adapter may take to do the last that is asked of it.
_PATIENCE = 5.0
_MOST_LENGTH_BYTES = 4


class _Adopt(Protocol):
    """Hand a socket to the engine, which owns it when this returns."""

    def __call__(
        self, *, socket: int, listener: str, number: int, address: str, port: int
    ) -> None: ...


class ExternalConnections:
    """Keep the connections that one broker was handed."""

    def __init__(self) -> None:
        """Begin without connections."""
        self._numbers = itertools.count(1)
        self._open: dict[int, _ExternalConnection] = {}
        self._serving: set[asyncio.Future[None]] = set()

    def tls_of(self, number: int) -> Any:
        """Return the TLS object of a connection; None without TLS, and when it is over."""
        connection = self._open.get(number)
        return connection.tls if connection is not None else None

    def ended(self, number: int) -> None:
        """Note that the engine is done with a connection."""
        connection = self._open.pop(number, None)
        if connection is not None:
            connection.ended.set()

    def clear(self) -> None:
        """Note that the engine is done with all of them."""
        for number in list(self._open):
            self.ended(number)

    async def wait_closed(self, timeout: float = 3 * _PATIENCE) -> None:
        """Wait until nothing more is read from adapters or written to them, though not for ever."""
        if self._serving:
            await asyncio.wait(set(self._serving), timeout=timeout)

    async def serve(
        self,
        adopt: _Adopt,
        reader: ReaderAdapter,
        writer: WriterAdapter,
        listener: str,
    ) -> None:
        """Serve a client until it is gone; the writer is closed in any case.

        Args:
            adopt: makes the engine serve the other end of the pair.
            reader: what the client sends.
            writer: what is sent to it.
            listener: name of the listener that it counts for.

        Raises:
            OSError: the process has no file descriptors left.

        """
        serving: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._serving.add(serving)
        try:
            await self._serve(adopt, reader, writer, listener)
        finally:
            self._serving.discard(serving)
            serving.set_result(None)

    async def _serve(
        self,
        adopt: _Adopt,
        reader: ReaderAdapter,
        writer: WriterAdapter,
        listener: str,
    ) -> None:
        try:
            peer = writer.get_peer_info()
            if peer is None:
                logger.info("Listener '%s' refuses a connection: its peer is not known", listener)
                return
            who = f"{printable(peer[0])}:{peer[1]} on listener '{listener}'"
            tls = writer.get_ssl_info()
            number = next(self._numbers)
            ours, theirs = socket.socketpair()
            try:
                adopt(
                    socket=theirs.fileno(),
                    listener=listener,
                    number=number,
                    address=str(peer[0]),
                    port=peer[1],
                )
            except BaseException:
                ours.close()
                theirs.close()
                raise
            theirs.detach()
            connection = _ExternalConnection(ours, reader, writer, who, tls)
            self._open[number] = connection
            await connection.run()
        finally:
            await _bounded(writer.close(), f"closing a connection of listener '{listener}'")


class _ExternalConnection:
    """Carry the bytes of one connection."""

    def __init__(
        self,
        ours: socket.socket,
        reader: ReaderAdapter,
        writer: WriterAdapter,
        who: str,
        tls: ssl.SSLObject | None,
    ) -> None:
        ours.setblocking(False)
        self._socket = ours
        self._reader = reader
        self._writer = writer
        self._who = who
        self.tls = tls
        self.ended = asyncio.Event()  # the engine has closed its end

    async def run(self) -> None:
        """Carry bytes until either side has ended."""
        ended = asyncio.ensure_future(self.ended.wait())
        incoming = asyncio.ensure_future(self._receive())
        outgoing = asyncio.ensure_future(self._send())
        try:
            try:
                await asyncio.wait({outgoing, ended}, return_when=asyncio.FIRST_COMPLETED)
                # The engine may have closed while its last bytes are still on the way.
                await asyncio.wait({outgoing}, timeout=_PATIENCE)
            finally:
                await self._stop(incoming, outgoing)
            # So that everyone knows of the end when the application does.
            await asyncio.wait({ended}, timeout=_PATIENCE)
        finally:
            ended.cancel()

    async def _stop(self, *carriers: asyncio.Future[None]) -> None:
        for each in carriers:
            each.cancel()
        _shut(self._socket, socket.SHUT_RDWR)
        try:
            _, stuck = await asyncio.wait(carriers, timeout=_PATIENCE)
        finally:
            self._socket.close()
        if stuck:
            logger.error("Connection of %s: its adapters do not stop when cancelled", self._who)

    async def _receive(self) -> None:
        """Bring what the client sends to the engine."""
        loop = asyncio.get_running_loop()
        try:
            async for piece in _pieces(self._reader):
                await loop.sock_sendall(self._socket, piece)
        except _ENDED:
            pass
        except Exception:
            logger.exception("Connection of %s ends: reading from it has failed", self._who)
        # The engine closes when it finds the end; what it was sent before still counts.
        _shut(self._socket, socket.SHUT_WR)

    async def _send(self) -> None:
        """Bring what the engine sends to the client."""
        loop = asyncio.get_running_loop()
        try:
            while data := await loop.sock_recv(self._socket, _PIECE):
                self._writer.write(data)
                await self._writer.drain()
        except _ENDED:
            # The client is gone, but its last packets, such as DISCONNECT, may still be here.
            with suppress(asyncio.TimeoutError, OSError):
                await wait_for(self._drop_output(), _PATIENCE)
        except Exception:
            logger.exception("Connection of %s ends: writing to it has failed", self._who)

    async def _drop_output(self) -> None:
        while await asyncio.get_running_loop().sock_recv(self._socket, _PIECE):
            pass


async def _pieces(reader: ReaderAdapter) -> AsyncIterator[bytes]:
    """Yield what a reader has, without waiting for bytes that the peer has not to send.

    A reader returns no fewer bytes than it is asked for, so it can only be asked for those that
    the fixed header (section 2.1 of 5.0) announces.
    """
    while True:
        head = await _read_header(reader)
        length = _remaining_length(head)
        if length is None:
            yield head  # it is for the engine to say what is wrong
            return
        if length > _PIECE:  # the engine may not want so much
            yield head
            head = b""
        while length > 0:
            body = await _read(reader, min(length, _PIECE))
            if not body:
                return
            length -= len(body)
            yield head + body
            head = b""
        if head:
            yield head


async def _read_header(reader: ReaderAdapter) -> bytes:
    """Read a fixed header; what is not complete at the end of the stream is returned as well."""
    header = await _read(reader, 2)  # no packet is shorter
    while 1 < len(header) <= _MOST_LENGTH_BYTES and header[-1] & 0x80:
        more = await _read(reader, 1)
        if not more:
            break
        header += more
    return header


def _remaining_length(header: bytes) -> int | None:
    """Return the Remaining Length; None when the header is malformed or not complete."""
    if len(header) < 2 or header[-1] & 0x80:
        return None
    return sum((byte & 0x7F) << 7 * at for at, byte in enumerate(header[1:]))


async def _read(reader: ReaderAdapter, count: int) -> bytes:
    """Read some bytes, all of them unless the stream ends."""
    data = await reader.read(count)
    while data and len(data) < count:
        more = await reader.read(count - len(data))
        if not more:
            break
        data += more
    return bytes(data or b"")


def _shut(ours: socket.socket, how: int) -> None:
    try:
        ours.shutdown(how)
    except OSError:  # the engine has closed its end already
        return


async def _bounded(action: Coroutine[Any, Any, None], what: str) -> None:
    """Await something for a bounded time; that it fails is logged."""
    task = asyncio.ensure_future(action)
    try:
        _, pending = await asyncio.wait({task}, timeout=_PATIENCE)
    finally:
        task.cancel()
    if pending:
        logger.warning("It takes more than %d s: %s; going on", _PATIENCE, what)
        return
    error = None if task.cancelled() else task.exception()
    if error is not None and not isinstance(error, _ENDED):
        logger.error("It has failed: %s", what, exc_info=error)
