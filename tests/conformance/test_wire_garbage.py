"""Two thousand broken peers, one healthy pair: nobody else is disturbed."""

import random
import socket

import pytest
from support.process import StartBroker, broker_kind
from support.wire import (
    CONNACK_ACCEPTED_V5,
    DISCONNECT,
    PINGREQ,
    WireClient,
    WireError,
    ack,
    connect,
    packet,
    publish,
    string,
    subscribe,
)

PEERS = 2000
SEED = 20_311


def _valid_packets(unique: str) -> list[bytes]:
    topic = f"{unique}/g"
    return [
        connect(f"{unique}x", username="u", will=(f"{unique}/w", b"w")),
        publish(topic, b"payload"),
        publish(topic, b"payload", qos=1, packet_id=3),
        publish(topic, b"payload", qos=2, packet_id=4, retain=True),
        subscribe(5, (topic, 1), (f"{unique}/+/#", 2)),
        packet(0xA2, b"\x00\x06" + string(topic)),
        ack(0x40, 1),
        ack(0x50, 1),
        ack(0x62, 1),
        ack(0x70, 1),
        PINGREQ,
        DISCONNECT,
    ]


def _valid_packets_v5(unique: str) -> list[bytes]:
    topic = f"{unique}/g"
    user = b"\x26" + string("name") + string("value")
    message = (
        b"\x01\x01\x02\x00\x00\x00\x05\x03" + string("text") + b"\x08" + string("reply") + user
    )
    acked = b"\x00\x01\x00" + bytes([len(user)]) + user
    return [
        connect(
            f"{unique}x",
            username="u",
            will=(f"{unique}/w", b"w"),
            properties=b"\x11\x00\x00\x00\x02\x21\x00\x05\x22\x00\x05\x27\x00\x00\x02\x00" + user,
            will_properties=b"\x18\x00\x00\x00\x01" + message,
        ),
        publish(topic, b"payload", properties=message),
        publish(topic, b"payload", properties=b"\x23\x00\x05" + message),
        publish("", b"payload", qos=1, packet_id=3, properties=b"\x23\x00\x05"),
        publish(topic, b"payload", qos=2, packet_id=4, retain=True, properties=message),
        subscribe(5, (topic, 0x1D), (f"{unique}/+/#", 2), properties=b"\x0b\x80\x01" + user),
        subscribe(6, (f"$share/g/{topic}", 1), properties=b""),
        packet(0xA2, b"\x00\x06\x00" + string(topic)),
        *(packet(first, acked) for first in (0x40, 0x50, 0x62, 0x70)),
        PINGREQ,
        packet(0xE0, b"\x04\x05\x11\x00\x00\x00\x01"),
        packet(0xF0, b"\x18\x04\x15" + string("m")),
    ]


def _garbage(source: random.Random, valid: list[bytes]) -> bytes:
    """Return random bytes, a mutated packet, a cut one, or a wrong remaining length."""
    kind = source.randrange(5)
    if kind == 0:
        return source.randbytes(source.randint(1, 300))
    if kind == 1:
        return packet(source.randrange(256), source.randbytes(source.randint(0, 60)))
    whole = bytearray(b"".join(source.choices(valid, k=source.randint(1, 4))))
    if kind == 2:
        for _ in range(source.randint(1, 6)):
            whole[source.randrange(len(whole))] = source.randrange(256)
    elif kind == 3:
        del whole[source.randrange(len(whole)) :]
    else:
        whole[1] = source.choice([0, 1, 0x7F, 0x80, 0xFF])
    return bytes(whole)


def _drain(client: WireClient) -> None:
    """Shut our sending side down and read until the peer closes."""
    client.shutdown(socket.SHUT_WR)
    while True:
        try:
            client.read(1)
        except WireError:
            client.expect_close()
            return


@pytest.mark.parametrize("version", ["3.1.1", "5.0"])
def test_garbage_closes_only_its_own_connection(
    broker_process: StartBroker, unique: str, version: str
) -> None:
    """Each broken peer loses its connection; the healthy ones keep every message.

    3.1.1:MQTT-4.8.0-1@server 5.0:MQTT-4.13.1-1@server
    """
    broker = broker_process()
    source = random.Random(SEED)
    is_old = version == "3.1.1"
    valid = _valid_packets(unique) if is_old else _valid_packets_v5(unique)
    topic = f"{unique}/healthy"
    with WireClient(broker.port) as sub, WireClient(broker.port) as pub:
        sub.login(connect(f"{unique}s")).subscribe(topic, 1)
        pub.login(connect(f"{unique}p"))
        for number in range(1, PEERS + 1):
            with WireClient(broker.port) as peer:
                if number % 2 and is_old:
                    peer.login(connect(f"{unique}{number:04d}"))
                elif number % 2:
                    login = connect(f"{unique}{number:04d}", properties=b"")
                    peer.login(login, CONNACK_ACCEPTED_V5 if broker_kind() == "amqtt" else b"")
                peer.send(_garbage(source, valid))
                if number % 20 == 0:
                    message = publish(topic, b"%d" % number, qos=1, packet_id=number)
                    pub.send(message)
                    pub.expect(ack(0x40, number))
                    sub.expect(publish(topic, b"%d" % number, qos=1, packet_id=number // 20))
                    sub.send(ack(0x40, number // 20))
                _drain(peer)
        sub.ping()
        pub.ping()
    assert broker.running


def test_many_connections_at_once_send_garbage(broker_process: StartBroker, unique: str) -> None:
    """A hundred broken peers side by side, all open until the end."""
    broker = broker_process()
    source = random.Random(SEED + 1)
    valid = _valid_packets(unique) + _valid_packets_v5(unique)
    topic = f"{unique}/healthy"
    peers: list[WireClient] = []
    with WireClient(broker.port) as healthy:
        healthy.login(connect(f"{unique}s")).subscribe(topic)
        try:
            for number in range(100):
                peers.append(WireClient(broker.port))
                peers[-1].send(_garbage(source, valid))
                healthy.send(publish(topic, b"%d" % number))
                healthy.expect(publish(topic, b"%d" % number))
            for peer in peers:
                _drain(peer)
        finally:
            for peer in peers:
                peer.abort()
        healthy.ping()
