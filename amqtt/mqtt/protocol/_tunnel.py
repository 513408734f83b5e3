"""Bring the bytes of a connection that the application holds to the engine, and back.

The engine opens its connections itself. It is let connect to a port of this process, and what it
sends there goes to the application's writer; what the application's reader has goes to the engine.
"""

from __future__ import annotations

import asyncio
import hmac
import secrets
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from amqtt._wire import PROTOCOL_3_1_1, read_or_raise
from amqtt.adapters import StreamReaderAdapter
from amqtt.errors import AMQTTError, MQTTError, NoDataError
from amqtt.mqtt import packet_from_bytes
from amqtt.mqtt.connack import ConnackPacket
from amqtt.mqtt.connect import ConnectPacket
from amqtt.mqtt.packet import DISCONNECT, MQTTFixedHeader, MQTTPacket

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from amqtt.adapters import ReaderAdapter, WriterAdapter

_LOOPBACK = "127.0.0.1"
_ENDINGS = (NoDataError, MQTTError, AMQTTError, OSError, asyncio.IncompleteReadError)

Packet = MQTTPacket[Any, Any, Any]
"""A control packet of any type."""


class Tunnel:
    """Join an engine's connection with a reader and a writer.

    Only the engine gets in: the password of its CONNECT is one that nobody else knows, and that
    CONNECT ends here.

    Args:
        reader: where the peer's packets come from.
        writer: where packets to the peer go.
        connect: the CONNECT that the peer gets; None when it has had one, or needs none. The
            engine is told then that its connection is accepted.
        watch: told each packet, and whether it was sent; None when nobody wants to know.

    Attributes:
        password: what the engine has to send in CONNECT.
        keeps_disconnect: whether the DISCONNECT of the engine is not for the peer.

    """

    def __init__(
        self,
        reader: ReaderAdapter,
        writer: WriterAdapter,
        connect: ConnectPacket | None,
        watch: Callable[[Packet, bool], Awaitable[None]] | None,
    ) -> None:
        """Make a tunnel that is not open."""
        self.password = secrets.token_hex(32)
        self.keeps_disconnect = False
        self._reader = reader
        self._writer = writer
        self._connect = connect
        self._watch = watch
        self._server: asyncio.Server | None = None
        self._engine: asyncio.StreamWriter | None = None
        self._outward: asyncio.Task[None] | None = None
        self._inward: asyncio.Task[None] | None = None
        self._greetings: set[asyncio.Task[None]] = set()

    async def open(self) -> tuple[str, int]:
        """Wait for the engine.

        Returns:
            Host and port that the engine is to connect to.

        """
        self._server = await asyncio.start_server(self._greet, _LOOPBACK, 0)
        port: int = self._server.sockets[0].getsockname()[1]
        return _LOOPBACK, port

    async def close(self) -> None:
        """Send the peer what the engine has sent, then stop; the engine has ended its side."""
        if self._server is not None:
            self._server.close()
        for greeting in list(self._greetings):
            greeting.cancel()
        if self._outward is not None:
            await asyncio.wait((self._outward,))
        if self._inward is not None:
            self._inward.cancel()
            await asyncio.wait((self._inward,))

    async def _greet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._greetings.add(task)
        task.add_done_callback(self._greetings.discard)
        source = StreamReaderAdapter(reader)
        try:
            is_engine = self._engine is None and self._is_ours(await _read_packet(source))
        except _ENDINGS:
            is_engine = False
        if not is_engine or self._server is None:
            writer.close()
            return
        self._server.close()
        self._engine = writer
        self._outward = asyncio.create_task(self._carry_outward(source))
        self._inward = asyncio.create_task(self._carry_inward(writer))

    def _is_ours(self, data: bytes) -> bool:
        packet = packet_from_bytes(data)
        password = packet.password if isinstance(packet, ConnectPacket) else None
        return isinstance(password, str) and hmac.compare_digest(
            password.encode(), self.password.encode()
        )

    async def _carry_outward(self, engine: ReaderAdapter) -> None:
        """Bring packets of the engine to the peer until the engine closes."""
        with suppress(*_ENDINGS):
            if self._connect is not None:
                await self._send(self._connect.to_bytes())
            while True:
                data = await _read_packet(engine)
                if not (self.keeps_disconnect and data[0] >> 4 == DISCONNECT):
                    await self._send(data)

    async def _send(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()
        await self._tell(data, sent=True)

    async def _carry_inward(self, engine: asyncio.StreamWriter) -> None:
        """Bring packets of the peer to the engine until the peer closes, or is not understood."""
        try:
            if self._connect is None:
                engine.write(ConnackPacket.build(0, 0).to_bytes())
            while True:
                data = await _read_packet(self._reader)
                await self._tell(data, sent=False)
                engine.write(data)
                await engine.drain()
        except _ENDINGS:
            pass
        finally:
            engine.close()

    async def _tell(self, data: bytes, *, sent: bool) -> None:
        if self._watch is not None:
            with suppress(MQTTError):  # the engine closes the connection for it
                await self._watch(packet_from_bytes(data, PROTOCOL_3_1_1), sent)


async def _read_packet(reader: ReaderAdapter) -> bytes:
    """Read a whole packet, without looking into it.

    Raises:
        NoDataError: the stream has ended.
        MQTTError: the Remaining Length is malformed.

    """
    header = await MQTTFixedHeader.from_stream(reader)
    if header is None:
        msg = "No more data"
        raise NoDataError(msg)
    rest = await read_or_raise(reader, header.remaining_length) if header.remaining_length else b""
    return header.to_bytes() + bytes(rest)
