"""What TCP, TLS, WebSocket, secure WebSocket and Unix sockets have in common, and Unix sockets."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
from pathlib import Path

import pytest
from support import websocket as ws
from support.endpoints import LIMIT, TRANSPORTS, Endpoints, Trust
from support.websocket import WebSocketClient
from support.wire import (
    CONNACK_ACCEPTED,
    PINGREQ,
    PINGRESP,
    WireClient,
    ack,
    connect,
    publish,
    suback,
    subscribe,
)

from amqtt.broker import Broker
from amqtt.errors import BrokerError

CROWD = 100
BIG = 10 << 20

# -- the same over every transport


@pytest.mark.threads(1, 2)
@pytest.mark.parametrize("kind", TRANSPORTS)
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_messages_go_both_ways(every: Endpoints, kind: str, qos: int, unique: str) -> None:
    """Publish and receive one's own message.

    3.1.1:MQTT-6.0.0-4@server 5.0:MQTT-6.0.0-4@server for ws and wss: the subprotocol is mqtt.
    """
    with every.open(kind, unique) as peer:
        peer.send(subscribe(1, (unique, qos)))
        peer.expect(suback(1, qos))
        peer.send(publish(unique, b"hello", qos=qos, packet_id=7 if qos else None))
        if qos == 0:
            peer.expect(publish(unique, b"hello"))
        elif qos == 1:
            delivered, puback = publish(unique, b"hello", qos=1, packet_id=1), ack(0x40, 7)
            both = peer.read(len(delivered) + len(puback))
            assert both in (delivered + puback, puback + delivered)
        else:
            delivered, pubrec = publish(unique, b"hello", qos=2, packet_id=1), ack(0x50, 7)
            both = peer.read(len(delivered) + len(pubrec))
            assert both in (delivered + pubrec, pubrec + delivered)
            peer.send(ack(0x62, 7) + ack(0x50, 1))
            both = peer.read(8)
            assert both in (ack(0x70, 7) + ack(0x62, 1), ack(0x62, 1) + ack(0x70, 7))
            peer.send(ack(0x70, 1))
        peer.send(PINGREQ)
        peer.expect(PINGRESP)


@pytest.mark.threads(1, 2)
@pytest.mark.parametrize("kind", TRANSPORTS)
def test_ten_mebibytes_each_way(every: Endpoints, kind: str, unique: str) -> None:
    """A payload that no buffer holds at once arrives unchanged."""
    payload = os.urandom(1 << 20) * (BIG >> 20)
    with every.open(kind, unique) as peer:
        peer.send(subscribe(1, (unique, 0)))
        peer.expect(suback(1, 0))
        message = publish(unique, payload)
        # It comes back while the last of it is still being sent.
        peer.send_while_reading(message)
        assert peer.read(len(message)) == message


@pytest.mark.parametrize("kind", TRANSPORTS)
def test_byte_by_byte(every: Endpoints, kind: str, unique: str) -> None:
    """Each byte of MQTT in a write of its own: a segment, a TLS record, a frame."""
    with every.peer(kind) as peer:
        for value in connect(unique) + subscribe(1, (unique, 0)) + publish(unique, b"x"):
            peer.send(bytes([value]))
        peer.expect(CONNACK_ACCEPTED + suback(1, 0) + publish(unique, b"x"))


@pytest.mark.parametrize("kind", TRANSPORTS)
def test_many_packets_in_one_write(every: Endpoints, kind: str, unique: str) -> None:
    """A thousand packets in one piece come back, in order, each as it was."""
    lines = [publish(unique, b"%d" % number) for number in range(1000)]
    with every.open(kind, unique) as peer:
        peer.send(subscribe(1, (unique, 0)) + b"".join(lines))
        peer.expect(suback(1, 0) + b"".join(lines))


@pytest.mark.parametrize("kind", TRANSPORTS)
def test_a_hundred_at_once(every: Endpoints, kind: str, unique: str) -> None:
    """A hundred clients are connected at once and all hear one message."""
    with contextlib.ExitStack() as stack:
        crowd = [
            stack.enter_context(every.open(kind, f"{unique}{number}")) for number in range(CROWD)
        ]
        for peer in crowd:
            peer.send(subscribe(1, (unique, 0)))
        for peer in crowd:
            peer.expect(suback(1, 0))
        crowd[0].send(publish(unique, b"to all"))
        for peer in crowd:
            peer.expect(publish(unique, b"to all"))


@pytest.mark.parametrize("kind", TRANSPORTS)
def test_the_will_of_a_lost_client_is_published(every: Endpoints, kind: str, unique: str) -> None:
    """The connection is dropped below MQTT, whatever lies between."""
    with every.open("tcp", f"{unique}w") as watcher:
        watcher.send(subscribe(1, (unique, 0)))
        watcher.expect(suback(1, 0))
        every.open(kind, unique, will=(unique, b"gone")).__exit__(None, None, None)
        watcher.expect(publish(unique, b"gone"))


@pytest.mark.parametrize("old", TRANSPORTS)
@pytest.mark.parametrize("new", ["tcp", "wss"])
def test_take_over_across_transports(every: Endpoints, old: str, new: str, unique: str) -> None:
    """The same client id over another transport ends the first connection."""
    first = every.open(old, unique)
    with every.open(new, unique) as second:
        if isinstance(first, WebSocketClient):
            first.expect_close_frame(1000)
            first.wire.send(ws.frame(ws.CLOSE, b"\x03\xe8"))
            first.wire.expect_close()
        else:
            first.expect_close()
        second.send(PINGREQ)
        second.expect(PINGRESP)
    first.__exit__(None, None, None)


@pytest.mark.parametrize("kind", TRANSPORTS)
def test_no_connect_in_time(every: Endpoints, kind: str, unique: str) -> None:
    """A peer that opens the connection and is silent is closed; others are served meanwhile."""
    with every.wire(kind) as silent:
        with every.open("tcp", unique) as peer:
            peer.send(PINGREQ)
            peer.expect(PINGRESP)
        silent.expect_close()


# -- Unix sockets


def test_unix_mode(every: Endpoints) -> None:
    assert stat.S_IMODE((every.folder / "unix.sock").stat().st_mode) == 0o600


async def test_unix_socket_comes_and_goes(tmp_path: Path) -> None:
    path = tmp_path / "mqtt.sock"
    config = {"listeners": {"default": {"bind": f"unix:{path}", "unix_mode": "0660"}}}
    broker = Broker(config)
    for _ in range(2):
        await broker.start()
        assert broker.addresses == {"default": [(f"unix:{path}", 0)]}
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        second = Broker(config)
        with pytest.raises(BrokerError, match="already in use"):
            await second.start()
        with socket.socket(socket.AF_UNIX) as peer:
            peer.settimeout(LIMIT)
            peer.connect(str(path))
        await broker.shutdown()
        assert not path.exists()
        # What a process leaves that was killed: a file, and nobody behind it.
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(path))
    path.unlink()


async def test_unix_socket_replaces_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "precious"
    file.write_text("data")
    for path, problem in (
        (file, "File exists"),
        (tmp_path / "nowhere" / "x.sock", "No such file"),
        (tmp_path / ("x" * 120), "too long"),
    ):
        with pytest.raises(BrokerError, match=f"'default'.*{problem}"):
            await Broker({"listeners": {"default": {"bind": f"unix:{path}"}}}).start()
    assert file.read_text() == "data"
    with pytest.raises(BrokerError, match="names no file"):
        await Broker({"listeners": {"default": {"bind": "unix:"}}}).start()


async def test_unix_socket_goes_when_the_start_fails(tmp_path: Path) -> None:
    path = tmp_path / "mqtt.sock"
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        broker = Broker(
            {
                "listeners": {
                    "default": {"bind": f"unix:{path}"},
                    "tcp": {"bind": f"127.0.0.1:{port}"},
                }
            }
        )
        with pytest.raises(BrokerError):
            await broker.start()
    assert not path.exists()


# -- stopping


async def test_stopping_with_open_connections(trust: Trust, tmp_path: Path) -> None:
    """Every transport, every stage: the stop waits for none of them."""
    tls = trust.listener()
    broker = Broker(
        {
            "listeners": {
                "default": {"bind": "127.0.0.1:0"},
                "tls": {"bind": "localhost:0", **tls},
                "ws": {"type": "ws", "bind": "127.0.0.1:0"},
                "wss": {"type": "ws", "bind": "localhost:0", **tls},
                "unix": {"bind": f"unix:{tmp_path}/unix.sock"},
            }
        }
    )
    await broker.start()
    ports = {name: bound[0][1] for name, bound in broker.addresses.items()}
    every = Endpoints(trust, {**ports, "tcp": ports["default"]}, tmp_path, os.getpid())
    with contextlib.ExitStack() as stack:
        connected = [
            stack.enter_context(every.open(kind, kind))
            for kind in ("tcp", "tls", "ws", "wss", "unix")
        ]
        for kind in ("tcp", "tls", "ws", "wss", "unix"):
            stack.enter_context(WireClient.over(every.socket(kind)))
        stack.enter_context(every.wire("tls"))
        await broker.shutdown()
        for peer in connected:
            if isinstance(peer, WebSocketClient):
                peer.expect_close_frame(1001)
                peer.wire.expect_close()
            else:
                peer.expect_close()
    assert not (tmp_path / "unix.sock").exists()
