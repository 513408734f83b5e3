"""Serve MQTT over WebSocket from a web server of aiohttp, next to its pages.

Run it, open http://localhost:8080/ and connect an MQTT client to ws://localhost:8080/mqtt:

    pip install amqtt aiohttp
    python websocket_in_aiohttp.py --port 8080
"""

import argparse
import ssl
from typing import Any

from aiohttp import WSMsgType, web

from amqtt.adapters import ReaderAdapter, WriterAdapter
from amqtt.broker import Broker

CONFIG: dict[str, Any] = {"listeners": {"default": {"type": "external"}}}
BROKER = web.AppKey("broker", Broker)


class WebSocketReader(ReaderAdapter):
    """Read what a client sends in binary messages, wherever they begin and end."""

    def __init__(self, websocket: web.WebSocketResponse) -> None:
        """Read from a connection whose handshake is complete."""
        self._websocket = websocket
        self._buffer = bytearray()
        self._ended = False

    async def read(self, n: int = -1) -> bytes:
        """Read `n` bytes, or all of them when the connection ends before."""
        while not self._ended and (n < 0 or len(self._buffer) < n):
            message = await self._websocket.receive()
            if message.type is WSMsgType.BINARY:
                self._buffer += message.data
            else:  # closed, or a text message, which MQTT does not have
                self._ended = True
        count = len(self._buffer) if n < 0 else n
        data = bytes(self._buffer[:count])
        del self._buffer[:count]
        return data

    def feed_eof(self) -> None:
        """End behind what has arrived."""
        self._ended = True


class WebSocketWriter(WriterAdapter):
    """Write to a client, one binary message each time."""

    def __init__(self, request: web.Request, websocket: web.WebSocketResponse) -> None:
        """Write to a connection whose handshake is complete."""
        self._transport = request.transport
        self._websocket = websocket
        self._buffer = bytearray()

    def write(self, data: bytes) -> None:
        """Take bytes to be sent."""
        self._buffer += data

    async def drain(self) -> None:
        """Send them; return when the connection can take more."""
        data, self._buffer = bytes(self._buffer), bytearray()
        await self._websocket.send_bytes(data)

    def get_peer_info(self) -> tuple[str, int] | None:
        """Return address and port of the client, or None when it is gone already."""
        peer = self._transport.get_extra_info("peername") if self._transport else None
        return (peer[0], peer[1]) if peer else None

    def get_ssl_info(self) -> ssl.SSLObject | None:
        """Return the TLS object, which plugins see as `session.ssl_object`."""
        return self._transport.get_extra_info("ssl_object") if self._transport else None

    async def close(self) -> None:
        """Close the connection."""
        await self._websocket.close()


async def mqtt(request: web.Request) -> web.WebSocketResponse:
    """Hand a WebSocket connection to the broker and wait until its client is gone."""
    # While aiohttp shuts down it does not see that clients answer Close: do not wait long for it.
    websocket = web.WebSocketResponse(protocols=("mqtt",), timeout=1.0)
    await websocket.prepare(request)
    await request.app[BROKER].external_connected(
        WebSocketReader(websocket), WebSocketWriter(request, websocket), "default"
    )
    return websocket


async def index(request: web.Request) -> web.Response:
    """Say how many clients there are."""
    clients = request.app[BROKER].statistics()["clients_connected"]
    return web.Response(text=f"{clients} MQTT clients are connected to /mqtt\n")


async def start_broker(app: web.Application) -> None:
    """Start the broker with the server."""
    app[BROKER] = Broker(CONFIG)
    await app[BROKER].start()


async def stop_broker(app: web.Application) -> None:
    """Stop the broker, which closes the connections, before the server waits for its handlers."""
    await app[BROKER].shutdown()


def make_app() -> web.Application:
    """Make the web application."""
    app = web.Application()
    app.router.add_get("/", index)
    app.router.add_get("/mqtt", mqtt)
    app.on_startup.append(start_broker)
    app.on_shutdown.append(stop_broker)
    return app


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="MQTT over WebSocket in a web server")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8080)
    options = parser.parse_args()
    web.run_app(make_app(), host=options.host, port=options.port)
