"""The adapters, against real streams and WebSocket connections on loopback."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.asyncio.connection import Connection
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed

from amqtt.adapters import (
    BufferReader,
    BufferWriter,
    ReaderAdapter,
    StreamReaderAdapter,
    StreamWriterAdapter,
    WebSocketsReader,
    WebSocketsWriter,
    WriterAdapter,
)
from amqtt.mqtt.publish import PublishPacket

LIMIT = 10.0


class TestBases:
    @pytest.mark.parametrize("base", [ReaderAdapter, WriterAdapter])
    def test_abstract(self, base: Any) -> None:
        with pytest.raises(TypeError, match="abstract"):
            base()

    async def test_bodies(self) -> None:
        class Reader(ReaderAdapter):
            async def read(self, n: int = -1) -> bytes:
                return await super().read(n)  # type: ignore[safe-super]

            def feed_eof(self) -> None:
                super().feed_eof()  # type: ignore[safe-super]

        with pytest.raises(NotImplementedError):
            await Reader().read()
        with pytest.raises(NotImplementedError):
            Reader().feed_eof()


class TestBuffers:
    async def test_reader(self) -> None:
        reader = BufferReader(b"abcd")
        reader.feed_eof()
        assert await reader.read(1) == b"a"
        assert await reader.read(2) == b"bc"
        assert await reader.read(9) == b"d"
        assert await reader.read(1) == b""

    async def test_reader_to_the_end(self) -> None:
        assert await BufferReader(b"abcd").read() == b"abcd"

    async def test_writer(self) -> None:
        writer = BufferWriter(b"a")
        writer.write(b"b")
        await writer.drain()
        await writer.close()
        assert writer.get_buffer() == b"ab"
        assert isinstance(writer.get_buffer(), bytes)
        assert writer.get_peer_info() == ("BufferWriter", 0)
        assert writer.get_ssl_info() is None
        assert BufferWriter().get_buffer() == b""


class TestStreamReader:
    async def test_exactly(self) -> None:
        stream = asyncio.StreamReader()
        reader = StreamReaderAdapter(stream)
        stream.feed_data(b"abc")
        assert await reader.read(2) == b"ab"
        reader.feed_eof()
        assert await reader.read() == b"c"
        assert await reader.read() == b""

    async def test_end_inside_a_read(self) -> None:
        stream = asyncio.StreamReader()
        stream.feed_data(b"a")
        stream.feed_eof()
        with pytest.raises(asyncio.IncompleteReadError):
            await StreamReaderAdapter(stream).read(2)


Peer = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@asynccontextmanager
async def tcp_pair() -> AsyncIterator[tuple[Peer, Peer]]:
    accepted: asyncio.Queue[Peer] = asyncio.Queue()

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        accepted.put_nowait((reader, writer))

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    near = await asyncio.open_connection("127.0.0.1", port)
    far = await asyncio.wait_for(accepted.get(), LIMIT)
    try:
        yield near, far
    finally:
        for _, writer in (near, far):
            writer.close()
        server.close()
        await server.wait_closed()


class TestStreamWriter:
    async def test_write_and_close(self) -> None:
        async with tcp_pair() as (near, far):
            writer = StreamWriterAdapter(near[1])
            assert not writer.is_closed
            assert writer.get_peer_info() == near[1].get_extra_info("peername")[:2]
            assert writer.get_ssl_info() is None
            writer.write(b"ab")
            await writer.drain()
            writer.write(b"c")
            await writer.close()
            assert await asyncio.wait_for(far[0].read(), LIMIT) == b"abc"

    async def test_closed(self) -> None:
        async with tcp_pair() as (near, far):
            writer = StreamWriterAdapter(near[1])
            await writer.close()
            assert writer.is_closed
            writer.write(b"late")
            await writer.drain()
            await writer.close()
            assert await asyncio.wait_for(far[0].read(), LIMIT) == b""

    async def test_close_after_the_peer_has_gone(self) -> None:
        async with tcp_pair() as (near, far):
            writer = StreamWriterAdapter(near[1])
            far[1].transport.abort()
            await asyncio.wait_for(near[0].read(), LIMIT)
            writer.write(b"x" * 100_000)
            await asyncio.wait_for(writer.close(), LIMIT)
            assert writer.is_closed

    async def test_packets(self) -> None:
        async with tcp_pair() as (near, far):
            sent = PublishPacket.build("t", b"x" * 100_000, 1, False, 1, False)
            await sent.to_stream(StreamWriterAdapter(near[1]))
            received = await PublishPacket.from_stream(StreamReaderAdapter(far[0]))
            assert received.data == sent.data

    async def test_no_peer_address(self) -> None:
        class Unnamed:
            def get_extra_info(self, name: str) -> object:
                return {"peername": ""}.get(name)

        writer = StreamWriterAdapter(Unnamed())  # type: ignore[arg-type]
        assert writer.get_peer_info() is None


@asynccontextmanager
async def websocket_to(
    handle: Callable[[Connection], Awaitable[None]],
) -> AsyncIterator[Connection]:
    async with serve(handle, "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        async with connect(f"ws://127.0.0.1:{port}/mqtt") as client:
            yield client


class TestWebSockets:
    async def test_packets_and_frames_need_not_agree(self) -> None:
        async def handle(connection: Connection) -> None:
            await connection.send([b"\x30\x05\x00", b"\x01t"])
            await connection.send(b"\x30\x04\x00\x01tx" + b"rest")

        async with websocket_to(handle) as client:
            reader = WebSocketsReader(client)
            assert await reader.read(2) == b"\x30\x05"
            assert await reader.read(5) == b"\x00\x01t\x30\x04"
            assert await reader.read() == b"\x00\x01txrest"
            assert await reader.read(1) == b""

    async def test_one_frame_a_drain(self) -> None:
        frames: list[Any] = []

        async def handle(connection: Connection) -> None:
            async for frame in connection:
                frames.append(frame)

        async with websocket_to(handle) as client:
            writer = WebSocketsWriter(client)
            writer.write(b"ab")
            writer.write(b"c")
            await writer.drain()
            await writer.drain()
            writer.write(b"d")
            await writer.drain()
            assert writer.get_peer_info() == client.remote_address[:2]
            assert writer.get_ssl_info() is None
            await writer.close()
            await writer.close()
            writer.write(b"late")
            await writer.drain()
        assert frames == [b"abc", b"d"]

    async def test_text_ends_the_stream(self) -> None:
        closed: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()

        async def handle(connection: Connection) -> None:
            await connection.send("text")
            with pytest.raises(ConnectionClosed):
                await connection.recv()
            closed.set_result(connection.close_code)

        async with websocket_to(handle) as client:
            assert await WebSocketsReader(client).read(2) == b""
            assert await asyncio.wait_for(closed, LIMIT) == 1003

    async def test_a_cancelled_read_loses_nothing(self) -> None:
        go_on = asyncio.Event()

        async def handle(connection: Connection) -> None:
            await connection.send(b"a")
            await go_on.wait()
            await connection.send(b"bc")

        async with websocket_to(handle) as client:
            reader = WebSocketsReader(client)
            assert await reader.read(0) == b""
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(reader.read(3), 0.2)
            go_on.set()
            assert await reader.read(3) == b"abc"

    async def test_feed_eof(self) -> None:
        async def handle(connection: Connection) -> None:
            await connection.wait_closed()

        async with websocket_to(handle) as client:
            reader = WebSocketsReader(client)
            reader.feed_eof()
            assert await reader.read(1) == b""
