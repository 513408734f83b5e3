"""Clients that send packets nobody would send, or never stop, or never read."""

from __future__ import annotations

import pytest
from support.abuse import MIB, drain, flood, watched
from support.process import StartBroker
from support.wire import (
    CONNACK_ACCEPTED_V5,
    PINGREQ,
    PINGRESP,
    WireClient,
    ack,
    connect,
    packet,
    publish,
    string,
    suback,
    subscribe,
    varint,
)

SLACK = 16 * MIB
# 65,535 bytes, the longest text there is: 65,536 levels.
DEEPEST = "/" * 65535
QUOTA_EXCEEDED = 0x97
LARGEST_REMAINING = 268_435_455
# Seconds for a packet of that size.
LARGE_LIMIT = 60.0


def _unsubscribe(packet_id: int, topic_filter: str) -> bytes:
    return packet(0xA2, packet_id.to_bytes(2, "big") + string(topic_filter))


# -- packets with much in them


def test_publish_of_the_largest_size_there_is(broker_process: StartBroker) -> None:
    """MQTT 3.1.1 passes it on whole; in 5.0 it were a byte too long, so it is dropped there."""
    broker = broker_process()
    message = publish("t", bytes(LARGEST_REMAINING - 3))
    assert message[:5] == bytes((0x30, 0xFF, 0xFF, 0xFF, 0x7F))
    with (
        watched(broker, memory=2 * len(message) + SLACK),
        WireClient(broker.port) as old,
        WireClient(broker.port) as new,
        WireClient(broker.port) as publisher,
    ):
        old.login(connect("old")).subscribe("t")
        new.login(connect("new", properties=b""), CONNACK_ACCEPTED_V5)
        new.send(subscribe(1, ("t", 0), properties=b""))
        new.expect(suback(1, 0, properties=b""))
        publisher.login(connect("p"))
        publisher.send(message)
        publisher.send(publish("t", b"next"))
        assert old.read(len(message), LARGE_LIMIT) == message
        old.expect(publish("t", b"next"))
        new.expect(publish("t", b"next", properties=b""), LARGE_LIMIT)


def test_publish_with_tens_of_thousands_of_user_properties(broker_process: StartBroker) -> None:
    """They are forwarded, in order and complete, and nothing of them stays."""
    broker = broker_process()
    properties = b"".join(b"\x26" + string(f"{n}") + string("") for n in range(50_000))
    message = publish("t", b"x", properties=properties)
    with watched(broker, memory=SLACK + 32 * MIB), WireClient(broker.port) as client:
        client.login(connect("c", properties=b""), CONNACK_ACCEPTED_V5)
        client.send(subscribe(1, ("t", 0), properties=b""))
        client.expect(suback(1, 0, properties=b""))
        for _ in range(20):
            client.send(message)
            client.expect(message)


def test_deepest_topic_by_default(broker_process: StartBroker) -> None:
    """A message is delivered however deep its topic is; filters and retained ones are bounded."""
    broker = broker_process()
    with watched(broker, memory=SLACK), WireClient(broker.port) as client:
        client.login(connect("c")).subscribe("/#")
        for topic in (DEEPEST, "/" + "a/" * 32767, "/a" * 32767):
            client.send(publish(topic, b"x", retain=True))
            client.expect(publish(topic, b"x"))
            client.send(subscribe(2, (topic, 0), ("+/" * 32767 + "#", 0)))
            client.expect(suback(2, 0x80, 0x80))
        client.send(subscribe(3, ("/#", 0)))
        client.expect(suback(3, 0))
        client.ping()  # nothing was retained


def test_deepest_topics_without_a_bound(broker_process: StartBroker) -> None:
    """65,536 levels are subscribed to, matched, retained and removed; nothing is recursive.

    Some are left, for the end of the broker to remove.
    """
    broker = broker_process({"limits": {"max_topic_levels": 0}})
    topics = [DEEPEST, "/a" + DEEPEST[:-2], "/b" + DEEPEST[:-2]]
    filters = [*topics, "/" + "+/" * 32766 + "#", "/" + "+/" * 32766 + "+"]
    with watched(broker, memory=512 * MIB), WireClient(broker.port) as client:
        client.login(connect("c"))
        for topic_filter in filters:
            client.subscribe(topic_filter)
        for topic in topics:
            client.send(publish(topic, b"x", retain=True))
            client.expect(publish(topic, b"x"))
        for topic_filter in filters:
            client.send(_unsubscribe(1, topic_filter))
            client.expect(ack(0xB0, 1))
        client.send(subscribe(2, ("/#", 0)))
        client.expect(suback(2, 0))
        client.expect_set([publish(topic, b"x", retain=True) for topic in topics])
        client.send(publish(topics[0], retain=True))
        client.expect(publish(topics[0]))
        client.subscribe(topics[0])


