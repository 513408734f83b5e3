"""Each client of another project does what people use MQTT for, against our broker.

The clients: mosquitto_pub/mosquitto_sub, paho-mqtt, aiomqtt, gmqtt, mqtt.js under Node and in
Chromium, and those of Eclipse Paho in Go and in C.
"""

import asyncio
from collections import defaultdict
from typing import TYPE_CHECKING

import pytest
from support.peers import KINDS, Message, Will

if TYPE_CHECKING:
    from conftest import Peers

pytestmark = [
    pytest.mark.parametrize("kind", KINDS),
    pytest.mark.parametrize("version", [4, 5], ids=["v311", "v5"], indirect=True),
]

CROWD = 100
MESSAGES_EACH = 4


@pytest.mark.parametrize("qos", [0, 1, 2])
async def test_publish_and_receive(peers: "Peers", kind: str, qos: int) -> None:
    """The client is publisher and subscriber; ten messages arrive in order."""
    topic = f"{peers.unique}/t"
    receiver = await peers.open(kind, "r")
    await receiver.subscribe(topic, qos)
    sender = await peers.open(kind, "s")
    payloads = [b"message %d" % number for number in range(10)]
    await sender.publish_all(topic, payloads, qos)
    got = await receiver.receive_many(len(payloads))
    assert got == [Message(topic, payload, qos, retain=False) for payload in payloads]


@pytest.mark.parametrize("qos", [0, 1, 2])
async def test_retained(peers: "Peers", kind: str, qos: int) -> None:
    """A retained message is stored, replaced, delivered with RETAIN 1, and removed."""
    topic = f"{peers.unique}/t"
    sender = await peers.open(kind, "s")
    await sender.publish(topic, b"old", 1, retain=True)
    await sender.publish(topic, b"kept", qos, retain=True)
    await sender.publish(f"{peers.unique}/sync", b"", 1)
    receiver = await peers.open(kind, "r")
    await receiver.subscribe(topic, 2)
    assert await receiver.receive() == Message(topic, b"kept", qos, retain=True)
    await sender.publish(topic, b"", 1, retain=True)
    assert await receiver.receive() == Message(topic, b"", 1, retain=False)
    late = await peers.open(kind, "l")
    await late.subscribe(topic, 2)
    await sender.publish(topic, b"live", 1)
    assert await late.receive() == Message(topic, b"live", 1, retain=False)


async def test_will(peers: "Peers", kind: str, version: int) -> None:
    """A client that vanishes leaves its will; one that disconnects does not."""
    topic = f"{peers.unique}/will"
    receiver = await peers.open(kind, "r")
    await receiver.subscribe(topic, 1)
    polite = await peers.open(kind, "p", will=Will(topic, b"never", 1))
    await polite.disconnect()
    if kind == "mosquitto" and version == 5:  # its DISCONNECT asks for the will, by code 0x04
        assert await receiver.receive() == Message(topic, b"never", 1, retain=False)
    rude = await peers.open(kind, "x", will=Will(topic, b"gone", 1, retain=True))
    await rude.abort()
    assert await receiver.receive() == Message(topic, b"gone", 1, retain=False)
    late = await peers.open(kind, "l")
    await late.subscribe(topic, 1)
    assert await late.receive() == Message(topic, b"gone", 1, retain=True)


async def test_persistent_session(peers: "Peers", kind: str) -> None:
    """What is published while the client is away waits for it, in order per QoS."""
    topic = f"{peers.unique}/t"
    first = await peers.open(kind, "r", clean=False)
    await first.subscribe(topic, 2)
    await first.disconnect()
    sender = await peers.open(kind, "s")
    for number in range(6):
        await sender.publish(topic, b"%d" % number, 1 + number % 2)
    again = peers.make(kind, "r", clean=False)
    await again.resume(topic, 2)
    got = await again.receive_many(6)
    for qos in (1, 2):
        expected = [Message(topic, b"%d" % n, qos, retain=False) for n in range(qos - 1, 6, 2)]
        assert [message for message in got if message.qos == qos] == expected
    await sender.publish(topic, b"live", 1)
    assert await again.receive() == Message(topic, b"live", 1, retain=False)
    await again.disconnect()


@pytest.mark.parametrize("size", [0, 1, 64 << 10, 10 << 20], ids=["empty", "1B", "64KiB", "10MiB"])
async def test_payload_sizes(peers: "Peers", kind: str, size: int) -> None:
    """Payloads of any size and any bytes arrive unchanged."""
    topic = f"{peers.unique}/t"
    payload = (bytes(range(256)) * (size // 256 + 1))[:size]
    receiver = await peers.open(kind, "r")
    await receiver.subscribe(topic, 1)
    sender = await peers.open(kind, "s")
    await sender.publish(topic, payload, 1)
    got = await receiver.receive()
    assert got.topic == topic
    assert got.payload == payload


async def test_unicode_topics(peers: "Peers", kind: str) -> None:
    """Topics with spaces, accents, other scripts and emoji arrive as they were sent."""
    receiver = await peers.open(kind, "r")
    await receiver.subscribe(f"{peers.unique}/+/ü ñ/#", 1)
    sender = await peers.open(kind, "s")
    topics = [
        f"{peers.unique}/two  spaces/ü ñ",
        f"{peers.unique}/日本語/ü ñ/東京",
        f"{peers.unique}/🌡️👩‍🚀/ü ñ/🦊/ ",
        f"{peers.unique}/مرحبا/ü ñ/e\u0301",
    ]
    for topic in topics:
        await sender.publish(topic, topic.encode(), 1)
    got = await receiver.receive_many(len(topics))
    assert got == [Message(topic, topic.encode(), 1, retain=False) for topic in topics]


async def test_a_hundred_clients(peers: "Peers", kind: str) -> None:
    """A hundred clients publish and all hundred get everything, each publisher's in order."""
    if kind == "paho-c":
        pytest.skip("its library serves one client in a process well, and a hundred badly")
    crowd = [await peers.open(kind, f"c{number}") for number in range(CROWD)]
    await asyncio.gather(*(peer.subscribe(f"{peers.unique}/all/+", 1) for peer in crowd))
    lines = [b"%d" % number for number in range(MESSAGES_EACH)]

    async def speak(number: int) -> None:
        await crowd[number].publish_all(f"{peers.unique}/all/{number}", lines, 1)

    await asyncio.gather(*(speak(number) for number in range(CROWD)))
    expected = {f"{peers.unique}/all/{number}": lines for number in range(CROWD)}
    for peer in crowd:
        heard: dict[str, list[bytes]] = defaultdict(list)
        for message in await peer.receive_many(CROWD * MESSAGES_EACH):
            heard[message.topic].append(message.payload)
        assert heard == expected
        assert peer.inbox.empty()
