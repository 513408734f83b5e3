"""What the context of a broker offers to plugins, and the broker to its own process."""

from __future__ import annotations

import asyncio

import pytest
from support import plugin_samples
from support.embedded import LIMIT, Peer, client_of, config_of, sample, until
from support.wire import connect

from amqtt.broker import Broker, RetainedApplicationMessage
from amqtt.errors import BrokerError, MQTTError

ANONYMOUS = "amqtt.plugins.authentication.AnonymousAuthPlugin"


@pytest.fixture(autouse=True)
def gates() -> None:
    plugin_samples.UserGate.gate = asyncio.Event()
    plugin_samples.UserGate.asked = 0
    plugin_samples.TopicGate.gate = asyncio.Event()
    plugin_samples.TopicGate.asked = []


def recorder_of(broker: Broker) -> plugin_samples.Recorder:
    found: plugin_samples.Recorder = broker.plugins_manager.get_plugin("Recorder")
    return found


# -- what the context offers


async def test_context_publishes_and_retains() -> None:
    async with Broker(config_of([ANONYMOUS, sample("Recorder")])) as broker:
        context = recorder_of(broker).context
        async with client_of(broker, "c") as client:
            await client.subscribe([("t", 2), ("kept", 1)])
            await context.broadcast_message("t", b"x", 1)
            message = await client.deliver_message(LIMIT)
            assert (message.data, message.qos) == (b"x", 1)
            await context.retain_message("kept", b"y")
            context.retained_messages["other"] = RetainedApplicationMessage(None, "other", b"z", 1)
            assert set(context.retained_messages) == {"kept", "other"}
            assert context.retained_messages["other"].data == b"z"
            assert len(context.retained_messages) == 2
            del context.retained_messages["other"]
            assert "other" not in context.retained_messages
            with pytest.raises(KeyError):
                del context.retained_messages["other"]
            await client.subscribe([("kept", 1)])
            message = await client.deliver_message(LIMIT)
            assert (message.data, message.retain) == (b"y", True)


async def test_context_shows_and_makes_sessions() -> None:
    async with Broker(config_of([ANONYMOUS, sample("TopicGate"), sample("Recorder")])) as broker:
        context = recorder_of(broker).context
        await context.add_subscription("later", "t", 1)
        await context.add_subscription("later", "no", 1)
        await context.add_subscription("bare", None, None)
        assert {session.client_id for session in context.sessions} == {"later", "bare"}
        later = context.get_session("later")
        assert later is not None
        assert later.transitions.is_disconnected()
        assert context.get_session("nobody") is None
        assert dict(context.subscriptions) == {"t": [(later, 1)]}
        assert context.subscriptions["none"] == []
        await later.retained_messages.put(RetainedApplicationMessage(None, "t", b"first", 1))
        await broker.publish("t", b"second")
        await until(lambda: later.retained_messages_count == 2)
        async with client_of(broker, "later", clean=False) as client:
            assert [(await client.deliver_message(LIMIT)).data for _ in range(2)] == [
                b"first",
                b"second",
            ]
            assert later.transitions.is_connected()
        handle, fresh = broker.create_offline_session("fresh")
        assert fresh.transitions.is_disconnected()
        assert handle.session is fresh
        assert "fresh" not in broker.sessions
        assert await broker.add_subscription(("a/#/b", 0), fresh) == 0x80
        assert await broker.add_subscription(("a", 2), fresh) == 2


async def test_clients_are_disconnected_by_the_application() -> None:
    async with Broker(config_of([ANONYMOUS])) as broker:
        peer = await Peer.open(broker)
        peer.send(connect("c", properties=b""))
        await peer.packet()
        await broker.disconnect_client("nobody")
        await broker.disconnect_client("c", 0x8B)
        goodbye = await peer.packet()
        assert (goodbye[0], goodbye[2]) == (0xE0, 0x8B)
        assert await asyncio.wait_for(peer.reader.read(), LIMIT) == b""
        with pytest.raises(ValueError, match="128 to 255"):
            await broker.disconnect_client("c", 0)
        await peer.close()


# -- inside the process


async def test_local_subscription() -> None:
    async with Broker(config_of([ANONYMOUS])) as broker:
        await broker.publish("a/kept", b"0", retain=True)
        async with broker.subscribe("a/#", qos=1) as messages:
            async with client_of(broker, "c") as client:
                await client.publish("a/b", b"1", 1)
                await client.publish("b", b"2", 1)
            await broker.publish("a/c", b"3")
            found = [await asyncio.wait_for(anext(messages), LIMIT) for _ in range(3)]
            assert [each.data for each in found] == [b"0", b"1", b"3"]
            assert [each.retain for each in found] == [True, False, False]
        with pytest.raises(StopAsyncIteration):
            await anext(messages)
        assert broker.statistics()["subscriptions"] == 0
        with pytest.raises(MQTTError, match="no topic filter"):
            broker.subscribe("a/#/b")
        dropped = broker.subscribe("x")
        del dropped
        await until(lambda: broker.statistics()["subscriptions"] == 0)
        left = broker.subscribe("x")
    with pytest.raises(StopAsyncIteration):
        await anext(left)
    with pytest.raises(BrokerError):
        broker.subscribe("x")


async def test_broker_can_be_started_again() -> None:
    broker = Broker(config_of([ANONYMOUS, sample("Recorder")]))
    for _ in range(2):
        async with broker, client_of(broker, "c"):
            assert list(broker.sessions) == ["c"]
        assert list(broker.sessions) == []
    assert recorder_of(broker).names().count("on_broker_post_start") == 2


async def test_subscribers_of_one_filter() -> None:
    """Also of a shared subscription, by its whole name; a filter is not a topic here."""
    async with Broker(config_of([ANONYMOUS])) as broker:
        local = broker.subscribe("a/+")
        async with client_of(broker, "c") as client, client_of(broker, "d") as other:
            await client.subscribe([("a/+", 1), ("$share/g/a/+", 2), ("a/b/#", 0)])
            await other.subscribe([("a/+", 0)])
            view = broker.subscriptions
            found = {each: [(s.client_id, qos) for s, qos in view[each]] for each in view}
            assert found == {
                "a/+": [("c", 1), ("d", 0)], "$share/g/a/+": [("c", 2)], "a/b/#": [("c", 0)],
            }  # fmt: skip
            for none in ("a", "a/b", "#", "$share/g/a", "$share/h/a/+", ""):
                assert view[none] == []
                assert none not in view
        del local
