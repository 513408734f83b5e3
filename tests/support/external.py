"""Connections that are handed in to a broker: servers that do, and adapters without a server."""

from __future__ import annotations

import asyncio
import importlib.util
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from types import ModuleType
from typing import Any

from amqtt.adapters import (
    ReaderAdapter,
    StreamReaderAdapter,
    StreamWriterAdapter,
    WebSocketsReader,
    WebSocketsWriter,
    WriterAdapter,
)
from amqtt.broker import Broker
from support.wire import CONNACK_ACCEPTED, PINGREQ, PINGRESP, connect

LIMIT = 10.0
LISTENER = "handed-in"
SAMPLE = Path(__file__).parents[2] / "samples" / "websocket_in_aiohttp.py"

# What a client needs to reach a server: port and path, which is None without WebSocket.
Where = tuple[int, str | None]


def load_sample() -> ModuleType:
    """Import the sample."""
    spec = importlib.util.spec_from_file_location("websocket_in_aiohttp", SAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# -- servers


@asynccontextmanager
async def streams_server(broker: Broker) -> AsyncIterator[Where]:
    """Serve TCP by asyncio."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await broker.external_connected(
            StreamReaderAdapter(reader), StreamWriterAdapter(writer), LISTENER
        )

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1], None
    finally:
        server.close()


@asynccontextmanager
async def websockets_server(broker: Broker) -> AsyncIterator[Where]:
    """Serve WebSocket by the library `websockets`, with the packaged adapters."""
    from websockets.asyncio.server import ServerConnection, serve
    from websockets.typing import Subprotocol

    async def connected(connection: ServerConnection) -> None:
        await broker.external_connected(
            WebSocketsReader(connection), WebSocketsWriter(connection), LISTENER
        )

    mqtt = Subprotocol("mqtt")
    async with serve(connected, "127.0.0.1", 0, subprotocols=[mqtt], max_size=None) as server:
        yield next(iter(server.sockets)).getsockname()[1], "/"


@asynccontextmanager
async def aiohttp_server(broker: Broker) -> AsyncIterator[Where]:
    """Serve WebSocket by aiohttp, with the adapters of the sample."""
    from aiohttp import web

    sample = load_sample()

    async def mqtt(request: web.Request) -> web.WebSocketResponse:
        websocket = web.WebSocketResponse(protocols=("mqtt",))
        await websocket.prepare(request)
        await broker.external_connected(
            sample.WebSocketReader(websocket), sample.WebSocketWriter(request, websocket), LISTENER
        )
        return websocket

    app = web.Application()
    app.router.add_get("/mqtt", mqtt)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield runner.addresses[0][1], "/mqtt"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def starlette_server(broker: Broker) -> AsyncIterator[Where]:
    """Serve WebSocket by Starlette under uvicorn."""
    import uvicorn
    from starlette.applications import Starlette
    from starlette.routing import WebSocketRoute
    from starlette.websockets import WebSocket

    async def mqtt(websocket: WebSocket) -> None:
        await websocket.accept(subprotocol="mqtt")
        await broker.external_connected(AsgiReader(websocket), AsgiWriter(websocket), LISTENER)

    app = Starlette(routes=[WebSocketRoute("/mqtt", mqtt)])
    config = uvicorn.Config(app, ws="websockets-sansio", lifespan="off", log_level="warning")
    server = uvicorn.Server(config)
    listening = socket.create_server(("127.0.0.1", 0))
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        yield listening.getsockname()[1], "/mqtt"
    finally:
        server.should_exit = True
        await serving
        listening.close()


class AsgiReader(ReaderAdapter):
    """Read from a WebSocket connection of Starlette."""

    def __init__(self, websocket: Any) -> None:
        """Read from a connection that was accepted."""
        self._websocket = websocket
        self._buffer = bytearray()
        self._ended = False

    async def read(self, n: int = -1) -> bytes:
        """Read `n` bytes, or all of them when the connection ends before."""
        while not self._ended and (n < 0 or len(self._buffer) < n):
            message = await self._websocket.receive()
            self._ended = message.get("bytes") is None
            self._buffer += message.get("bytes") or b""
        count = len(self._buffer) if n < 0 else n
        data = bytes(self._buffer[:count])
        del self._buffer[:count]
        return data

    def feed_eof(self) -> None:
        """End behind what has arrived."""
        self._ended = True


class AsgiWriter(WriterAdapter):
    """Write to a WebSocket connection of Starlette."""

    def __init__(self, websocket: Any) -> None:
        """Write to a connection that was accepted."""
        self._websocket = websocket
        self._buffer = bytearray()

    def write(self, data: bytes) -> None:
        """Take bytes to be sent."""
        self._buffer += data

    async def drain(self) -> None:
        """Send them as one message."""
        from starlette.websockets import WebSocketDisconnect

        data, self._buffer = bytes(self._buffer), bytearray()
        try:
            await self._websocket.send_bytes(data)
        except (WebSocketDisconnect, RuntimeError) as error:
            raise ConnectionResetError from error

    def get_peer_info(self) -> tuple[str, int] | None:
        """Return address and port of the client."""
        return self._websocket.client

    def get_ssl_info(self) -> None:
        """Return None: there is no TLS."""

    async def close(self) -> None:
        """Close the connection, unless the client has."""
        from starlette.websockets import WebSocketDisconnect

        with suppress(WebSocketDisconnect, RuntimeError):
            await self._websocket.close()


# -- adapters without a server


class Writer(WriterAdapter):
    """Keep what is written, for the test to read; `drain` waits while it is blocked."""

    def __init__(self, peer: tuple[str, int] | None) -> None:
        """Begin with nothing."""
        self.peer = peer
        self.tls: Any = None
        self.closed = 0
        self.written = 0
        self.open = asyncio.Event()
        self.open.set()
        self.on_drain: Callable[[], Awaitable[object]] = self.open.wait
        self.on_close: Callable[[], Awaitable[object]] | None = None
        self.received = asyncio.StreamReader()

    def write(self, data: bytes) -> None:
        """Keep bytes."""
        self.written += len(data)
        self.received.feed_data(data)

    async def drain(self) -> None:
        """Wait while the test wants it."""
        await self.on_drain()

    def get_peer_info(self) -> tuple[str, int] | None:
        """Return what the test has set."""
        return self.peer

    def get_ssl_info(self) -> Any:
        """Return what the test has set."""
        return self.tls

    async def close(self) -> None:
        """Note it."""
        self.closed += 1
        self.received.feed_eof()
        if self.on_close is not None:
            await self.on_close()


class HandedIn:
    """An MQTT client whose connection is nothing but adapters."""

    def __init__(self, peer: tuple[str, int] | None = ("far.example", 4711)) -> None:
        """Make the adapters."""
        self.stream = asyncio.StreamReader()
        self.reader: ReaderAdapter = StreamReaderAdapter(self.stream)
        self.writer = Writer(peer)
        self.serving: asyncio.Task[None] | None = None

    def start(self, broker: Broker, listener: str = LISTENER) -> HandedIn:
        """Hand the connection in."""
        self.serving = asyncio.create_task(
            broker.external_connected(self.reader, self.writer, listener)
        )
        return self

    async def login(self, client_id: str, **options: Any) -> HandedIn:
        """Connect and require that it is accepted."""
        self.send(connect(client_id, **options))
        await self.expect(CONNACK_ACCEPTED)
        return self

    def send(self, data: bytes) -> None:
        """Send bytes."""
        self.stream.feed_data(data)

    async def expect(self, data: bytes) -> None:
        """Require exactly these bytes next."""
        got = await asyncio.wait_for(self.writer.received.readexactly(len(data)), LIMIT)
        assert got == data

    async def ping(self) -> None:
        """Require PINGRESP as the answer to PINGREQ."""
        self.send(PINGREQ)
        await self.expect(PINGRESP)

    async def gone(self) -> None:
        """Require that the broker is done with the connection, and has closed it once."""
        assert self.serving is not None
        await asyncio.wait_for(self.serving, 2 * LIMIT)
        assert self.writer.closed == 1
