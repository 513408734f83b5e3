"""What a peer that nobody knows yet can take: connections, time and memory."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support import websocket as ws
from support.endpoints import LIMIT, Trust, resident_bytes
from support.process import BrokerProcess
from support.serving import Serving, serving
from support.websocket import WebSocketClient
from support.wire import WireClient, connect

PEERS = 150
MUCH = 1 << 20  # what such a peer sends, or would like to
MOST_EACH = 256 << 10  # bytes of memory that a peer may cost before its CONNECT is accepted


def wire(broker: Serving) -> WireClient:
    return WireClient.over(socket.create_connection((broker.host, broker.port), LIMIT))


# -- connections


@pytest.mark.parametrize("kind", ["tcp", "ws"])
async def test_connections_over_the_limit(kind: str) -> None:
    """They are closed at once and logged; when one ends there is room again."""
    async with serving({"type": kind, "max_connections": 3}) as broker:
        with contextlib.ExitStack() as stack:
            inside = [stack.enter_context(wire(broker)) for _ in range(3)]
            for number, peer in enumerate(inside):
                client = WebSocketClient(peer).open() if kind == "ws" else peer
                client.send(connect(f"inside{number}"))
                client.read(4)
            for _ in range(10):
                with wire(broker) as outside:
                    outside.expect_close()
            line = await broker.log.wait_for("refuses the connection of 127.0.0.1:")
            assert line.startswith("WARNING listener 'default'")
            assert line.endswith(": max_connections is reached")
            assert not any("refuses" in other for other in broker.log.lines)
            inside[0].abort()
            assert serves_in_the_end(broker, kind)


def serves_in_the_end(broker: Serving, kind: str) -> bool:
    """Whether a new client is served once the broker has seen that another one is gone."""
    for _ in range(200):
        with contextlib.suppress(Exception), wire(broker) as peer:
            client = WebSocketClient(peer).open() if kind == "ws" else peer
            client.send(connect("next"))
            client.read(4)
            return True
    return False


async def test_an_unfinished_handshake_counts(trust: Trust) -> None:
    """It holds a place up to the time limit, not longer."""
    options = {**trust.listener(), "max_connections": 1}
    async with serving(options, limits={"connect_timeout": 1}) as broker:
        with wire(broker) as slow, wire(broker) as outside:
            outside.expect_close()
            slow.expect_close()
        assert await broker.certificate(trust)


# -- memory


def tls_record(payload: bytes, kind: int = 22) -> bytes:
    return struct.pack("!BHH", kind, 0x0301, len(payload)) + payload


def endless_hello() -> bytes:
    """A ClientHello that announces 128 KiB, is not complete with them, and goes on."""
    start = b"\x01" + (131_000).to_bytes(3, "big") + b"\x03\x03" + bytes(16_000)
    return tls_record(start) + tls_record(bytes(16_000)) * (MUCH // 16_000)


def stalled_hello(sent: int) -> bytes:
    """The start of a ClientHello that announces 128 KiB, for which memory is reserved."""
    hello = b"\x01" + (131_000).to_bytes(3, "big") + b"\x03\x03" + bytes(sent)
    return b"".join(tls_record(hello[at : at + 16_000]) for at in range(0, len(hello), 16_000))


def endless_header() -> bytes:
    """A request of HTTP that does not end."""
    return ws.request()[:-2] + b"x-filler: " + b"x" * MUCH


def endless_ping() -> bytes:
    """Pings whose answers nobody reads, and a frame that is never complete."""
    pings = ws.frame(ws.PING, b"p" * 125) * (MUCH // 131)
    return ws.request() + pings + ws.frame(ws.BINARY, bytes(1 << 17))[:10]


def endless_proxy_header() -> bytes:
    """A header of version 2 that announces 16 KiB and stops short of its end."""
    return b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x3f\xf0" + bytes(16_000)


@pytest.fixture
def process(trust: Trust, tmp_path: Path) -> Iterator[BrokerProcess]:
    listeners: dict[str, dict[str, Any]] = {
        "tls": trust.listener(),
        "ws": {"type": "ws"},
        "proxied": {"proxy_protocol": True, "proxy_trusted": ["127.0.0.1"]},
    }
    for name, options in listeners.items():
        options["bind"] = f"unix:{tmp_path}/{name}.sock"
    broker = BrokerProcess(tmp_path, {"limits": {"connect_timeout": 60}}, "", listeners=listeners)
    yield broker
    broker.stop()


@pytest.mark.parametrize(
    ("listener", "data"),
    [
        ("tls", endless_hello()),
        ("tls", stalled_hello(0)),
        ("tls", stalled_hello(130_000)),
        ("ws", endless_header()),
        ("ws", endless_ping()),
        ("proxied", endless_proxy_header()),
    ],
    ids=["tls", "first of tls", "most of tls", "http", "ping", "proxy"],
)
def test_memory_of_unfinished_handshakes(
    process: BrokerProcess, tmp_path: Path, listener: str, data: bytes
) -> None:
    before = resident_bytes(process.pid)
    if before is None:
        pytest.skip("the system does not tell how much memory is in use")
    with contextlib.ExitStack() as stack:
        for _ in range(PEERS):
            peer = stack.enter_context(socket.socket(socket.AF_UNIX))
            peer.connect(f"{tmp_path}/{listener}.sock")
            peer.settimeout(0.5)
            with contextlib.suppress(TimeoutError, BrokenPipeError, ConnectionResetError):
                peer.sendall(data)
        # A client that is served shows that the broker has looked at what came before.
        with WireClient(process.port) as known:
            known.login(connect("known")).ping()
        after = resident_bytes(process.pid) or 0
    assert after - before < PEERS * MOST_EACH


@pytest.mark.parametrize("length", [1 << 63, (1 << 64) - 1, (1 << 63) | 5])
async def test_frame_lengths_with_the_top_bit(length: int) -> None:
    """They are an error, and nothing is reserved for them."""
    async with serving({"type": "ws"}) as broker:
        with wire(broker) as below:
            peer = WebSocketClient(below).open()
            below.send(b"\x82\xff" + length.to_bytes(8, "big") + b"mask" + os.urandom(100))
            peer.expect_close_frame(1002)
        await broker.log.wait_for("broke the rules of WebSocket: length of more than 63 bits")


async def test_a_large_frame_length_reserves_nothing() -> None:
    """A frame of 2^62 bytes is served as it comes: its length bounds no packet."""
    async with serving({"type": "ws"}) as broker:
        with wire(broker) as below:
            peer = WebSocketClient(below).open()
            packet = connect("large")
            below.send(b"\x82\xff" + (1 << 62).to_bytes(8, "big") + bytes(4) + packet)
            assert peer.read(4) == b"\x20\x02\x00\x00"


# -- WebSocket: how it ends, and what is not offered


async def test_close_codes() -> None:
    """3.1.1:MQTT-4.8.0-1@server: a violation of the protocol closes the connection."""
    plugins = {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": False}}
    async with serving({"type": "ws"}, plugins=plugins) as broker:
        with wire(broker) as below:
            peer = WebSocketClient(below).open()
            peer.send(connect("nobody"))
            assert peer.read(4) == b"\x20\x02\x00\x05"
            peer.expect_close_frame(1008)
    async with serving({"type": "ws"}, limits={"max_packet_size": 100}) as broker:
        with wire(broker) as below:
            peer = WebSocketClient(below).open()
            peer.send(connect("big"))
            peer.read(4)
            peer.send(b"\x30\xff\x7f" + bytes(200))
            peer.expect_close_frame(1009)


async def test_compression_is_not_offered() -> None:
    """A client that asks for it goes without; one that uses it nevertheless is closed."""
    async with serving({"type": "ws"}) as broker:
        with wire(broker) as below:
            below.send(ws.request(sec_websocket_extensions="permessage-deflate"))
            peer = WebSocketClient(below)
            status, fields = peer.read_response()
            assert status == 101
            assert "sec-websocket-extensions" not in fields
            bomb = b"\xed\xc1\x01\x01\x00\x00\x00\x80\x90\xfe\xaf\xee\x08\x0a"
            below.send(ws.frame(ws.BINARY | 0x40, bomb))
            peer.expect_close_frame(1002)
