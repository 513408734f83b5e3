"""MQTT 5.0 where the wire cases cannot go: chosen identifiers, settings, and the real clock."""

import time

import pytest
from support.process import BrokerProcess, StartBroker, broker_kind
from support.wire import (
    CONNACK_ACCEPTED_V5,
    DISCONNECT,
    WireClient,
    ack,
    connect,
    packet,
    publish,
    string,
    suback,
    subscribe,
)

pytestmark = pytest.mark.skipif(
    broker_kind() == "mosquitto", reason="mosquitto: announces other limits in CONNACK"
)

NEVER = b"\xff\xff\xff\xff"
USER = "user"


def expiry(seconds: int) -> bytes:
    """Return a Session Expiry Interval."""
    return b"\x11" + seconds.to_bytes(4, "big")


def open_v5(port: int, client_id: str, answer: bytes = CONNACK_ACCEPTED_V5) -> WireClient:
    """Return a client that has connected to a new session."""
    return WireClient(port).login(connect(client_id, properties=b""), answer)


def assigned_id(connack: bytes) -> str:
    """Return the Assigned Client Identifier of a CONNACK that has it as first property."""
    assert connack[:1] == b"\x20"
    assert connack[2:4] == b"\x00\x00"
    assert connack[5] == 0x12
    length = int.from_bytes(connack[6:8], "big")
    assert connack[8 + length :] == b"\x22\x00\x20"
    return connack[8 : 8 + length].decode()


@pytest.mark.parametrize("clean", [True, False])
def test_client_without_id_gets_one(broker: BrokerProcess, unique: str, clean: bool) -> None:
    """It is told in CONNACK, nobody else has it, and its session can be resumed under it.

    5.0:MQTT-3.1.3-6@server 5.0:MQTT-3.1.3-7@server 5.0:MQTT-3.2.2-16@server
    """
    topic = f"{unique}/t"
    ids = set()
    for _ in range(20):
        with WireClient(broker.port) as client:
            client.send(connect("", clean=clean, username=USER, properties=expiry(60)))
            ids.add(assigned_id(client.read_packet()))
            client.ping()
    assert len(ids) == 20
    with WireClient(broker.port) as first, WireClient(broker.port) as second:
        first.send(connect("", clean=clean, username=USER, properties=b"\x11" + NEVER))
        own = assigned_id(first.read_packet())
        first.send(subscribe(1, (topic, 1), properties=b""))
        first.expect(suback(1, 1, properties=b""))
        first.send(DISCONNECT)
        first.expect_close()
        second.send(connect(own, clean=False, username=USER, properties=b""))
        second.expect(b"\x20\x06\x01\x00\x03\x22\x00\x20")
        second.send(publish(topic, b"x", properties=b""))
        second.expect(publish(topic, b"x", properties=b""))


def test_packet_over_the_limit(broker_process: StartBroker, unique: str) -> None:
    """The limit is announced; it counts the whole packet; the announced length is enough.

    5.0:MQTT-3.2.2-15@server
    """
    broker = broker_process({"limits": {"max_packet_size": 1024}}, mosquitto=None)
    answer = b"\x20\x0b\x00\x00\x08\x27\x00\x00\x04\x00\x22\x00\x20"
    topic = f"{unique}/t"
    overhead = len(publish(topic, b"x" * 200, properties=b"")) - 200
    with open_v5(broker.port, "c", answer) as client:
        fits = publish(topic, b"x" * (1024 - overhead), properties=b"")
        assert len(fits) == 1024
        client.send(fits)
        client.ping()
        client.send(publish(topic, b"x" * (1025 - overhead), properties=b""))
        client.expect(b"\xe0\x01\x95")
        client.expect_close()
    with open_v5(broker.port, "c", answer) as client:
        client.send(b"\x30\xff\xff\xff\x7f")
        client.expect(b"\xe0\x01\x95")
        client.expect_close()
    with WireClient(broker.port) as client:
        client.send(connect("c" * 2000, properties=b""))
        client.expect_close()


def test_shutdown_is_announced(broker_process: StartBroker) -> None:
    """Clients of 5.0 are told; those of 3.1.1 are closed.

    5.0:MQTT-3.14.2-1@server 5.0:MQTT-3.14.4-2@server
    """
    broker = broker_process(mosquitto=None)
    with open_v5(broker.port, "c") as client, WireClient(broker.port) as old:
        old.login(connect("old"))
        broker.stop()
        client.expect(b"\xe0\x01\x8b")
        client.expect_close()
        old.expect_close()


