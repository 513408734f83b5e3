"""Reason codes and limits of MQTT 5.0 that a broker answers with, and what the caller gets."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from support.client import HAS_V5, LIMIT, connected, make_client, until
from support.scripted import (
    DISCONNECT,
    PUBACK,
    PUBCOMP,
    PUBLISH,
    PUBREC,
    PUBREL,
    SUBSCRIBE,
    UNSUBSCRIBE,
    V5,
    ScriptedBroker,
    ScriptedPeer,
    acknowledge,
    suback,
    unsuback,
)
from support.wire import packet, publish, string

from amqtt import errors
from amqtt.errors import ClientError

pytestmark = pytest.mark.skipif(not HAS_V5, reason="the client has no MQTT 5.0 in this version")

REASON = b"\x1f" + string("because")
PUBLISH_REFUSALS = [0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99]


@pytest.mark.parametrize("reason", [b"", REASON], ids=["", "reason"])
@pytest.mark.parametrize("code", PUBLISH_REFUSALS)
@pytest.mark.parametrize("kind", [PUBACK, PUBREC])
async def test_refused_publish(kind: int, code: int, reason: bytes) -> None:
    """The call raises, and the packet identifier is free again.

    5.0:MQTT-4.3.3-4@client
    """

    async def script(peer: ScriptedPeer) -> None:
        await peer.login(V5)
        got = await peer.expect(PUBLISH)
        peer.send(acknowledge(kind, got.packet_id, code, reason))
        got = await peer.expect(PUBLISH)  # no PUBREL before
        peer.send(acknowledge(PUBACK, got.packet_id))
        await peer.expect_close()

    async with ScriptedBroker(script) as broker, connected(make_client(V5), broker.uri) as c:
        with pytest.raises(errors.PublishError) as caught:
            await asyncio.wait_for(c.publish("a", b"x", qos=1 if kind == PUBACK else 2), LIMIT)
        assert caught.value.reason_code == code
        assert caught.value.reason_string == ("because" if reason else None)
        assert "a" in str(caught.value)
        assert c.session is not None
        assert c.session.inflight_out_count == 0
        await asyncio.wait_for(c.publish("a", b"x", qos=1), LIMIT)


async def test_refused_pubrel() -> None:
    async def script(peer: ScriptedPeer) -> None:
        await peer.login(V5)
        got = await peer.expect(PUBLISH)
        peer.send(acknowledge(PUBREC, got.packet_id))
        await peer.expect(PUBREL)
        peer.send(acknowledge(PUBCOMP, got.packet_id, 0x92))
        await peer.expect_close()

    async with ScriptedBroker(script) as broker, connected(make_client(V5), broker.uri) as c:
        with pytest.raises(errors.PublishError) as caught:
            await asyncio.wait_for(c.publish("a", b"x", qos=2), LIMIT)
        assert caught.value.reason_code == 0x92


@pytest.mark.parametrize("qos", [1, 2])
async def test_nobody_subscribes(qos: int) -> None:
    """No Matching Subscribers is a success that the result tells."""

    async def script(peer: ScriptedPeer) -> None:
        await peer.login(V5)
        got = await peer.expect(PUBLISH)
        peer.send(acknowledge(PUBACK if qos == 1 else PUBREC, got.packet_id, 0x10))
        if qos == 2:
            await peer.expect(PUBREL)
            peer.send(acknowledge(PUBCOMP, got.packet_id))
        await peer.expect_close()

    async with ScriptedBroker(script) as broker, connected(make_client(V5), broker.uri) as c:
        message = await asyncio.wait_for(c.publish("a", b"x", qos=qos), LIMIT)
        assert message.reason_code == 0x10  # type: ignore[attr-defined]


async def test_every_code_of_subscriptions() -> None:
    codes = [0, 1, 2, 0x80, 0x83, 0x87, 0x8F, 0x91, 0x97, 0x9E, 0xA1, 0xA2]
    removed = [0, 0x11, 0x80, 0x83, 0x87, 0x8F, 0x91]

    async def script(peer: ScriptedPeer) -> None:
        await peer.login(V5)
        peer.send(suback(V5, (await peer.expect(SUBSCRIBE)).packet_id, *codes))
        peer.send(unsuback(V5, (await peer.expect(UNSUBSCRIBE)).packet_id, *removed))
        await peer.expect_close()

    async with ScriptedBroker(script) as broker, connected(make_client(V5), broker.uri) as c:
        filters = [(f"f/{number}", 2) for number in range(len(codes))]
        assert await asyncio.wait_for(c.subscribe(filters), LIMIT) == codes
        unsubscribing = c.unsubscribe([f"f/{number}" for number in range(len(removed))])
        assert await asyncio.wait_for(unsubscribing, LIMIT) == removed


@pytest.mark.parametrize("code", [0x81, 0x82, 0x87, 0x89, 0x8B, 0x8D, 0x8E, 0x93, 0x94, 0x98, 0x9C])
async def test_disconnected_by_the_broker(code: int) -> None:
    """Whoever awaits learns it; the code and the properties are kept."""

    async def script(peer: ScriptedPeer) -> None:
        await peer.login(V5)
        await peer.expect(PUBLISH)
        peer.send(packet(DISCONNECT, bytes([code, len(REASON)]) + REASON))
        await peer.expect_close()

    async with ScriptedBroker(script) as broker:
        client = make_client(V5)
        await client.connect(broker.uri)
        with pytest.raises(ClientError):
            await asyncio.wait_for(client.publish("a", b"x", qos=1), LIMIT)
        assert client.session is not None
        assert client.session.disconnect_reason == code  # type: ignore[attr-defined]
        assert client.disconnect_properties["reason_string"] == "because"  # type: ignore[attr-defined]
        await client.disconnect()


@pytest.mark.parametrize("allowed", [1, 3])
async def test_receive_maximum_of_the_broker(allowed: int) -> None:
    """No more messages of QoS 1 and 2 are under way than the broker takes; QoS 0 passes.

    5.0:MQTT-3.3.4-7@client
    """
    total = 8
    overtaken = asyncio.Event()

    async def script(peer: ScriptedPeer) -> None:
        await peer.login(V5, properties=b"\x21" + allowed.to_bytes(2, "big"))
        waiting = [await peer.expect(PUBLISH) for _ in range(allowed)]
        beyond = await peer.expect(PUBLISH)
        assert beyond.first & 0x06 == 0  # the one of QoS 0
        overtaken.set()
        for number in range(total):
            peer.send(acknowledge(PUBACK, waiting[number].packet_id))
            if len(waiting) < total:
                waiting.append(await peer.expect(PUBLISH))
        await peer.expect_close()

    async with ScriptedBroker(script) as broker, connected(make_client(V5), broker.uri) as c:
        pending = [asyncio.ensure_future(c.publish("a", b"x", qos=1)) for _ in range(total)]
        await until(lambda: len(broker.peers[0].received) == 1 + allowed)
        await c.publish("b", b"x", qos=0)
        await asyncio.wait_for(overtaken.wait(), LIMIT)
        await asyncio.wait_for(asyncio.gather(*pending), LIMIT)


async def test_topic_aliases_of_the_broker() -> None:
    """The broker names a topic once; later messages have its alias only."""
    alias = b"\x23\x00\x05"

    async def script(peer: ScriptedPeer) -> None:
        await peer.login(V5)
        peer.send(publish("long/topic", b"1", properties=alias))
        peer.send(publish("", b"2", properties=alias))
        peer.send(publish("other", b"3", properties=alias))
        peer.send(publish("", b"4", properties=alias))
        await peer.expect_close()

    client = make_client(V5, connect_properties={"topic_alias_maximum": 10})
    async with ScriptedBroker(script) as broker, connected(client, broker.uri):
        seen = [await client.deliver_message(LIMIT) for _ in range(4)]
        topics = [message.topic for message in seen if message is not None]
        assert topics == ["long/topic", "long/topic", "other", "other"]


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param(lambda: publish("", b"x", properties=b""), id="no topic"),
        pytest.param(lambda: publish("", b"x", properties=b"\x23\x00\x01"), id="unknown alias"),
        pytest.param(lambda: publish("a", b"x", properties=b"\x23\x00\x00"), id="alias 0"),
        pytest.param(lambda: publish("a", b"x", properties=b"\x23\x00\x63"), id="alias too large"),
        pytest.param(lambda: publish("a", b"x", properties=b"\x0b\x00"), id="identifier 0"),
        pytest.param(lambda: publish("a", b"x", properties=b"\x01\x02"), id="format 2"),
        pytest.param(lambda: publish("a", b"x", properties=b"\x7e\x00"), id="unknown property"),
        pytest.param(
            lambda: publish("a", b"x", properties=b"\x02\x00\x00\x00\x09" * 2), id="property twice"
        ),
        pytest.param(lambda: packet(DISCONNECT, b"\x00\x05\x11\x00\x00\x00\x09"), id="expiry"),
    ],
)
async def test_protocol_error_of_the_broker(wrong: Callable[[], bytes]) -> None:
    """The client says DISCONNECT with a reason, and closes.

    5.0:MQTT-4.13.1-1@client
    """

    async def script(peer: ScriptedPeer) -> None:
        await peer.login(V5)
        await peer.expect(PUBLISH)
        peer.send(wrong())
        told = await peer.expect_close()
        assert [got.type for got in told] == [DISCONNECT]
        assert told[0].body[0] in (0x81, 0x82, 0x94)

    async with ScriptedBroker(script) as broker:
        client = make_client(V5, connect_properties={"topic_alias_maximum": 10})
        await client.connect(broker.uri)
        with pytest.raises(ClientError):
            await asyncio.wait_for(client.publish("a", b"x", qos=1), LIMIT)
        await client.disconnect()


async def test_packet_larger_than_the_broker_takes() -> None:
    """It is not sent: the caller learns it and the connection stays.

    5.0:MQTT-3.2.2-15@client
    """

    async def script(peer: ScriptedPeer) -> None:
        await peer.login(V5, properties=b"\x27\x00\x00\x00\x64")  # Maximum Packet Size 100
        got = await peer.expect(PUBLISH)
        assert len(got.body) < 100
        peer.send(acknowledge(PUBACK, got.packet_id))
        await peer.expect_close()

    async with ScriptedBroker(script) as broker, connected(make_client(V5), broker.uri) as c:
        with pytest.raises(ClientError):
            await asyncio.wait_for(c.publish("a", b"x" * 200, qos=1), LIMIT)
        await asyncio.wait_for(c.publish("a", b"x", qos=1), LIMIT)


async def test_client_id_and_keep_alive_of_the_broker() -> None:
    """5.0:MQTT-3.2.2-21@client"""

    async def script(peer: ScriptedPeer) -> None:
        await peer.login(V5, properties=b"\x12" + string("assigned") + b"\x13\x00\x01")
        got = await peer.read()
        assert got.type == 0xC0  # a ping within the second
        peer.send(packet(0xD0))
        await peer.expect_close()

    client = make_client(V5, client_id="", keep_alive=600)
    async with ScriptedBroker(script) as broker, connected(client, broker.uri):
        assert client.client_id == "assigned"
        assert client.connack_properties["server_keep_alive"] == 1  # type: ignore[attr-defined]
        await until(lambda: len(broker.peers[0].received) >= 2)
