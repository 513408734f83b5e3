"""Clients of other projects over TLS, WebSocket and secure WebSocket."""

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from support.endpoints import Endpoints
from support.peers import SECURE_TRANSPORTS, Message, Peer, Will

if TYPE_CHECKING:
    from conftest import Peers

over_each = pytest.mark.parametrize(("kind", "transport"), SECURE_TRANSPORTS)
in_both_versions = pytest.mark.parametrize("version", [4, 5], ids=["v3.1.1", "v5"], indirect=True)


class Opener:
    """Opens clients over one transport."""

    def __init__(self, peers: "Peers", endpoints: Endpoints) -> None:
        """Use `peers`, which closes what is left open."""
        self._peers = peers
        self._endpoints = endpoints

    async def open(self, kind: str, transport: str, name: str, **options: Any) -> Peer:
        """Return a connected client."""
        encrypts = transport in ("tls", "wss")
        listener = "wss-browser" if (kind, transport) == ("chromium", "wss") else transport
        return await self._peers.open(
            kind,
            name,
            port=self._endpoints.ports[listener],
            transport=transport,
            cafile=self._endpoints.trust.authority.cafile if encrypts else None,
            **options,
        )


@pytest.fixture
def opener(peers: "Peers", secure_endpoints: Endpoints) -> Opener:
    """Open clients over any transport."""
    return Opener(peers, secure_endpoints)


@in_both_versions
@over_each
async def test_publish_and_receive(opener: Opener, unique: str, kind: str, transport: str) -> None:
    """Ten messages at each QoS arrive in order."""
    receiver = await opener.open(kind, transport, "r")
    await receiver.subscribe(f"{unique}/+", 2)
    sender = await opener.open(kind, transport, "s")
    payloads = [b"message %d" % number for number in range(10)]
    for qos in (0, 1, 2):
        await sender.publish_all(f"{unique}/{qos}", payloads, qos)
        got = await receiver.receive_many(len(payloads))
        assert got == [Message(f"{unique}/{qos}", each, qos, retain=False) for each in payloads]


@over_each
@pytest.mark.parametrize("size", [64 << 10, 10 << 20], ids=["64KiB", "10MiB"])
async def test_large_payloads(
    opener: Opener, unique: str, kind: str, transport: str, size: int
) -> None:
    """Payloads larger than a TLS record or a frame arrive unchanged.

    Over WebSocket without TLS, paho-mqtt loses what the socket does not take at once
    (https://github.com/eclipse-paho/paho.mqtt.python/issues/887); there it only receives.
    """
    loses = size > 1 << 20 and transport == "ws" and kind in ("paho", "aiomqtt")
    payload = (bytes(range(251)) * (size // 251 + 1))[:size]
    receiver = await opener.open(kind, transport, "r")
    await receiver.subscribe(unique, 1)
    sender = await opener.open(kind, "tcp" if loses else transport, "s")
    await sender.publish(unique, payload, 1)
    got = await receiver.receive()
    assert got.topic == unique
    assert got.payload == payload


@in_both_versions
@pytest.mark.parametrize("qos", [1, 2])
@over_each
async def test_both_directions_at_once(
    opener: Opener, unique: str, kind: str, transport: str, qos: int
) -> None:
    """While a client publishes it also receives, so that messages meet acknowledgements.

    A client that expects one packet in each WebSocket frame waits for ever when two are in one.
    """
    count = 100
    busy = await opener.open(kind, transport, "b")
    await busy.subscribe(f"{unique}/in", qos)
    other = await opener.open("paho", "tcp", "o")
    await other.subscribe(f"{unique}/out", qos)
    payloads = [b"message %d" % number for number in range(count)]

    async def publish(peer: Peer, topic: str) -> None:
        if kind == "mosquitto":  # a process for each message
            await peer.publish_all(topic, payloads, qos)
        else:
            await asyncio.gather(*(peer.publish(topic, each, qos) for each in payloads))

    _, _, into, out = await asyncio.gather(
        publish(busy, f"{unique}/out"),
        publish(other, f"{unique}/in"),
        busy.receive_many(count),
        other.receive_many(count),
    )
    assert sorted(each.payload for each in into) == sorted(payloads)
    assert sorted(each.payload for each in out) == sorted(payloads)
    await busy.publish(f"{unique}/out", b"last", qos)
    assert (await other.receive()).payload == b"last"


@over_each
async def test_will(opener: Opener, unique: str, kind: str, transport: str) -> None:
    """A client that vanishes leaves its will; one that disconnects does not."""
    receiver = await opener.open("paho", "tcp", "r")
    await receiver.subscribe(unique, 1)
    polite = await opener.open(kind, transport, "p", will=Will(unique, b"never", 1))
    await polite.disconnect()
    rude = await opener.open(kind, transport, "x", will=Will(unique, b"gone", 1))
    await rude.abort()
    assert await receiver.receive() == Message(unique, b"gone", 1, retain=False)


@in_both_versions
async def test_from_each_to_each(opener: Opener, unique: str) -> None:
    """What one client publishes over one transport, all others get over theirs."""
    receivers = [
        await opener.open(kind, transport, f"r-{kind}-{transport}")
        for kind, transport in SECURE_TRANSPORTS
    ]
    await asyncio.gather(*(peer.subscribe(f"{unique}/+/+", 1) for peer in receivers))
    for kind, transport in SECURE_TRANSPORTS:
        sender = await opener.open(kind, transport, f"s-{kind}-{transport}")
        topic = f"{unique}/{kind}/{transport}"
        await sender.publish(topic, b"hello", 1)
        heard = [await peer.receive() for peer in receivers]
        assert heard == [Message(topic, b"hello", 1, retain=False)] * len(receivers)