def test_session_expiry_of_the_server(broker_process: StartBroker, unique: str) -> None:
    """A session that would last longer is told so, and ends then.

    5.0:MQTT-4.1.0-2@server 5.0:MQTT-3.1.2-23@server
    """
    broker = broker_process({"session_expiry_interval": 2}, mosquitto=None)
    lowered = b"\x11\x00\x00\x00\x02\x22\x00\x20"
    packet_bytes = connect(unique, clean=False, username=USER, properties=expiry(3))
    with WireClient(broker.port) as client:
        client.login(packet_bytes, packet(0x20, b"\x00\x00\x08" + lowered))
        client.send(DISCONNECT)
        client.expect_close()
    time.sleep(0.5)
    with WireClient(broker.port) as client:
        client.login(packet_bytes, packet(0x20, b"\x01\x00\x08" + lowered))
        client.send(DISCONNECT)
        client.expect_close()
    time.sleep(2.5)
    with WireClient(broker.port) as client:
        client.login(packet_bytes, packet(0x20, b"\x00\x00\x08" + lowered))


def test_message_expiry_with_the_real_clock(broker: BrokerProcess, unique: str) -> None:
    """A retained and a queued message lose the seconds they wait, and expire.

    5.0:MQTT-3.3.2-5@server 5.0:MQTT-3.3.2-6@server
    """
    topic = f"{unique}/t"
    resumable = connect(unique, clean=False, username=USER, properties=b"\x11" + NEVER)
    with WireClient(broker.port) as client:
        client.login(resumable, CONNACK_ACCEPTED_V5)
        client.send(subscribe(1, (topic, 1), properties=b""))
        client.expect(suback(1, 1, properties=b""))
        client.send(DISCONNECT)
        client.expect_close()
    with open_v5(broker.port, f"{unique}p") as pub:
        for ident, seconds in ((1, 1), (2, 100)):
            props = b"\x02" + seconds.to_bytes(4, "big")
            pub.send(publish(topic, b"x", qos=1, packet_id=ident, retain=True, properties=props))
            pub.expect(ack(0x40, ident))
    time.sleep(1.5)
    with WireClient(broker.port) as client, open_v5(broker.port, f"{unique}s") as late:
        client.login(resumable, b"\x20\x06\x01\x00\x03\x22\x00\x20")
        late.send(subscribe(1, (topic, 1), properties=b""))
        late.expect(suback(1, 1, properties=b""))
        for receiver, first in ((client, 0x32), (late, 0x33)):
            got = receiver.read_packet()
            head = string(topic) + b"\x00\x01\x05\x02"
            assert got[0] == first
            assert got[2 : 2 + len(head)] == head
            assert 90 <= int.from_bytes(got[2 + len(head) : 6 + len(head)], "big") <= 99
            receiver.ping()


def test_will_delay_with_the_real_clock(broker: BrokerProcess, unique: str) -> None:
    """The will comes after its delay, not before.

    5.0:MQTT-3.1.2-8@server
    """
    topic = f"{unique}/will"
    with open_v5(broker.port, f"{unique}s") as sub, WireClient(broker.port) as client:
        sub.send(subscribe(1, (topic, 0), properties=b""))
        sub.expect(suback(1, 0, properties=b""))
        will_props = b"\x18\x00\x00\x00\x01"
        whole = connect(
            unique,
            username=USER,
            will=(topic, b"gone"),
            properties=expiry(60),
            will_properties=will_props,
        )
        client.login(whole, CONNACK_ACCEPTED_V5)
        start = time.monotonic()
        client.abort()
        sub.expect(publish(topic, b"gone", properties=b""))
        assert 0.9 <= time.monotonic() - start < 5
        sub.ping()


def test_slow_reader_gets_topic_aliases_in_order(broker: BrokerProcess, unique: str) -> None:
    """What is sent later than it was queued has the alias that was told before.

    5.0:MQTT-3.1.2-26@server 5.0:MQTT-3.3.2-11@server
    """
    topics = [f"{unique}/{number}" for number in range(3)]
    payload = b"x" * (16 << 10)
    known: dict[int, str] = {}
    with (
        WireClient(broker.port, receive_buffer=4096) as slow,
        open_v5(broker.port, f"{unique}p") as pub,
    ):
        slow.login(connect(unique, properties=b"\x22\x00\x02"), CONNACK_ACCEPTED_V5)
        slow.send(subscribe(1, (f"{unique}/#", 0), properties=b""))
        slow.expect(suback(1, 0, properties=b""))
        for number in range(600):
            pub.send(publish(topics[number % 3], b"%4d" % number + payload, properties=b""))
        pub.ping()
        for number in range(600):
            body = slow.read_packet()[4:]
            size = int.from_bytes(body[:2], "big")
            topic, rest = body[2 : 2 + size].decode(), body[2 + size :]
            if rest[0]:
                assert rest[:2] == b"\x03\x23"
                alias = int.from_bytes(rest[2:4], "big")
                assert alias in (1, 2)
                topic = known.setdefault(alias, topic) if topic else known[alias]
            assert topic == topics[number % 3]
            assert rest[1 + rest[0] :] == b"%4d" % number + payload
    assert len(known) == 2
