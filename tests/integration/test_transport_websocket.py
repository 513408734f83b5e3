"""WebSocket: the opening handshake, frames, and the closing handshake."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from support import websocket as ws
from support.endpoints import Endpoints, resident_bytes
from support.websocket import WebSocketClient
from support.wire import (
    CONNACK_ACCEPTED,
    DISCONNECT,
    PINGREQ,
    PINGRESP,
    WireClient,
    connect,
    packet,
    publish,
    string,
    suback,
    subscribe,
)

LARGEST = 400 << 20  # what the broker may occupy, after all the tests before

# -- the opening handshake


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({}, 101),
        ({"path": "/any/path?at=all"}, 101),
        ({"sec_websocket_protocol": "chat, mqtt"}, 101),
        ({"sec_websocket_protocol": "mqttv3.1"}, 101),
        ({"origin": "https://any.example"}, 101),
        ({"sec_websocket_protocol": "chat\r\nSec-WebSocket-Protocol: mqtt"}, 101),
        ({"connection": "keep-alive\r\nConnection: Upgrade"}, 101),
        ({"upgrade": "h2c\r\nUpgrade: websocket"}, 101),
        ({"connection": "keep-alive\r\nConnection: close"}, 400),
        ({"sec_websocket_protocol": None}, 400),
        ({"sec_websocket_protocol": "chat"}, 400),
        ({"sec_websocket_protocol": "MQTT"}, 400),
        ({"upgrade": None}, 400),
        ({"connection": "close"}, 400),
        ({"sec_websocket_key": "short"}, 400),
        ({"sec_websocket_version": "8"}, 426),
        ({"x_filler": "x" * 8192}, 431),
        ({"x_filler": "x" * 200_000}, 431),
    ],
)
@pytest.mark.parametrize("kind", ["ws", "wss"])
def test_handshake(every: Endpoints, kind: str, changes: dict[str, Any], status: int) -> None:
    """Also after a refusal that leaves input unread, the answer reaches the client.

    3.1.1:MQTT-6.0.0-3@server 5.0:MQTT-6.0.0-3@server: without the subprotocol mqtt there is no
    connection.
    """
    with WebSocketClient(every.wire(kind)) as peer:
        peer.wire.send(ws.request(**changes))
        got, fields = peer.read_response()
        assert got == status
        if status != 101:
            body = peer.wire.read(int(fields["content-length"]))
            assert body.endswith(b"\n")
            peer.wire.expect_close()


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({}, 101),
        ({"path": "/mqtt?a=b"}, 101),
        ({"path": "/"}, 404),
        ({"path": "/mqtt/more"}, 404),
        ({"origin": "https://good.example"}, 101),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "null"}, 403),
    ],
)
def test_path_and_origin(every: Endpoints, changes: dict[str, Any], status: int) -> None:
    with WebSocketClient(every.wire("narrow")) as peer:
        peer.wire.send(ws.request(**changes))
        assert peer.read_response()[0] == status


def test_handshake_byte_by_byte_with_frames_behind_it(every: Endpoints, unique: str) -> None:
    with WebSocketClient(every.wire("ws")) as peer:
        for value in ws.request():
            peer.wire.send(bytes([value]))
        assert peer.read_response()[0] == 101
    with WebSocketClient(every.wire("ws")) as peer:
        peer.wire.send(ws.request() + ws.frame(ws.BINARY, connect(unique)))
        assert peer.read_response()[0] == 101
        peer.expect(CONNACK_ACCEPTED)


def test_slow_websocket_handshake(every: Endpoints, unique: str) -> None:
    """Half a request is not waited for without end."""
    with WireClient.over(every.socket("ws")) as slow:
        slow.send(ws.request()[:-2])
        with every.open("ws", unique) as peer:
            peer.send(PINGREQ)
            peer.expect(PINGRESP)
        slow.expect_close()


def test_what_is_no_http_at_all(every: Endpoints) -> None:
    with WireClient.over(every.socket("ws")) as rude:
        rude.send(connect("no-http") + b"\r\n\r\n")
        assert rude.read(12) == b"HTTP/1.1 400"
    with WireClient.over(every.socket("ws")) as rude:
        rude.send(bytes(100_000))
        assert rude.read(12) == b"HTTP/1.1 431"


# -- frames


def test_packets_span_and_share_frames(every: Endpoints, unique: str) -> None:
    """3.1.1:MQTT-6.0.0-2@server 5.0:MQTT-6.0.0-2@server: packets are not aligned to frames."""
    with WebSocketClient(every.wire("ws")).open() as peer:
        data = connect(unique) + subscribe(1, (unique, 0)) + publish(unique, b"payload")
        peer.send(data[:1])
        peer.send(data[1:20])
        peer.wire.send(ws.frame(ws.BINARY, data[20:25], final=False))
        peer.wire.send(ws.frame(ws.PING, b"between"))
        peer.wire.send(ws.frame(ws.CONTINUATION, b"", final=False))
        assert peer.read_frame() == (ws.PONG, b"between")
        peer.wire.send(ws.frame(ws.CONTINUATION, data[25:] + PINGREQ))
        peer.expect(CONNACK_ACCEPTED + suback(1, 0) + publish(unique, b"payload") + PINGRESP)


@pytest.mark.parametrize("kind", ["ws", "wss"])
def test_each_packet_has_a_frame_of_its_own(every: Endpoints, kind: str, unique: str) -> None:
    """Some clients look at one packet in a frame only, though MQTT-6.0.0-2 allows several."""
    with every.open(kind, unique) as peer:
        assert isinstance(peer, WebSocketClient)
        large = publish(unique, b"x" * 100_000)
        peer.send(subscribe(1, (unique, 0)) + PINGREQ * 10 + large + PINGREQ)
        expected = [suback(1, 0), *[PINGRESP] * 10, large, PINGRESP]
        assert [peer.read_frame() for _ in expected] == [(ws.BINARY, each) for each in expected]


def test_pings_are_answered_before_and_after_connect(every: Endpoints, unique: str) -> None:
    with WebSocketClient(every.wire("ws")).open() as peer:
        peer.wire.send(ws.frame(ws.PING, b""))
        assert peer.read_frame() == (ws.PONG, b"")
        peer.wire.send(ws.frame(ws.PONG, b"unasked"))
        peer.send(connect(unique))
        peer.expect(CONNACK_ACCEPTED)
        peer.wire.send(ws.frame(ws.PING, b"x" * 125))
        assert peer.read_frame() == (ws.PONG, b"x" * 125)


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        (ws.frame(ws.TEXT, PINGREQ), 1003),
        (ws.frame(ws.BINARY, PINGREQ, mask=False), 1002),
        (ws.frame(ws.CONTINUATION, PINGREQ), 1002),
        (ws.frame(ws.BINARY | 0x40, PINGREQ), 1002),
        (ws.frame(3, PINGREQ), 1002),
        (ws.frame(ws.PING, bytes(126)), 1002),
        (ws.frame(ws.PING, b"", final=False), 1002),
        (b"\x82\xff" + b"\x80" + bytes(7) + b"mask", 1002),
        (b"\x82\xff" + b"\xff" * 8 + b"mask", 1002),
        (ws.frame(ws.CLOSE, b"\x03"), 1002),
        (ws.frame(ws.CLOSE, b"\x03\xe8\xff"), 1007),
    ],
    ids=[
        "text", "no mask", "continuation", "reserved bit", "opcode", "long ping",
        "fragmented ping", "top bit", "all bits", "short close", "close with no UTF-8",
    ],
)  # fmt: skip
def test_bad_frames(every: Endpoints, bad: bytes, code: int, unique: str) -> None:
    """A Close frame with the right code, then the end; the will is published.

    3.1.1:MQTT-6.0.0-1@server 5.0:MQTT-6.0.0-1@server for the text frame.
    """
    with every.open("tcp", f"{unique}w") as watcher:
        watcher.send(subscribe(1, (unique, 0)))
        watcher.expect(suback(1, 0))
        with every.open("ws", unique, will=(unique, b"bad")) as peer:
            assert isinstance(peer, WebSocketClient)
            peer.wire.send(bad + ws.frame(ws.BINARY, PINGREQ))  # the rest is not looked at
            peer.expect_close_frame(code)
            peer.wire.expect_close()
        watcher.expect(publish(unique, b"bad"))


@pytest.mark.parametrize("code", [None, 1000, 1001, 4000])
def test_the_peer_closes(every: Endpoints, code: int | None, unique: str) -> None:
    """Its code comes back; without DISCONNECT the will is published."""
    payload = b"" if code is None else code.to_bytes(2, "big") + "ü".encode()
    with every.open("tcp", f"{unique}w") as watcher:
        watcher.send(subscribe(1, (unique, 0)))
        watcher.expect(suback(1, 0))
        with every.open("wss", unique, will=(unique, b"closed")) as peer:
            assert isinstance(peer, WebSocketClient)
            peer.wire.send(ws.frame(ws.CLOSE, payload))
            peer.expect_close_frame(code)
            peer.wire.expect_close()
        watcher.expect(publish(unique, b"closed"))


def test_disconnect_and_close_in_one_piece(every: Endpoints, unique: str) -> None:
    """What comes before the Close frame counts: no will after DISCONNECT."""
    with every.open("tcp", f"{unique}w") as watcher:
        watcher.send(subscribe(1, (unique, 0)))
        watcher.expect(suback(1, 0))
        with every.open("ws", unique, will=(unique, b"never")) as peer:
            assert isinstance(peer, WebSocketClient)
            last = publish(unique, b"last") + DISCONNECT
            peer.wire.send(ws.frame(ws.BINARY, last) + ws.frame(ws.CLOSE, b"\x03\xe8"))
            peer.expect_close_frame(1000)
            peer.wire.expect_close()
        watcher.expect(publish(unique, b"last"))
        watcher.send(PINGREQ)
        watcher.expect(PINGRESP)


def test_the_broker_closes_after_disconnect(every: Endpoints, unique: str) -> None:
    with every.open("ws", unique) as peer:
        assert isinstance(peer, WebSocketClient)
        peer.send(DISCONNECT)
        peer.expect_close_frame(1000)
        peer.wire.send(ws.frame(ws.CLOSE, b"\x03\xe8"))
        peer.wire.expect_close()


def test_bad_mqtt_in_good_frames(every: Endpoints) -> None:
    with WebSocketClient(every.wire("ws")).open() as peer:
        peer.send(packet(0xF0) + string("nonsense"))
        peer.expect_close_frame(1002)


def test_a_peer_that_pings_and_does_not_read(every: Endpoints, unique: str) -> None:
    """Answers that are not read do not pile up: the newest is enough."""
    peer = WebSocketClient(every.wire("ws")).open()
    with peer, every.open("ws", unique) as other:
        pings = ws.frame(ws.PING, b"x" * 125) * 1000
        raw = peer.wire._socket
        raw.settimeout(1)
        with contextlib.suppress(TimeoutError):
            for _ in range(200):
                raw.sendall(pings)
        other.send(PINGREQ)
        other.expect(PINGRESP)
    assert (resident_bytes(every.pid) or 0) < LARGEST
