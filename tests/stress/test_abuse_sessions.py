"""Clients that come and go without end, take sessions over, and leave sessions and wills behind."""

from __future__ import annotations

from support.abuse import MIB, crowd, descriptors, watched
from support.process import StartBroker
from support.wire import (
    CONNACK_ACCEPTED,
    DISCONNECT,
    WireClient,
    connect,
    publish,
)

SLACK = 16 * MIB


def test_connecting_and_disconnecting_without_end(broker_process: StartBroker) -> None:
    """3,000 connections one after the other, half of them dropped, leave nothing."""
    broker = broker_process()
    with watched(broker, memory=SLACK):
        for number in range(3000):
            with WireClient(broker.port) as client:
                client.login(connect(f"c{number}", will=("will", b"x" * 1000)))
                client.subscribe(f"some/filter/of/{number}")
                if number % 2 == 0:
                    client.send(DISCONNECT)


def test_sessions_taken_over_without_end(broker_process: StartBroker) -> None:
    """1,000 connections under one identifier: the last one has the session, the others end."""
    broker = broker_process()
    with watched(broker, memory=SLACK), WireClient(broker.port) as publisher:
        publisher.login(connect("p"))
        with WireClient(broker.port) as first:
            first.login(connect("same", clean=False)).subscribe("t", 1)
        for packet_id in range(1, 101):
            publisher.send(publish("t", b"x" * 400, qos=1, packet_id=packet_id))
        publisher.read(4 * 100)
        # None of them reads the hundred messages, which are sent again to each.
        with crowd(broker.port, descriptors(1000)) as peers:
            for peer in peers:
                peer.send(connect("same", clean=False))
            last = peers[-1]
            last.expect(b"\x20\x02\x01\x00")
            for packet_id in range(1, 101):
                sent = publish("t", b"x" * 400, qos=1, packet_id=packet_id, dup=True)
                last.expect(sent)
            last.ping()


def test_wills_of_a_crowd(broker_process: StartBroker) -> None:
    """500 clients drop at once, each with a will: every one is published, retained ones kept."""
    broker = broker_process()
    count = descriptors(500)
    with watched(broker, memory=SLACK), WireClient(broker.port) as subscriber:
        subscriber.login(connect("s")).subscribe("wills/#")
        with crowd(broker.port, count) as peers:
            for number, peer in enumerate(peers):
                topic = f"wills/{number}"
                peer.login(connect(f"c{number}", will=(topic, b"x" * 1000)))
        topics = {f"wills/{number}" for number in range(count)}
        subscriber.expect_set([publish(topic, b"x" * 1000) for topic in topics])
        subscriber.ping()


def test_sessions_nobody_comes_back_to(broker_process: StartBroker) -> None:
    """A new identifier for each connection leaves sessions up to the quota, which then expire."""
    config = {"limits": {"max_sessions": 1000}, "session_expiry_interval": 3}
    broker = broker_process(config)
    refused = b"\x20\x02\x00\x03"
    with watched(broker, memory=SLACK):
        answers = set()
        for number in range(3000):
            with WireClient(broker.port) as client:
                client.send(connect(f"c{number}", clean=False))
                answer = client.read_packet()
                answers.add(answer)
                if answer == CONNACK_ACCEPTED:
                    client.subscribe(f"some/filter/of/{number}", 1)
        assert answers == {CONNACK_ACCEPTED, refused}
        while True:  # bounded by the test's time limit
            with WireClient(broker.port) as client:
                client.send(connect("late", clean=False))
                if client.read_packet() == CONNACK_ACCEPTED:
                    break
