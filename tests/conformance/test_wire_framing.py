"""Packets do not care how TCP cuts them: split anywhere, packed together, small and large."""

import pytest
from support.process import BrokerProcess
from support.wire import (
    CONNACK_ACCEPTED,
    DISCONNECT,
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
)


def _dialogue(unique: str) -> tuple[bytes, bytes]:
    """Return what a client sends in a short life with every packet type, and all the answers."""
    topic = f"{unique}/t"
    sent = [
        (connect(f"{unique}c", username="user", will=(topic, b"will")), CONNACK_ACCEPTED),
        (subscribe(1, (topic, 0), (f"{unique}/+", 0)), suback(1, 0, 0)),
        (publish(topic, b"zero"), publish(topic, b"zero")),
        (publish(f"{unique}/a/1", b"one", qos=1, packet_id=2), ack(0x40, 2)),
        (publish(f"{unique}/a/2", b"two", qos=2, packet_id=3), ack(0x50, 3)),
        (ack(0x62, 3), ack(0x70, 3)),
        (packet(0xA2, b"\x00\x04" + string(topic)), ack(0xB0, 4)),
        (PINGREQ, PINGRESP),
        (DISCONNECT, b""),
    ]
    return b"".join(one for one, _ in sent), b"".join(answer for _, answer in sent)


def test_split_at_every_position(broker: BrokerProcess, unique: str) -> None:
    """Two pieces: between them another client is answered, so the broker has seen the first.

    3.1.1:MQTT-7.1.1-1@server
    """
    sent, answers = _dialogue(unique)
    with WireClient(broker.port) as other:
        other.login(connect(f"{unique}o"))
        for at in range(1, len(sent)):
            with WireClient(broker.port) as client:
                client.send(sent[:at])
                other.ping()
                client.send(sent[at:])
                client.expect(answers)
                client.expect_close()


def test_byte_by_byte(broker: BrokerProcess, unique: str) -> None:
    """Every byte travels alone.

    3.1.1:MQTT-7.1.1-1@server
    """
    sent, answers = _dialogue(unique)
    with WireClient(broker.port) as other, WireClient(broker.port) as client:
        other.login(connect(f"{unique}o"))
        for at in range(len(sent)):
            client.send(sent[at : at + 1])
            other.ping()
        client.expect(answers)
        client.expect_close()


def test_whole_dialogue_in_one_segment(broker: BrokerProcess, unique: str) -> None:
    """A client need not wait for any answer."""
    sent, answers = _dialogue(unique)
    with WireClient(broker.port) as client:
        client.send(sent)
        client.expect(answers)
        client.expect_close()


def test_many_packets_in_one_segment(broker: BrokerProcess, unique: str) -> None:
    """Five thousand packets in one write are served in order.

    3.1.1:MQTT-4.6.0-6@server
    """
    topic = f"{unique}/t"
    with WireClient(broker.port) as client:
        client.login(connect(unique)).subscribe(topic)
        messages = [publish(topic, b"%d" % number) for number in range(5000)]
        client.send(b"".join(messages))
        client.expect(b"".join(messages))
        acknowledged = [
            publish(f"{unique}/u", b"%d" % number, qos=1, packet_id=number)
            for number in range(1, 5001)
        ]
        client.send(b"".join(acknowledged))
        client.expect(b"".join(ack(0x40, number) for number in range(1, 5001)))
        client.ping()


@pytest.mark.parametrize("qos", [0, 1, 2])
@pytest.mark.parametrize("size", [256 << 10, 10 << 20], ids=["256KiB", "10MiB"])
def test_large_payload(broker: BrokerProcess, unique: str, size: int, qos: int) -> None:
    """A large message arrives byte for byte, and the connection stays usable."""
    topic = f"{unique}/t"
    payload = bytes(range(251)) * (size // 251 + 1)
    payload = payload[:size]
    ident = 7 if qos else None
    with WireClient(broker.port) as sub, WireClient(broker.port) as pub:
        sub.login(connect(f"{unique}s")).subscribe(topic, qos)
        pub.login(connect(f"{unique}p"))
        pub.send(publish(topic, payload, qos=qos, packet_id=ident))
        if qos == 1:
            pub.expect(ack(0x40, 7))
        elif qos == 2:
            pub.expect(ack(0x50, 7))
            pub.send(ack(0x62, 7))
            pub.expect(ack(0x70, 7))
        sub.expect(publish(topic, payload, qos=qos, packet_id=1 if qos else None))
        pub.ping()
        sub.ping()


def test_longest_topic(broker: BrokerProcess, unique: str) -> None:
    """A topic of 65535 bytes works as topic and as filter.

    3.1.1:MQTT-4.7.3-4@server
    """
    topic = unique + "/" + "t" * (65535 - len(unique) - 1)
    with WireClient(broker.port) as client:
        client.login(connect(unique)).subscribe(topic)
        client.send(publish(topic, b"x"))
        client.expect(publish(topic, b"x"))
        client.ping()