def test_many_filters_that_match_one_topic(broker_process: StartBroker) -> None:
    """4,096 overlapping filters with an identifier each: one message, and no more than linear."""
    broker = broker_process()
    levels = 12
    with watched(broker, memory=SLACK + 16 * MIB), WireClient(broker.port) as client:
        client.login(connect("c", properties=b""), CONNACK_ACCEPTED_V5)
        for bits in range(1 << levels):
            parts = ["+" if bits >> level & 1 else "a" for level in range(levels)]
            identifier = b"\x0b" + varint(bits + 1)
            client.send(subscribe(1, ("/".join(parts), 0), properties=identifier))
            client.expect(suback(1, 0, properties=b""))
        with WireClient(broker.port) as publisher:
            publisher.login(connect("p"))
            for _ in range(50):
                publisher.send(publish("/".join("a" * levels), b"x"))
                message = client.read_packet()
                assert message.count(b"\x0b") >= 1 << levels
                assert message.endswith(b"x")
            # A message that matches nothing, for a trie that branches at each level.
            publisher.send(publish("/".join("a" * (levels - 1) + "b"), b"x"))
            publisher.ping()


# -- floods of packets whose answers are not read


@pytest.mark.parametrize(
    ("unit", "answer"),
    [
        pytest.param(PINGREQ, PINGRESP, id="PINGREQ"),
        pytest.param(ack(0x62, 7), ack(0x70, 7), id="PUBREL of an unknown message"),
        pytest.param(ack(0x50, 7), ack(0x62, 7), id="PUBREC of an unknown message"),
        pytest.param(publish("t", qos=1, packet_id=7), ack(0x40, 7), id="PUBLISH QoS 1"),
        pytest.param(publish("t", qos=2, packet_id=7), ack(0x50, 7), id="PUBLISH QoS 2"),
        pytest.param(subscribe(7, ("t", 0)), suback(7, 0), id="SUBSCRIBE"),
        pytest.param(_unsubscribe(7, "t"), ack(0xB0, 7), id="UNSUBSCRIBE"),
    ],
)
def test_flood_without_reading(broker_process: StartBroker, unit: bytes, answer: bytes) -> None:
    """Answers that nobody reads hold the flood up; when they are read, none is missing."""
    broker = broker_process()
    with watched(broker, memory=SLACK), WireClient(broker.port, receive_buffer=4096) as client:
        client.login(connect("c", keep_alive=0))
        units = flood(client, unit, 24 * MIB)
        drain(client, answer, units)
        client.ping()


def test_asking_for_retained_messages_without_reading(broker_process: StartBroker) -> None:
    """2,000 retained messages are asked for thousands of times: they are queued a few times."""
    broker = broker_process({"limits": {"max_queued_messages": 10_000}})
    with watched(broker, memory=SLACK), WireClient(broker.port, receive_buffer=4096) as client:
        with WireClient(broker.port) as publisher:
            publisher.login(connect("p"))
            for number in range(2000):
                publisher.send(publish(f"retained/{number}", b"x" * 100, retain=True))
            publisher.ping()
        client.login(connect("c", keep_alive=0))
        flood(client, subscribe(1, ("retained/#", 0), ("retained/+", 0)), MIB)


# -- subscribers that do not keep up


def test_subscriber_that_never_reads(broker_process: StartBroker) -> None:
    """A publisher of 64 MiB is served at once; for who does not read, the bounds hold."""
    limits = {"max_queued_messages": 1000, "max_queued_bytes": 4 * MIB}
    broker = broker_process({"limits": limits})
    with (
        watched(broker, memory=SLACK + 4 * MIB),
        WireClient(broker.port, receive_buffer=4096) as slow,
        WireClient(broker.port) as publisher,
    ):
        slow.login(connect("slow", keep_alive=0)).subscribe("t", 1)
        publisher.login(connect("p"))
        for _ in range(64):
            publisher.send(publish("t", b"x" * 4096) * 256)
            publisher.ping()


