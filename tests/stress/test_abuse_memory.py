"""Clients that fill what the broker keeps: its stores take what their bounds say, and no more."""

from __future__ import annotations

import contextlib
from typing import Any

from support.abuse import MIB, Watch, crowd, watched
from support.process import StartBroker
from support.wire import (
    CONNACK_ACCEPTED,
    CONNACK_ACCEPTED_V5,
    DISCONNECT,
    WireClient,
    connect,
    publish,
    subscribe,
)

SLACK = 16 * MIB
BOUND = 24 * MIB
QUOTA_EXCEEDED = 0x97
# Without the plugin that retains messages in $SYS.
PLUGINS: dict[str, Any] = {"amqtt.plugins.authentication.AnonymousAuthPlugin": {}}


def _limits(**limits: int) -> dict[str, Any]:
    return {"limits": limits, "plugins": PLUGINS}


def _deep(number: int, levels: int = 200) -> str:
    return f"{number}" + "/a" * (levels - 1)


# -- retained messages


def test_retained_messages_set_and_cleared_while_others_are_due(
    broker_process: StartBroker,
) -> None:
    """A subscriber of all does not read, another is away; 2,000 long topics come and go in vain."""
    broker = broker_process({"limits": {"max_queued_messages": 100}, "plugins": PLUGINS})
    with (
        watched(broker, memory=SLACK),
        WireClient(broker.port, receive_buffer=4096) as slow,
        WireClient(broker.port) as publisher,
    ):
        publisher.login(connect("p"))
        for number in range(2000):
            publisher.send(publish(f"kept/{number}", b"x" * 1000, retain=True))
        publisher.ping()
        with WireClient(broker.port, receive_buffer=4096) as away:
            away.login(connect("away", clean=False, keep_alive=0))
            away.send(subscribe(1, ("#", 0)))
        slow.login(connect("slow", keep_alive=0))
        slow.send(subscribe(1, ("#", 0)))
        for number in range(2000):
            topic = f"{number}".ljust(60_000, "x")
            publisher.send(publish(topic, b"x", retain=True) + publish(topic, b"", retain=True))
            for _ in range(10):
                publisher.send(
                    publish("same", b"x", retain=True) + publish("same", b"", retain=True)
                )
            publisher.ping()


def test_retained_messages_with_many_levels(broker_process: StartBroker) -> None:
    """The nodes of 200 levels count, and so do long topics, many children and small messages."""
    broker = broker_process(_limits(max_retained_bytes=BOUND, max_retained_messages=0))
    watch = Watch(broker)
    with watched(broker, memory=BOUND + SLACK), WireClient(broker.port) as client:
        client.login(connect("c", properties=b""), CONNACK_ACCEPTED_V5)
        for start in range(0, 4000, 100):
            numbers = range(start, start + 100)
            client.send(
                b"".join(publish(_deep(n), b"x", retain=True, properties=b"") for n in numbers)
            )
            client.ping()
        for number in range(500):
            long = f"{number}".ljust(60_000, "x")
            client.send(publish(long, b"x", retain=True, properties=b""))
        for start in range(0, 60_000, 1000):
            numbers = range(start, start + 1000)
            client.send(
                b"".join(publish(f"t/{n}", b"x", retain=True, properties=b"") for n in numbers)
            )
        last = publish(_deep(5000), b"x", qos=1, packet_id=1, retain=True, properties=b"")
        client.send(last)
        client.expect(b"\x40\x03\x00\x01\x97")
        client.ping()
    # It is full, and what was counted is there.
    assert watch.peak_growth() > BOUND // 2


def test_retained_messages_that_expire(broker_process: StartBroker) -> None:
    """At the bound those whose time is over make room for others."""
    broker = broker_process(_limits(max_retained_messages=2000))
    expiry = b"\x02\x00\x00\x00\x01"
    kept = 0
    with watched(broker, memory=SLACK), WireClient(broker.port) as client:
        client.login(connect("c", properties=b""), CONNACK_ACCEPTED_V5)
        number = 0
        # Until the first ones have expired and others have taken their place.
        while kept < 3000:
            number += 1
            client.send(
                publish(f"t/{number}", b"x", qos=1, packet_id=1, retain=True, properties=expiry)
            )
            answer = client.read_packet()
            kept += answer[-1] != QUOTA_EXCEEDED


# -- subscriptions


