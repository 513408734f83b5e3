"""The client and a broker that misbehaves at each step of each exchange."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest
from support.client import LIMIT, connected, make_client, until
from support.scripted import (
    PINGREQ,
    PINGRESP,
    PUBACK,
    PUBCOMP,
    PUBLISH,
    PUBREC,
    PUBREL,
    SUBSCRIBE,
    UNSUBSCRIBE,
    V3,
    V5,
    Received,
    ScriptedBroker,
    ScriptedPeer,
    acknowledge,
    connack,
    suback,
    unsuback,
)
from support.wire import packet, publish

from amqtt.client import MQTTClient
from amqtt.errors import ClientError

Answer = Callable[[int, int], bytes]  # protocol version, packet identifier

VERSIONS = [V3, V5]


@dataclass(frozen=True)
class Exchange:
    """A call of the client, and what the broker answers to each of its packets."""

    name: str
    call: Callable[[MQTTClient], Awaitable[Any]]
    steps: tuple[tuple[int, Answer], ...]
    result: Callable[[Any, int], bool] = lambda result, _: result is None

    async def serve(self, peer: ScriptedPeer, version: int, start: int = 0, end: int = 9) -> None:
        """Answer these steps as a broker does."""
        for kind, answer in self.steps[start:end]:
            peer.send(answer(version, id_of(await peer.expect(kind))))


def id_of(got: Received) -> int:
    return 0 if got.type == PINGREQ else got.packet_id


def ack(first: int) -> Answer:
    return lambda _version, packet_id: acknowledge(first, packet_id)


EXCHANGES = [
    Exchange(
        "publish QoS 1",
        lambda client: client.publish("a", b"x", qos=1),
        ((PUBLISH, ack(PUBACK)),),
        lambda message, _: message.packet_id is not None and message.data == b"x",
    ),
    Exchange(
        "publish QoS 2",
        lambda client: client.publish("a", b"x", qos=2),
        ((PUBLISH, ack(PUBREC)), (PUBREL, ack(PUBCOMP))),
        lambda message, _: message.packet_id is not None and message.qos == 2,
    ),
    Exchange(
        "subscribe",
        lambda client: client.subscribe([("a", 1), ("b/#", 2)]),
        ((SUBSCRIBE, lambda version, number: suback(version, number, 1, 0x80)),),
        lambda codes, _: codes == [1, 0x80],
    ),
    Exchange(
        "unsubscribe",
        lambda client: client.unsubscribe(["a", "b"]),
        ((UNSUBSCRIBE, lambda version, number: unsuback(version, number, 0, 0x11)),),
        lambda codes, version: codes == ([0, 0x11] if version == V5 else None),
    ),
    Exchange("ping", lambda client: client.ping(), ((PINGREQ, lambda *_: packet(PINGRESP)),)),
]
STEPS = [(exchange, step) for exchange in EXCHANGES for step in range(len(exchange.steps))]

every_version = pytest.mark.parametrize("version", VERSIONS, ids=["3.1.1", "5.0"])
every_exchange = pytest.mark.parametrize("exchange", EXCHANGES, ids=lambda each: each.name)
every_step = pytest.mark.parametrize(
    ("exchange", "step"), STEPS, ids=[f"{exchange.name}-{step}" for exchange, step in STEPS]
)


# -- what must not matter


@every_version
@every_exchange
async def test_answers_in_single_bytes(exchange: Exchange, version: int) -> None:
    async def script(peer: ScriptedPeer) -> None:
        await peer.read()
        await peer.drip(connack(version))
        for kind, answer in exchange.steps:
            await peer.drip(answer(version, id_of(await peer.expect(kind))))
        await peer.expect_close()

    async with ScriptedBroker(script) as broker, connected(make_client(version), broker.uri) as c:
        result = await asyncio.wait_for(exchange.call(c), LIMIT)
        assert exchange.result(result, version)


@every_version
@every_step
async def test_call_waits_for_a_late_answer(exchange: Exchange, step: int, version: int) -> None:
    """Messages that come in between are received; the call waits on."""
    late = asyncio.Event()

    async def script(peer: ScriptedPeer) -> None:
        await peer.login(version)
        await exchange.serve(peer, version, 0, step)
        kind, answer = exchange.steps[step]
        got = await peer.expect(kind)
        block = b"" if version == V5 else None
        peer.send(publish("meanwhile", b"1", properties=block))
        await late.wait()
        peer.send(answer(version, id_of(got)))
        await exchange.serve(peer, version, step + 1)
        await peer.expect_close()

    async with ScriptedBroker(script) as broker, connected(make_client(version), broker.uri) as c:
        pending = asyncio.ensure_future(exchange.call(c))
        message = await c.deliver_message(LIMIT)
        assert message is not None
        assert message.topic == "meanwhile"
        assert not pending.done()
        late.set()
        assert exchange.result(await asyncio.wait_for(pending, LIMIT), version)


@every_version
@every_step
async def test_cancelled_call_leaves_the_client_in_order(
    exchange: Exchange, step: int, version: int
) -> None:
    """What the broker still answers to a call that was cancelled disturbs nobody."""
    reached = asyncio.Event()
    cancelled = asyncio.Event()

    async def script(peer: ScriptedPeer) -> None:
        await peer.login(version)
        await exchange.serve(peer, version, 0, step)
        kind, answer = exchange.steps[step]
        got = await peer.expect(kind)
        reached.set()
        await cancelled.wait()
        peer.send(answer(version, id_of(got)))
        while True:
            got = await peer.read()
            if got.type == SUBSCRIBE and b"after" in got.body:
                peer.send(suback(version, got.packet_id, 0))
                break
            if got.type == PUBREL:
                peer.send(acknowledge(PUBCOMP, got.packet_id))
        await peer.expect_close()

    async with ScriptedBroker(script) as broker, connected(make_client(version), broker.uri) as c:
        pending = asyncio.ensure_future(exchange.call(c))
        await asyncio.wait_for(reached.wait(), LIMIT)
        pending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await pending
        cancelled.set()
        assert await asyncio.wait_for(c.subscribe([("after", 0)]), LIMIT) == [0]
        assert c.session is not None
        assert c.session.inflight_out_count == 0


# -- the connection is lost


def cut(peer: ScriptedPeer, how: str, answer: bytes) -> None:
    """Hang up in one of the ways that there are."""
    if how == "reset":
        peer.reset()
        return
    if how == "part":
        peer.send(answer[:-1])
    peer.close()


every_cut = pytest.mark.parametrize("how", ["close", "reset", "part"])


@every_version
@every_cut
@every_step
async def test_loss_reaches_the_caller(
    exchange: Exchange, step: int, how: str, version: int
) -> None:
    async def script(peer: ScriptedPeer) -> None:
        await peer.login(version)
        await exchange.serve(peer, version, 0, step)
        kind, answer = exchange.steps[step]
        cut(peer, how, answer(version, id_of(await peer.expect(kind))))

    async with ScriptedBroker(script) as broker:
        client = make_client(version)
        await client.connect(broker.uri)
        delivery = asyncio.ensure_future(client.deliver_message())
        with pytest.raises(ClientError):
            await asyncio.wait_for(exchange.call(client), LIMIT)
        assert await asyncio.wait_for(delivery, LIMIT) is None
        with pytest.raises(ClientError):
            await asyncio.wait_for(client.ping(), LIMIT)
        await client.disconnect()


@every_version
@every_cut
@every_step
async def test_call_goes_on_after_a_reconnect(
    exchange: Exchange, step: int, how: str, version: int
) -> None:
    """The broker has kept the session: a QoS flow goes on where it was, other calls start anew.

    3.1.1:MQTT-4.4.0-1@client 5.0:MQTT-4.4.0-1@client 3.1.1:MQTT-4.3.3-1@client
    """
    first_ids: list[int] = []

    async def lose(peer: ScriptedPeer) -> None:
        await peer.login(version)
        await exchange.serve(peer, version, 0, step)
        kind, answer = exchange.steps[step]
        got = await peer.expect(kind)
        first_ids.append(id_of(got))
        cut(peer, how, answer(version, id_of(got)))

    async def resume(peer: ScriptedPeer) -> None:
        await peer.login(version, session_present=True)
        kind, answer = exchange.steps[step]
        got = await peer.expect(kind)
        if kind == PUBLISH:
            assert got.dup
        if kind in (PUBLISH, PUBREL):
            assert id_of(got) == first_ids[0]
        peer.send(answer(version, id_of(got)))
        await exchange.serve(peer, version, step + 1)
        await peer.expect_close()

    more: dict[str, Any] = {"auto_reconnect": True, "cleansession": False}
    if version == V5:
        more["connect_properties"] = {"session_expiry_interval": 600}
    async with ScriptedBroker(lose, resume) as broker:
        client = make_client(version, "resumes", **more)
        async with connected(client, broker.uri):
            result = await asyncio.wait_for(exchange.call(client), LIMIT)
            assert exchange.result(result, version)


@every_version
@every_exchange
async def test_call_starts_anew_at_a_broker_without_the_session(
    exchange: Exchange, version: int
) -> None:
    async def lose(peer: ScriptedPeer) -> None:
        await peer.login(version)
        await peer.expect(exchange.steps[0][0])
        peer.close()

    async def begin(peer: ScriptedPeer) -> None:
        await peer.login(version)
        await exchange.serve(peer, version)
        await peer.expect_close()

    async with ScriptedBroker(lose, begin) as broker:
        client = make_client(version, auto_reconnect=True)
        async with connected(client, broker.uri):
            result = await asyncio.wait_for(exchange.call(client), LIMIT)
            assert exchange.result(result, version)


# -- answers that are wrong


MALFORMED = {
    "reserved type": "00 00",
    "length of five bytes": "30 80 80 80 80 01",
    "CONNECT from the broker": "10 0c 00 04 4d 51 54 54 04 02 00 3c 00 00",
    "SUBSCRIBE from the broker": "82 06 00 01 00 01 61 00",
    "CONNACK once more": "20 02 00 00",
    "PUBACK that is too short": "40 01 00",
    "PUBREL with wrong flags": "60 02 00 01",
    "PUBLISH of QoS 3": "36 05 00 01 61 00 01",
    "PUBLISH with a wildcard": "30 03 00 01 23",
    "PUBLISH that is no UTF-8": "30 03 00 01 ff",
    "PUBLISH with packet id 0": "32 05 00 01 61 00 00",
}


@every_version
@pytest.mark.parametrize("name", MALFORMED)
async def test_malformed_packet_ends_the_connection(name: str, version: int) -> None:
    """The client closes the connection, and whoever awaits an answer learns it.

    3.1.1:MQTT-4.8.0-1@client 5.0:MQTT-4.13.1-1@client
    """
    closed = asyncio.Event()

    async def script(peer: ScriptedPeer) -> None:
        await peer.login(version)
        await peer.expect(PUBLISH)
        peer.send(bytes.fromhex(MALFORMED[name]))
        await peer.expect_close()
        closed.set()

    async with ScriptedBroker(script) as broker:
        client = make_client(version)
        await client.connect(broker.uri)
        with pytest.raises(ClientError):
            await asyncio.wait_for(client.publish("a", b"x", qos=1), LIMIT)
        await asyncio.wait_for(closed.wait(), LIMIT)
        await client.disconnect()


@every_version
@pytest.mark.parametrize("qos", [1, 2])
async def test_acknowledgement_of_another_message(qos: int, version: int) -> None:
    """It does not complete the call: that ends by its own acknowledgement, or by an error."""
    answered = asyncio.Event()

    async def script(peer: ScriptedPeer) -> None:
        await peer.login(version)
        got = await peer.expect(PUBLISH)
        other = got.packet_id % 65535 + 1
        peer.send(acknowledge(PUBACK if qos == 1 else PUBREC, other))
        peer.send(packet(PINGRESP))
        answered.set()
        await peer.expect_close()

    async with ScriptedBroker(script) as broker:
        client = make_client(version)
        await client.connect(broker.uri)
        pending = asyncio.ensure_future(client.publish("a", b"x", qos=qos))
        await asyncio.wait_for(answered.wait(), LIMIT)
        await asyncio.sleep(0.05)  # only a wrong completion is ever seen by this
        assert not pending.done() or isinstance(pending.exception(), ClientError)
        await client.disconnect()
        with pytest.raises(ClientError):
            await asyncio.wait_for(pending, LIMIT)


# -- receiving


@every_version
async def test_message_that_came_in_part_is_not_delivered(version: int) -> None:
    block = b"" if version == V5 else None

    async def script(peer: ScriptedPeer) -> None:
        await peer.login(version)
        peer.send(publish("a", b"whole", properties=block))
        peer.send(publish("a", b"part", properties=block)[:-1])
        peer.close()

    async with ScriptedBroker(script) as broker:
        client = make_client(version)
        await client.connect(broker.uri)
        message = await client.deliver_message(LIMIT)
        assert message is not None
        assert message.data == b"whole"
        await until(client._no_more_connections.is_set)
        with pytest.raises(ClientError):
            await client.deliver_message(LIMIT)
        await client.disconnect()


@every_version
@pytest.mark.parametrize("answered", [PUBLISH, PUBREL])
async def test_message_of_qos_2_is_delivered_once(answered: int, version: int) -> None:
    """The broker repeats what it may not know to be received; the application sees it once.

    3.1.1:MQTT-4.3.3-2@client 5.0:MQTT-4.3.3-8@client 5.0:MQTT-4.3.3-10@client
    """
    block = b"" if version == V5 else None

    async def lose(peer: ScriptedPeer) -> None:
        await peer.login(version)
        peer.send(publish("a", b"once", qos=2, packet_id=7, properties=block))
        assert (await peer.expect(PUBREC)).packet_id == 7
        if answered == PUBREL:
            peer.send(acknowledge(PUBREL, 7))
            assert (await peer.expect(PUBCOMP)).packet_id == 7
        peer.close()

    async def repeat(peer: ScriptedPeer) -> None:
        await peer.login(version, session_present=True)
        if answered == PUBLISH:
            peer.send(publish("a", b"once", qos=2, packet_id=7, dup=True, properties=block))
            assert (await peer.expect(PUBREC)).packet_id == 7
        peer.send(acknowledge(PUBREL, 7))
        assert (await peer.expect(PUBCOMP)).packet_id == 7
        peer.send(publish("a", b"other", qos=2, packet_id=7, properties=block))
        await peer.expect(PUBREC)
        peer.send(acknowledge(PUBREL, 7))
        await peer.expect(PUBCOMP)
        await peer.expect_close()

    more: dict[str, Any] = {"auto_reconnect": True, "cleansession": False}
    if version == V5:
        more["connect_properties"] = {"session_expiry_interval": 600}
    async with ScriptedBroker(lose, repeat) as broker:
        client = make_client(version, "receives", **more)
        async with connected(client, broker.uri):
            for expected in (b"once", b"other"):
                message = await client.deliver_message(LIMIT)
                assert message is not None
                assert message.data == expected
            await until(lambda: len(broker.peers[1].received) >= (5 if answered == PUBLISH else 4))


@pytest.mark.parametrize(
    ("configured", "qos", "most"), [(None, 2, 19), (None, 1, 40), (5, 2, 5), (5, 1, 5)]
)
async def test_messages_on_their_way(configured: int | None, qos: int, most: int) -> None:
    """A broker of MQTT 3 cannot say how many it takes, and loses what is too much for it."""

    async def script(peer: ScriptedPeer) -> None:
        await peer.login()
        for _ in range(most):
            await peer.expect(PUBLISH)
        assert (await peer.read()).type == PINGREQ  # sent after all that may leave
        peer.send(packet(PINGRESP))
        first = peer.received[1].packet_id
        if qos == 2:
            peer.send(acknowledge(PUBREC, first))
            await peer.expect(PUBREL)
        if most < 40:  # one may follow, and only now
            peer.send(acknowledge(PUBCOMP if qos == 2 else PUBACK, first))
            await peer.expect(PUBLISH)
        await peer.expect_close()

    client = make_client(max_inflight_messages=configured)
    async with ScriptedBroker(script) as broker, connected(client, broker.uri):
        pending = [asyncio.ensure_future(client.publish("t", b"x", qos)) for _ in range(40)]
        await asyncio.sleep(0)
        await asyncio.wait_for(client.ping(), LIMIT)
        if most < 40:
            await asyncio.wait_for(pending[0], LIMIT)
        await client.disconnect()
        await asyncio.wait(pending, timeout=LIMIT)


async def test_a_half_open_connection_is_found() -> None:
    """The broker is gone without a word: no answer to the ping that idleness brings.

    3.1.1:MQTT-3.1.2-23@client
    """

    async def script(peer: ScriptedPeer) -> None:
        await peer.login()
        got = [await peer.read() for _ in range(2)]
        assert [each.type for each in got] == [PUBLISH, PINGREQ]
        await peer.expect_close()

    client = make_client(keep_alive=2, ping_delay=1)
    async with ScriptedBroker(script) as broker:
        await client.connect(broker.uri)
        with pytest.raises(ClientError, match="the server does not answer PINGREQ"):
            await asyncio.wait_for(client.publish("t", b"x", qos=1), 2 * LIMIT)
        with pytest.raises(ClientError, match=f"Will not reconnect to {broker.uri[7:]}"):
            await client.publish("t", b"x")
