"""What a broker does not put up with: endless waiting, huge packets, slow readers."""

import socket
import time

import pytest
from support.process import BrokerProcess, StartBroker
from support.wire import WireClient, ack, connect, packet, publish, string


def test_connection_without_connect_is_closed(broker_process: StartBroker) -> None:
    """Whoever sends nothing, half a CONNECT or a byte now and then is let go in time.

    3.1.1:MQTT-3.1.0-1@server
    """
    broker = broker_process({"limits": {"connect_timeout": 1}}, mosquitto=None)
    start = time.monotonic()
    with (
        WireClient(broker.port) as silent,
        WireClient(broker.port) as half,
        WireClient(broker.port) as drip,
        WireClient(broker.port) as served,
    ):
        half.send(connect("half")[:10])
        served.login(connect("served"))
        for byte in connect("drip")[:8]:
            drip.send(bytes([byte]))
            time.sleep(0.1)
        silent.expect_close(4)
        half.expect_close(4)
        drip.expect_close(4)
        assert 0.9 <= time.monotonic() - start < 4
        served.ping()


def test_packet_over_the_limit_closes(broker_process: StartBroker, unique: str) -> None:
    """``max_packet_size`` counts the whole packet; the limit itself is allowed."""
    broker = broker_process({"limits": {"max_packet_size": 1024}}, mosquitto=None)
    topic = f"{unique}/t"
    overhead = len(publish(topic, b"x" * 200)) - 200
    with WireClient(broker.port) as sub, WireClient(broker.port) as pub:
        sub.login(connect("sub")).subscribe(topic)
        pub.login(connect("pub"))
        fits = publish(topic, b"x" * (1024 - overhead))
        assert len(fits) == 1024
        pub.send(fits)
        sub.expect(fits)
        pub.send(publish(topic, b"x" * (1025 - overhead)))
        pub.expect_close()
        sub.ping()


def test_packet_over_the_limit_closes_before_it_is_read(broker_process: StartBroker) -> None:
    """The announced length is enough: the broker does not wait for 256 MiB."""
    broker = broker_process(
        {"limits": {"max_packet_size": 1024}}, mosquitto="max_packet_size 1024\n"
    )
    with WireClient(broker.port) as client:
        client.login(connect("c"))
        client.send(b"\x30\xff\xff\xff\x7f")
        client.expect_close()
    with WireClient(broker.port) as client:
        body = string("MQTT") + b"\x04\x02\x00\x3c" + string("c" * 2000)
        client.send(packet(0x10, body))
        client.expect_close()


def test_slow_reader_does_not_hurt_others(broker: BrokerProcess, unique: str) -> None:
    """32 MiB pass a subscriber that does not read; the other gets every message at once."""
    topic = f"{unique}/t"
    filler = b"x" * (16 << 10)
    with (
        WireClient(broker.port, receive_buffer=4096) as slow,
        WireClient(broker.port) as fast,
        WireClient(broker.port) as pub,
    ):
        slow.login(connect(f"{unique}s")).subscribe(topic)
        fast.login(connect(f"{unique}f")).subscribe(topic)
        pub.login(connect(f"{unique}p"))
        for number in range(2048):
            message = publish(topic, b"%8d" % number + filler)
            pub.send(message)
            fast.expect(message)
        pub.ping()
        fast.ping()
        # What the slow one has, it has in order.
        first = slow.read_packet()
        assert first == publish(topic, b"%8d" % 0 + filler)
        second = slow.read_packet()
        assert second == publish(topic, b"%8d" % 1 + filler)


def test_half_closed_connection_ends(broker: BrokerProcess, unique: str) -> None:
    """A peer that shuts its sending side down is gone: its will is published."""
    topic = f"{unique}/will"
    with WireClient(broker.port) as sub, WireClient(broker.port) as client:
        sub.login(connect(f"{unique}s")).subscribe(topic)
        client.login(connect(f"{unique}c", will=(topic, b"gone")))
        client.shutdown(socket.SHUT_WR)
        client.expect_close()
        sub.expect(publish(topic, b"gone"))


@pytest.mark.parametrize("ends_its_side", [False, True])
def test_client_that_leaves_is_sent_everything(
    ends_its_side: bool, broker: BrokerProcess, unique: str
) -> None:
    """Whoever has said DISCONNECT gets the answers of before, and then an end without a reset."""
    peer = socket.create_connection(("127.0.0.1", broker.port), timeout=10)
    with WireClient.over(peer) as client:
        client.login(connect(unique))
        client.send(publish(unique, b"last", qos=1, packet_id=7) + packet(0xE0))
        if ends_its_side:
            client.shutdown(socket.SHUT_WR)
        client.expect(ack(0x40, 7))
        peer.settimeout(10)
        assert peer.recv(1) == b""
