"""Requests and their responses, when connections, sessions and processes end."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from support.client import LIMIT, connected, make_client, until
from support.scripted import (
    PUBACK,
    PUBLISH,
    SUBSCRIBE,
    UNSUBSCRIBE,
    V5,
    ScriptedBroker,
    ScriptedPeer,
    acknowledge,
    suback,
    unsuback,
)
from support.serving import serving
from support.wire import publish, string

from amqtt.client import MQTTClient
from amqtt.errors import ClientError

OWN = "amqtt/response/me"
ANYONE: dict[str, Any] = {"plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {}}}


def client(client_id: str | None = "me", **config: Any) -> MQTTClient:
    return make_client(V5, client_id, **config)


def response(topic: str, payload: bytes, correlation: bytes = b"1") -> bytes:
    return publish(topic, payload, properties=b"\x09" + string(correlation))


async def take_subscription(peer: ScriptedPeer, topic: str) -> None:
    got = await peer.expect(SUBSCRIBE)
    assert string(topic) in got.body
    peer.send(suback(V5, got.packet_id, 1))


async def take_request(peer: ScriptedPeer, response_topic: str = OWN) -> None:
    got = await peer.expect(PUBLISH)
    assert b"\x08" + string(response_topic) in got.body
    peer.send(acknowledge(PUBACK, got.packet_id))


def ask(one: MQTTClient, payload: bytes, **properties: Any) -> asyncio.Task[Any]:
    properties.setdefault("correlation_data", b"1")
    return asyncio.create_task(
        one.request("service", payload, timeout=LIMIT, properties=properties)
    )


async def answer_and_reset(peer: ScriptedPeer, payload: bytes, then: asyncio.Event) -> None:
    """Answer the first request of a session, and drop the connection then."""
    await peer.login(V5)
    await take_subscription(peer, OWN)
    await take_request(peer)
    peer.send(response(OWN, payload))
    await asyncio.wait_for(then.wait(), LIMIT)
    peer.reset()


async def test_a_request_that_finds_its_session_lost() -> None:
    """It subscribes again before it asks."""
    is_lost, is_asked = asyncio.Event(), asyncio.Event()

    async def first(peer: ScriptedPeer) -> None:
        await answer_and_reset(peer, b"first", is_lost)

    async def second(peer: ScriptedPeer) -> None:
        await asyncio.wait_for(is_asked.wait(), LIMIT)
        await peer.login(V5)
        await take_subscription(peer, OWN)
        await take_request(peer)
        peer.send(response(OWN, b"second"))
        await peer.expect_close()

    async with (
        ScriptedBroker(first, second) as broker,
        connected(client(auto_reconnect=True), broker.uri) as one,
    ):
        assert (await ask(one, b"?")).data == b"first"
        is_lost.set()
        await until(lambda: not one._connected_state.is_set())
        asked = ask(one, b"?")
        await asyncio.sleep(0)
        is_asked.set()
        assert (await asked).data == b"second"


@pytest.mark.parametrize("topic", [OWN, "chosen"])
async def test_a_request_that_waits_when_its_session_is_lost(topic: str) -> None:
    """It is not asked again, and the response is still received."""

    async def first(peer: ScriptedPeer) -> None:
        await peer.login(V5)
        await take_subscription(peer, topic)
        await take_request(peer, topic)
        peer.reset()

    async def second(peer: ScriptedPeer) -> None:
        await peer.login(V5)
        await take_subscription(peer, topic)
        peer.send(response(topic, b"!"))
        if topic != OWN:
            got = await peer.expect(UNSUBSCRIBE)
            peer.send(unsuback(V5, got.packet_id, 0))
        assert len(await peer.expect_close()) == 1  # DISCONNECT

    properties = {} if topic == OWN else {"response_topic": topic}
    async with (
        ScriptedBroker(first, second) as broker,
        connected(client(auto_reconnect=True), broker.uri) as one,
    ):
        assert (await ask(one, b"?", **properties)).data == b"!"


async def test_nothing_is_subscribed_again_when_nobody_waits() -> None:
    """The next request does so, with the session that was kept as with one that was lost."""
    counts = []

    async def first(peer: ScriptedPeer) -> None:
        await answer_and_reset(peer, b"!", is_answered)

    async def later(peer: ScriptedPeer) -> None:
        await peer.login(V5, session_present=True)
        counts.append(len(await peer.expect_close()))

    is_answered, is_back = asyncio.Event(), asyncio.Event()
    one = client(auto_reconnect=True, cleansession=False)

    async def reconnected(_session_present: bool) -> None:
        is_back.set()

    one.reconnected = reconnected
    async with ScriptedBroker(first, later) as broker, connected(one, broker.uri):
        assert (await ask(one, b"?")).data == b"!"
        is_answered.set()
        await asyncio.wait_for(is_back.wait(), LIMIT)
    assert counts == [1]  # DISCONNECT


async def test_a_subscription_of_the_application_stays() -> None:
    async def script(peer: ScriptedPeer) -> None:
        await peer.login(V5)
        await take_subscription(peer, "chosen")
        await take_request(peer, "chosen")
        peer.send(response("chosen", b"!") + response("chosen", b"for the application", b"2"))
        assert len(await peer.expect_close()) == 1  # DISCONNECT, no UNSUBSCRIBE

    async with ScriptedBroker(script) as broker, connected(client(), broker.uri) as one:
        await one.subscribe([("chosen", 1)])
        assert (await ask(one, b"?", response_topic="chosen")).data == b"!"
        message = await one.deliver_message(LIMIT)
        assert message is not None
        assert message.data == b"for the application"


@pytest.mark.parametrize(
    ("client_id", "information", "topic"),
    [
        ("a/+#b", b"", "amqtt/response/a%2F%2B%23b"),
        ("me", b"\x1a" + string("replies/"), "replies/me"),
        ("", b"\x12" + string("assigned"), "amqtt/response/assigned"),
    ],
)
async def test_the_topic_is_made_of_the_client_identifier(
    client_id: str, information: bytes, topic: str
) -> None:
    async def script(peer: ScriptedPeer) -> None:
        await peer.login(V5, properties=information)
        await take_subscription(peer, topic)
        await take_request(peer, topic)
        peer.send(response(topic, b"!"))
        await peer.expect_close()

    async with ScriptedBroker(script) as broker, connected(client(client_id), broker.uri) as one:
        assert (await ask(one, b"?")).data == b"!"


@pytest.mark.parametrize("has_file", [False, True], ids=["session", "session-file"])
async def test_requests_of_a_process_that_was_started_again(has_file: bool, tmp_path: Path) -> None:
    """The session has one response topic, and late responses are nobody's messages."""
    config: dict[str, Any] = {
        "cleansession": False,
        "connect_properties": {"session_expiry_interval": 60},
        "session_file": str(tmp_path / "session") if has_file else None,
    }
    async with serving({"type": "tcp"}, **ANYONE) as there:
        uri = f"mqtt://{there.host}:{there.port}"
        async with connected(client("service"), uri) as service:
            await service.subscribe([("service", 1)])

            async def respond() -> None:
                request = await service.deliver_message(LIMIT)
                assert request is not None
                assert request.properties is not None
                topic = request.properties["response_topic"]
                same = {"correlation_data": request.properties["correlation_data"]}
                await service.publish(topic, request.data + b"!", 1, properties=same)

            before = client(**config)
            await before.connect(uri)
            answered, unanswered = ask(before, b"1"), ask(before, b"2", correlation_data=b"2")
            await respond()
            assert (await answered).data == b"1!"
            assert before._handler is not None
            await before._handler.stop()  # as if the process had been killed
            with pytest.raises(ClientError):
                await unanswered

            async with connected(client(**config), uri) as after:
                await respond()
                await after.ping()
                with pytest.raises(asyncio.TimeoutError):
                    await after.deliver_message(0)
                again = ask(after, b"3")
                await respond()
                assert (await again).data == b"3!"
                topics = [each for each in there.broker.subscriptions if "response" in each]
                assert topics == [OWN]