def test_subscriptions_of_many_sessions(broker_process: StartBroker) -> None:
    """Long filters and filters of many levels count for what they take, for each and in total."""
    broker = broker_process(
        _limits(max_total_subscription_bytes=BOUND, max_subscription_bytes=BOUND // 4)
    )
    refusals = 0
    with watched(broker, memory=BOUND + SLACK):
        for session in range(12):
            with WireClient(broker.port) as client:
                client.login(connect(f"s{session}", clean=False))
                for start in range(0, 400, 20):
                    texts = [
                        f"{session}/{n}".ljust(60_000, "x") if n % 4 == 0
                        else f"{session}/{n}" + "/+" * 190
                        for n in range(start, start + 20)
                    ]  # fmt: skip
                    client.send(subscribe(1, *[(text, 0) for text in texts]))
                    refusals += client.read_packet().count(b"\x80")
                client.send(DISCONNECT)
    assert refusals > 12 * 100


# -- sessions


def test_sessions_with_long_identifiers(broker_process: StartBroker) -> None:
    """Client ids and wills of 60 KB: sessions are refused before they take too much."""
    broker = broker_process(_limits(max_session_bytes=BOUND))
    watch = Watch(broker)
    answers = []
    with watched(broker, memory=BOUND + SLACK):
        for number in range(1000):
            with WireClient(broker.port) as client:
                will = ("w", b"x" * 60_000) if number % 2 else None
                name = f"{number}".ljust(60_000, "n")
                client.send(connect(name, clean=False, will=will))
                answers.append(client.read_packet())
                if number % 2 == 0 and answers[-1] == CONNACK_ACCEPTED:
                    client.send(DISCONNECT)
    assert 300 < answers.count(CONNACK_ACCEPTED) < 420
    assert answers[-1] == b"\x20\x02\x00\x03"
    assert watch.peak_growth() > BOUND // 2


def test_topic_aliases_of_many_connections(broker_process: StartBroker) -> None:
    """32 aliases of 60 KB on each of 60 connections would be 110 MiB."""
    broker = broker_process(_limits(max_session_bytes=BOUND))
    closed = 0
    with watched(broker, memory=BOUND + SLACK), crowd(broker.port, 60) as peers:
        for number, peer in enumerate(peers):
            peer.login(connect(f"c{number}", properties=b""), CONNACK_ACCEPTED_V5)
            with contextlib.suppress(OSError):
                for alias in range(1, 33):
                    bound = b"\x23" + alias.to_bytes(2, "big")
                    peer.send(publish(f"{alias}".ljust(60_000, "x"), properties=bound))
                peer.send(b"\xc0\x00")
            with contextlib.suppress(OSError, AssertionError, EOFError):
                closed += peer.read_packet() == b"\xe0\x01\x97"
    assert closed > 20


# -- queues


def test_small_messages_for_many_sessions(broker_process: StartBroker) -> None:
    """20,000 messages of a byte for 50 sessions that are away would take 70 MiB of places."""
    broker = broker_process(_limits(max_total_queued_bytes=BOUND))
    watch = Watch(broker)
    with watched(broker, memory=BOUND + SLACK):
        for number in range(50):
            with WireClient(broker.port) as client:
                client.login(connect(f"s{number}", clean=False)).subscribe("t", 1)
                client.send(DISCONNECT)
        with WireClient(broker.port) as publisher:
            publisher.login(connect("p"))
            for _ in range(20):
                publisher.send(publish("t", b"x", qos=1, packet_id=1) * 1000)
                publisher.read(4 * 1000)
    assert watch.peak_growth() > BOUND // 2


def test_large_messages_for_many_sessions(broker_process: StartBroker) -> None:
    """40 sessions with messages of their own: all queues together have a bound."""
    broker = broker_process(_limits(max_total_queued_bytes=BOUND))
    with watched(broker, memory=BOUND + SLACK):
        for number in range(40):
            with WireClient(broker.port) as client:
                client.login(connect(f"s{number}", clean=False)).subscribe(f"t/{number}", 1)
                client.send(DISCONNECT)
        with WireClient(broker.port) as publisher:
            publisher.login(connect("p"))
            for number in range(40):
                publisher.send(publish(f"t/{number}", b"x" * 100_000, qos=1, packet_id=1) * 20)
                publisher.read(4 * 20)


def test_messages_in_flight_of_many_clients(broker_process: StartBroker) -> None:
    """40 clients that acknowledge nothing: what is on its way to them counts as well."""
    broker = broker_process(_limits(max_total_queued_bytes=BOUND))
    with (
        watched(broker, memory=BOUND + SLACK + 8 * MIB),
        crowd(broker.port, 40) as peers,
        WireClient(broker.port) as publisher,
    ):
        publisher.login(connect("p"))
        for number, peer in enumerate(peers):
            peer.login(connect(f"s{number}", keep_alive=0)).subscribe(f"t/{number}", 1)
        for number in range(40):
            publisher.send(publish(f"t/{number}", b"x" * 100_000, qos=1, packet_id=1) * 20)
            publisher.read(4 * 20)
