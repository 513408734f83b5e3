"""Peers that never become clients: what they make the broker hold is bounded by what they send."""

from __future__ import annotations

import itertools
import resource

import pytest
from support.abuse import MIB, crowd, descriptors, watched
from support.process import StartBroker
from support.wire import (
    CONNACK_ACCEPTED,
    CONNACK_ACCEPTED_V5,
    WireClient,
    connect,
    packet,
    publish,
    string,
    varint,
)

# What one connection may cost the broker that has sent next to nothing.
A_CONNECTION = 8 << 10
SLACK = 16 * MIB


def _user_property(name: bytes, value: bytes) -> bytes:
    return b"\x26" + string(name) + string(value)


def test_slow_connects_are_let_go(broker_process: StartBroker) -> None:
    """Hundreds of peers that send CONNECT byte by byte, and never to its end, are disconnected."""
    broker = broker_process({"limits": {"connect_timeout": 2}}, mosquitto=None)
    count = descriptors(300)
    whole = connect("slow" * 5000)
    bound = SLACK + count * A_CONNECTION
    with watched(broker, memory=bound), crowd(broker.port, count) as peers:
        for byte in whole[:20]:
            for peer in peers:
                peer.send(bytes([byte]))
        for peer in peers:
            peer.expect_close()


def test_thousands_of_silent_connections(broker_process: StartBroker) -> None:
    """Connections that send nothing cost next to nothing, and nothing when their time is over."""
    broker = broker_process({"limits": {"connect_timeout": 2}}, mosquitto=None)
    count = descriptors(3000)
    bound = SLACK + count * A_CONNECTION
    with watched(broker, memory=bound), crowd(broker.port, count) as peers:
        for peer in peers:
            peer.expect_close()


def test_more_connections_than_descriptors(broker_process: StartBroker) -> None:
    """A broker without a descriptor left serves those who are there, and others afterwards."""
    broker = broker_process()
    with watched(broker, memory=SLACK):
        before = resource.prlimit(broker.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(broker.pid, resource.RLIMIT_NOFILE, (60, before[1]))
        with WireClient(broker.port) as served:
            with crowd(broker.port, 200), WireClient(broker.port) as waiting:
                served.login(connect("served")).ping()
                waiting.send(connect("waiting"))
            served.ping()
        with WireClient(broker.port) as later:
            later.login(connect("later")).ping()


@pytest.mark.parametrize("client_first", [False, True], ids=["before CONNECT", "after CONNECT"])
def test_announced_bytes_are_not_held(broker_process: StartBroker, *, client_first: bool) -> None:
    """500 connections announce packets of 256 MB and send 1 KiB of them: that is what is held."""
    broker = broker_process()
    count = descriptors(500)
    bound = SLACK + count * (A_CONNECTION + 4096)
    with watched(broker, memory=bound), crowd(broker.port, count) as peers:
        for number, peer in enumerate(peers):
            if client_first:
                peer.login(connect(f"c{number}"))
            first = b"\x30" if client_first else b"\x10"
            peer.send(first + b"\xff\xff\xff\x7f\x00\x04MQTT\x04\x02\x00\x00\xff\xff" + bytes(1024))


def test_large_connect_is_not_held(broker_process: StartBroker) -> None:
    """What a peer can make the broker hold before it is admitted is 256 KiB by default."""
    broker = broker_process()
    with watched(broker, memory=SLACK + 20 * MIB), crowd(broker.port, 20) as peers:
        for peer in peers:
            peer.send(b"\x10\xff\xff\xff\x7f\x00\x04MQTT\x05\x02\x00\x00" + bytes(4 * MIB))
        for peer in peers:
            peer.expect_close(2)


def test_length_of_five_bytes_closes(broker_process: StartBroker) -> None:
    """A Remaining Length has four bytes at most, before CONNECT and after it."""
    broker = broker_process()
    lengths = (b"\x80\x80\x80\x80\x01", b"\xff\xff\xff\xff\xff", b"\x80" * 5)
    with watched(broker, memory=SLACK):
        for first, length in itertools.product((0x10, 0x30, 0x82, 0xC0), lengths):
            with WireClient(broker.port) as stranger, WireClient(broker.port) as client:
                stranger.send(bytes([first]) + length)
                stranger.expect_close()
                client.login(connect("c"))
                client.send(bytes([first]) + length)
                client.expect_close()


def test_connects_with_everything_they_may_carry(broker_process: StartBroker) -> None:
    """Thousands of user properties, or every field of 64 KiB, are a CONNECT like any other."""
    broker = broker_process()
    longest = "x" * 65535
    with watched(broker, memory=SLACK + 32 * MIB):
        for number in range(50):
            with WireClient(broker.port) as client:
                properties = _user_property(b"", b"") * 10_000 + _user_property(b"n", b"v")
                client.send(connect(f"properties{number}", properties=properties))
                client.expect(CONNACK_ACCEPTED_V5)
            with WireClient(broker.port) as client:
                long_id = f"{number:05}" + longest[5:]
                client.send(connect(long_id, username=longest, will=("t", longest.encode())))
                client.expect(CONNACK_ACCEPTED)
                client.send(publish("t", b"x"))
                client.ping()


def test_properties_longer_than_the_packet_close(broker_process: StartBroker) -> None:
    """A Property Length is not trusted: 500 CONNECTs announce 256 MB of properties."""
    broker = broker_process()
    with watched(broker, memory=SLACK):
        for _ in range(500):
            with WireClient(broker.port) as client:
                head = string("MQTT") + b"\x05\x02\x00\x00" + varint(268_435_455)
                client.send(packet(0x10, head + _user_property(b"n", b"v")))
                client.expect(b"\x20\x03\x00\x81\x00")
                client.expect_close()