@pytest.mark.parametrize("qos", [1, 2])
def test_subscriber_that_never_acknowledges(broker_process: StartBroker, qos: int) -> None:
    """It reads all it is sent: what is in flight is bounded in bytes as well as in number."""
    limits = {"max_queued_messages": 100, "max_queued_bytes": 4 * MIB}
    broker = broker_process({"limits": limits})
    size = 256 << 10
    with (
        watched(broker, memory=SLACK + 16 * MIB),
        WireClient(broker.port) as subscriber,
        WireClient(broker.port) as publisher,
    ):
        subscriber.login(connect("s", keep_alive=0)).subscribe("t", qos)
        publisher.login(connect("p"))
        for packet_id in range(1, 201):
            publisher.send(publish("t", b"x" * size, qos=1, packet_id=packet_id))
            publisher.expect(ack(0x40, packet_id))
        for packet_id in range(1, 4 * MIB // size + 1):
            first = publish("t", b"x" * size, qos=1, packet_id=packet_id)
            subscriber.expect(first)
        subscriber.ping()


# -- QoS 2 and topic aliases


def test_qos_2_without_pubrel(broker_process: StartBroker) -> None:
    """All 65,535 identifiers are used and never released, and then used again and again."""
    broker = broker_process()
    with watched(broker, memory=SLACK), WireClient(broker.port) as client:
        client.login(connect("c", keep_alive=0))
        for _ in range(4):
            for start in range(1, 65536, 4096):
                ids = range(start, min(start + 4096, 65536))
                client.send(b"".join(publish("t", b"x", qos=2, packet_id=n) for n in ids))
                client.expect(b"".join(ack(0x50, n) for n in ids))


def test_topic_aliases_of_the_longest_topics(broker_process: StartBroker) -> None:
    """Aliases are bound to other topics without end, and one beyond the maximum closes."""
    broker = broker_process()
    with (
        watched(broker, memory=SLACK + 16 * MIB),
        WireClient(broker.port) as subscriber,
        WireClient(broker.port) as client,
    ):
        # It accepts as many aliases from the broker as there are.
        accepts_all = connect("s", properties=b"\x22\xff\xff")
        subscriber.login(accepts_all, CONNACK_ACCEPTED_V5)
        subscriber.send(subscribe(1, ("+", 0), properties=b""))
        subscriber.expect(suback(1, 0, properties=b""))
        client.login(connect("c", properties=b""), CONNACK_ACCEPTED_V5)
        for number in range(1500):
            alias = b"\x23" + (number % 32 + 1).to_bytes(2, "big")
            topic = f"{number:05}".ljust(60_000, "x")
            client.send(publish(topic, properties=alias))
            received = subscriber.read_packet()
            assert topic[:10].encode() in received[:20]
        client.send(publish("t", properties=b"\x23\x00\x21"))
        client.expect(b"\xe0\x01\x94")
        client.expect_close()


# -- subscriptions and retained messages without end


def test_subscribing_and_unsubscribing_without_end(broker_process: StartBroker) -> None:
    """50,000 filters come and go in turn; the broker stays as large as it was."""
    broker = broker_process()
    with watched(broker, memory=SLACK), WireClient(broker.port) as client:
        client.login(connect("c", keep_alive=0))
        for start in range(0, 50_000, 500):
            filters = [
                f"some/{number}/of/many/+/{number}/#" for number in range(start, start + 500)
            ]
            client.send(b"".join(subscribe(1, (text, 0)) for text in filters))
            client.expect(suback(1, 0) * 500)
            client.send(b"".join(_unsubscribe(2, text) for text in filters))
            client.expect(ack(0xB0, 2) * 500)


def test_more_filters_than_a_session_may_have(broker_process: StartBroker) -> None:
    """A session has its quota, and beyond it MQTT 5.0 is told so; others have their own."""
    broker = broker_process({"limits": {"max_subscriptions": 1000}})
    with watched(broker, memory=SLACK), WireClient(broker.port) as client:
        client.login(connect("c", properties=b""), CONNACK_ACCEPTED_V5)
        for start in range(0, 20_000, 1000):
            filters = [(f"{number}/" * 8, 0) for number in range(start, start + 1000)]
            client.send(subscribe(1, *filters, properties=b""))
            code = 0 if start == 0 else QUOTA_EXCEEDED
            client.expect(suback(1, *[code] * 1000, properties=b""))
        with WireClient(broker.port) as other:
            other.login(connect("other")).subscribe("a")


def test_more_retained_messages_than_there_may_be(broker_process: StartBroker) -> None:
    """The store has its quotas; who publishes beyond them in MQTT 5.0 is told so."""
    limits = {"max_retained_messages": 1000, "max_retained_bytes": 8 * MIB}
    # Without the plugin that retains a message in $SYS.
    plugins = {"amqtt.plugins.authentication.AnonymousAuthPlugin": {}}
    broker = broker_process({"limits": limits, "plugins": plugins})
    with watched(broker, memory=SLACK + 16 * MIB), WireClient(broker.port) as client:
        client.login(connect("c", properties=b""), CONNACK_ACCEPTED_V5)
        for number in range(20_000):
            client.send(publish(f"t/{number}", b"x", retain=True, properties=b""))
        last = publish("t/last", b"x", qos=1, packet_id=1, retain=True, properties=b"")
        client.send(last)
        client.expect(b"\x40\x03\x00\x01\x97")
        for number in range(1000):
            client.send(publish(f"t/{number}", b"x" * 65536, retain=True, properties=b""))
        client.send(subscribe(1, ("t/#", 0), properties=b""))
        client.expect(suback(1, 0, properties=b""))
        received = [client.read_packet() for _ in range(1000)]
        # The tree of the topics and the headers of messages count too, some 200 bytes each.
        large = sum(len(message) > 65536 for message in received)
        assert (8 * MIB - 250_000) // 65700 <= large <= 8 * MIB // 65600
        client.ping()
