"""Decisions of plugins on the clients and topics of a running broker."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from support import plugin_samples
from support.embedded import LIMIT, Peer, client_of, config_of, sample, until
from support.wire import connect, publish, subscribe

from amqtt.broker import Broker, BrokerContext
from amqtt.errors import ConnectError

ANONYMOUS = "amqtt.plugins.authentication.AnonymousAuthPlugin"
TABOO = "amqtt.plugins.topic_checking.TopicTabooPlugin"
ACL = "amqtt.plugins.topic_checking.TopicAccessControlListPlugin"


@pytest.fixture(autouse=True)
def gates() -> None:
    plugin_samples.UserGate.gate = asyncio.Event()
    plugin_samples.UserGate.asked = 0
    plugin_samples.TopicGate.gate = asyncio.Event()
    plugin_samples.TopicGate.asked = []


def recorder_of(broker: Broker) -> plugin_samples.Recorder:
    found: plugin_samples.Recorder = broker.plugins_manager.get_plugin("Recorder")
    return found


# -- decisions on clients


@pytest.mark.parametrize(("user", "accepted"), [("good", True), ("bad", False), ("raises", False)])
async def test_authentication_by_a_plugin(user: str, accepted: bool) -> None:
    async with Broker(config_of([sample("UserGate")])) as broker:
        if accepted:
            async with client_of(broker, "c", user=user):
                assert broker.sessions["c"][0].attributes == {"asked": True}
        else:
            with pytest.raises(ConnectError) as caught:
                async with client_of(broker, "c", user=user):
                    pass
            assert caught.value.return_code == 5
            assert list(broker.sessions) == []
        assert plugin_samples.UserGate.asked == 1
        await until(lambda: broker.statistics()["clients_connected"] == 0)
        await until(lambda: len(broker._dispatch.registry) == 0)


async def test_the_engine_and_a_plugin_must_agree() -> None:
    plugins = {ANONYMOUS: {"allow_anonymous": False}, sample("UserGate"): {}}
    async with Broker(config_of(plugins)) as broker:
        with pytest.raises(ConnectError):
            async with client_of(broker, "c"):
                pass
        assert plugin_samples.UserGate.asked == 0  # the refusal needs no second opinion
        async with client_of(broker, "c", user="good"):
            pass


async def test_nobody_is_admitted_without_an_authentication_plugin() -> None:
    async with Broker(config_of({})) as broker:
        with pytest.raises(ConnectError) as caught:
            async with client_of(broker, "c", user="u"):
                pass
        assert caught.value.return_code == 5


async def test_a_plugin_may_say_why_and_who() -> None:
    async with Broker(config_of([sample("UserGate"), TABOO])) as broker:
        peer = await Peer.open(broker)
        peer.send(connect("c", username="banned", properties=b""))
        refusal = await peer.packet()
        assert refusal[3] == 0x8A
        assert b"you are banned" in refusal
        async with client_of(broker, "d", user="renamed"):
            assert broker.sessions["d"][0].username == "other"
        await peer.close()


async def test_no_decision_in_time_is_a_refusal(caplog: pytest.LogCaptureFixture) -> None:
    limits = {"decision_timeout": 0.3}
    async with Broker(config_of([sample("UserGate")], limits=limits)) as broker:
        with pytest.raises(ConnectError):
            async with client_of(broker, "c", user="slow"):
                pass
    assert "'UserGate' was stopped before its 'authenticate' had decided" in caplog.text


async def test_a_client_that_leaves_while_it_is_decided_on() -> None:
    async with Broker(config_of([sample("UserGate")])) as broker:
        peer = await Peer.open(broker)
        peer.send(connect("c", username="slow"))
        await until(lambda: plugin_samples.UserGate.asked == 1)
        await peer.close()
        plugin_samples.UserGate.gate.set()
        await until(lambda: broker.statistics()["clients_disconnected"] == 1)
        await until(lambda: len(broker._dispatch.registry) == 0)


# -- decisions on topics


async def test_topics_by_a_plugin() -> None:
    async with Broker(config_of([ANONYMOUS, sample("TopicGate")])) as broker:
        async with client_of(broker, "c") as client:
            assert await client.subscribe([("a", 1), ("no", 1)]) == [1, 0x80]
            await client.publish("no", b"x", 1)
            await client.publish("a", b"y", 1)
            assert (await client.deliver_message(LIMIT)).data == b"y"
        assert plugin_samples.TopicGate.asked == [
            ("c", "subscribe", "a"), ("c", "subscribe", "no"), ("c", "publish", "no"),
            ("c", "publish", "a"), ("c", "receive", "a"),
        ]  # fmt: skip


async def test_mqtt_5_is_told_why_a_topic_is_refused() -> None:
    async with Broker(config_of([ANONYMOUS, sample("TopicGate")])) as broker:
        peer = await Peer.open(broker)
        peer.send(connect("c", properties=b""))
        await peer.packet()
        peer.send(publish("no", b"x", qos=1, packet_id=3, properties=b""))
        ack = await peer.packet()
        assert ack[:1] + ack[2:5] == b"\x40\x00\x03\x97"
        assert b"over your quota" in ack
        peer.send(subscribe(4, ("no", 0), properties=b""))
        ack = await peer.packet()
        assert (ack[0], ack[-1]) == (0x90, 0x97)
        assert b"over your quota" in ack
        await peer.close()


async def test_a_plugin_that_fails_refuses(caplog: pytest.LogCaptureFixture) -> None:
    async with Broker(config_of([ANONYMOUS, sample("Answers")])) as broker:
        plugin = broker.plugins_manager.get_plugin("Answers")
        async with client_of(broker, "c") as client:
            assert await client.subscribe([("a", 1)]) == [1]
            plugin.config.topic = plugin_samples.Neither()
            assert await client.subscribe([("b", 1)]) == [0x80]
            await client.ping()
    assert "neither true nor false" in caplog.text


@pytest.mark.parametrize("native", [True, False])
async def test_packaged_topic_plugins_and_their_subclasses_decide_alike(native: bool) -> None:
    options = {
        "publish_acl": {"u": ["out/#"]},
        "subscribe_acl": {"u": ["in/+", "prohibited"]},
        "receive_acl": {"u": ["in/open"]},
    }
    plugins: Any = {ANONYMOUS: {}, ACL: options, TABOO: {}}
    if not native:
        plugins = {ANONYMOUS: {}, sample("AclSubclass"): options, sample("TabooSubclass"): {}}
    async with Broker(config_of(plugins)) as broker:
        assert bool(broker._dispatch.native.topic) is not native
        async with client_of(broker, "c", user="u") as client:
            codes = await client.subscribe([("in/+", 0), ("in/#", 0), ("prohibited", 0)])
            assert codes == [0, 0x80, 0x80]
            await broker.publish("in/closed", b"1")
            await broker.publish("in/open", b"2")
            assert (await client.deliver_message(LIMIT)).data == b"2"
        subscription = broker.subscribe("#")
        async with client_of(broker, "p", user="u") as client:
            await client.publish("in/open", b"3", 1)
            await client.publish("out/x", b"4", 1)
        assert (await asyncio.wait_for(anext(subscription), LIMIT)).data == b"4"


async def test_verdicts_are_remembered_until_they_are_invalidated() -> None:
    asked = plugin_samples.TopicGate.asked
    plugins = [ANONYMOUS, sample("RememberedTopics"), sample("Recorder")]
    async with Broker(config_of(plugins)) as broker:
        context = recorder_of(broker).context
        assert isinstance(context, BrokerContext)
        async with client_of(broker, "c") as client:
            for _ in range(5):
                await client.publish("a", b"x", 1)
            assert asked == [("c", "publish", "a")]
            context.invalidate_verdicts("other")
            context.invalidate_verdicts(topic="other")
            await client.publish("a", b"x", 1)
            assert len(asked) == 1
            context.invalidate_verdicts("c", "a")
            await client.publish("a", b"x", 1)
            assert len(asked) == 2
            context.invalidate_verdicts()
            await client.publish("a", b"x", 1)
            assert len(asked) == 3
        async with client_of(broker, "c") as client:  # who may be somebody else
            await client.publish("a", b"x", 1)
            assert len(asked) == 4


async def test_a_verdict_that_was_asked_for_before_is_not_remembered_after() -> None:
    asked = plugin_samples.TopicGate.asked
    plugins = [ANONYMOUS, sample("RememberedTopics"), sample("Recorder")]
    async with Broker(config_of(plugins)) as broker:
        context = recorder_of(broker).context
        assert isinstance(context, BrokerContext)
        async with client_of(broker, "c") as client:
            publishing = asyncio.ensure_future(client.publish("slow", b"x", 1))
            await until(lambda: len(asked) == 1)
            context.invalidate_verdicts()
            plugin_samples.TopicGate.gate.set()
            await publishing
            await client.publish("slow", b"x", 1)
            assert len(asked) == 2
            await client.publish("slow", b"x", 1)
            assert len(asked) == 2


async def test_a_handler_may_end_the_verdict_that_was_made_before_it() -> None:
    plugin_samples.Strict.asked = 0
    async with (
        Broker(config_of([ANONYMOUS, sample("Strict")])) as broker,
        client_of(broker, "c") as client,
    ):
        for number in range(1, 4):
            await client.publish("a", b"x", 1)
            await client.publish("forget", b"x", 1)
            assert plugin_samples.Strict.asked == 2 * number


async def test_decisions_that_never_wait_fail_like_others(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with (
        Broker(config_of([ANONYMOUS, sample("Immediate")])) as broker,
        client_of(broker, "c") as client,
    ):
        await client.subscribe([("#", 1)])
        for topic in ("fail-to-decide", "cancel-decision", "forbidden", "allowed"):
            await client.publish(topic, b"x", 1)
        message = await client.deliver_message(LIMIT)
        assert message is not None
        assert message.topic == "allowed"
    assert "Plugin 'Immediate' failed to decide in 'topic_filtering'" in caplog.text
    assert "ValueError: decision on c" in caplog.text
