"""Garbage and floods below MQTT: in WebSocket frames and where TLS is expected."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator
from typing import NamedTuple

import pytest
from support import websocket as ws
from support.abuse import MIB, descriptors, flood, watched
from support.certificates import have_openssl
from support.endpoints import Endpoints, Trust, running_endpoints
from support.websocket import WebSocketClient
from support.wire import CONNACK_ACCEPTED, PINGREQ, PINGRESP, WireClient, connect

SLACK = 16 * MIB
# What one connection over TLS may cost: the state and the buffers of OpenSSL.
A_TLS_CONNECTION = 100 << 10


class _Target(NamedTuple):
    pid: int
    port: int


@pytest.fixture(scope="module")
def shared_endpoints(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoints]:
    if not have_openssl():
        pytest.skip("not tested: the command openssl is not installed")
    trust = Trust.make(tmp_path_factory.mktemp("certificates"))
    config = {"limits": {"connect_timeout": 2}}
    with running_endpoints(trust, tmp_path_factory, config) as endpoints:
        yield endpoints


@contextlib.contextmanager
def _watched(endpoints: Endpoints, memory: int) -> Iterator[None]:
    with watched(_Target(endpoints.pid, endpoints.ports["tcp"]), memory=memory):
        yield


def test_websocket_pings_without_reading(shared_endpoints: Endpoints) -> None:
    """Only the newest Pong waits, however many Pings came; MQTT goes on behind them."""
    with _watched(shared_endpoints, SLACK), shared_endpoints.open("ws", "pings") as peer:
        assert isinstance(peer, WebSocketClient)
        flood(peer.wire, ws.frame(ws.PING, b"x" * 125), 24 * MIB)
        if peer.wire.unfinished:
            peer.wire.send(peer.wire.unfinished)
        peer.send(PINGREQ)
        while (received := peer.read_frame())[0] == ws.PONG:
            assert received[1] == b"x" * 125
        assert received == (ws.BINARY, PINGRESP)


@pytest.mark.parametrize("kind", ["ws", "wss"])
def test_mqtt_pings_in_websocket_frames_without_reading(
    shared_endpoints: Endpoints, kind: str
) -> None:
    """Answers that nobody reads hold the flood up; when they are read, none is missing."""
    with (
        _watched(shared_endpoints, SLACK),
        shared_endpoints.open(kind, "pings", keep_alive=0) as peer,
    ):
        assert isinstance(peer, WebSocketClient)
        units = flood(peer.wire, ws.frame(ws.BINARY, PINGREQ * 100), 24 * MIB)
        for _ in range(units):
            peer.expect(PINGRESP * 100)
        if peer.wire.unfinished:
            peer.wire.send(peer.wire.unfinished)
            peer.expect(PINGRESP * 100)


def test_fragments_of_nothing(shared_endpoints: Endpoints) -> None:
    """Millions of empty fragments are part of a message that may end well at last."""
    with _watched(shared_endpoints, SLACK):
        peer = shared_endpoints.peer("ws")
        assert isinstance(peer, WebSocketClient)
        with peer:
            peer.wire.send(ws.frame(ws.BINARY, b"", final=False))
            many = ws.frame(ws.CONTINUATION, b"", final=False) * 10_000
            for _ in range(200):
                peer.wire.send(many)
            peer.wire.send(ws.frame(ws.CONTINUATION, connect("patient")))
            peer.expect(CONNACK_ACCEPTED)


@pytest.mark.parametrize("top", [0x80, 0xFF])
def test_length_of_64_bits(shared_endpoints: Endpoints, top: int) -> None:
    """The highest bit of a length must be 0 (RFC 6455, 5.2); a length is not reserved for."""
    with _watched(shared_endpoints, SLACK):
        for _ in range(100):
            with shared_endpoints.peer("ws") as peer:
                assert isinstance(peer, WebSocketClient)
                peer.wire.send(bytes([0x82, 0xFF, top]) + b"\xff" * 7 + bytes(4) + b"x" * 1000)
                peer.expect_close_frame(1002)
        huge = bytes([0x82, 0xFF, 0x7F]) + b"\xff" * 7 + bytes(4)
        with contextlib.ExitStack() as stack:
            for number in range(100):
                peer = stack.enter_context(shared_endpoints.peer("ws"))
                assert isinstance(peer, WebSocketClient)
                peer.wire.send(huge + connect(f"huge{number}"))
                peer.expect(CONNACK_ACCEPTED)


@pytest.mark.parametrize("kind", ["tls", "wss"])
def test_garbage_where_tls_is_expected(shared_endpoints: Endpoints, kind: str) -> None:
    """Hundreds of handshakes of random bytes, records of wrong lengths and half records end."""
    noise = random.Random(1)
    count = descriptors(200)
    record = b"\x16\x03\x01"
    starts = (
        b"",
        record + b"\xff\xff",
        record + b"\x40\x00",
        record + b"\x00\x00",
        b"\x17\x03\x03",
    )
    with (
        _watched(shared_endpoints, SLACK + count * A_TLS_CONNECTION),
        contextlib.ExitStack() as stack,
    ):
        peers = []
        for number in range(count):
            peer = WireClient.over(shared_endpoints.socket(kind))
            stack.callback(peer.abort)
            peer.send(starts[number % len(starts)] + noise.randbytes(noise.randrange(1, 5000)))
            peers.append(peer)
        for peer in peers:
            peer.read_until_close()


def test_half_open_tls_handshakes(shared_endpoints: Endpoints) -> None:
    """Handshakes that stop after a part of the ClientHello are given up in time."""
    count = descriptors(300)
    hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
    with (
        _watched(shared_endpoints, SLACK + count * A_TLS_CONNECTION),
        contextlib.ExitStack() as stack,
    ):
        peers = []
        for number in range(count):
            peer = WireClient.over(shared_endpoints.socket("tls"))
            stack.callback(peer.abort)
            peer.send(hello[: number % len(hello) + 1])
            peers.append(peer)
        for peer in peers:
            peer.expect_close()
