"""Plugins in a running broker: events, decisions and what their context offers."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
from support import plugin_samples
from support.embedded import LIMIT, Peer, client_of, config_of, port_of, sample, until
from support.wire import connect, publish, subscribe

from amqtt.broker import Broker, BrokerContext, RetainedApplicationMessage
from amqtt.errors import BrokerError, ConnectError, MQTTError
from amqtt.session import Session

ANONYMOUS = "amqtt.plugins.authentication.AnonymousAuthPlugin"
EVENT_LOGGER = "amqtt.plugins.logging_amqtt.EventLoggerPlugin"
PACKET_LOGGER = "amqtt.plugins.logging_amqtt.PacketLoggerPlugin"
SYS = "amqtt.plugins.sys.broker.BrokerSysPlugin"
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


def quiet(name: str) -> bool:
    """Leave out the packets, which have tests of their own."""
    return not name.startswith("on_mqtt_packet")


# -- events


async def test_events_of_a_life() -> None:
    broker = Broker(config_of([ANONYMOUS, sample("Recorder")]))
    recorder = recorder_of(broker)
    async with broker:
        assert recorder.names() == ["on_broker_pre_start", "on_broker_post_start"]
        async with client_of(broker, "c", user="u") as client:
            await client.subscribe([("a/#", 1)])
            await client.publish("a/b", b"x", 1, retain=True)
            await client.deliver_message(LIMIT)
            await client.unsubscribe(["a/#"])
        await until(lambda: "on_broker_client_disconnected" in recorder.names())
    assert [name for name in recorder.names() if quiet(name)] == [
        "on_broker_pre_start", "on_broker_post_start", "on_broker_client_connected",
        "on_broker_client_subscribed", "on_broker_message_received",
        "on_broker_message_broadcast", "on_broker_retained_message",
        "on_broker_client_unsubscribed", "on_broker_client_disconnected",
        "on_broker_pre_shutdown", "on_broker_post_shutdown",
    ]  # fmt: skip
    assert recorder.closed == 1
    given = {name: kwargs for name, kwargs in recorder.events if quiet(name)}
    session = given["on_broker_client_connected"]["client_session"]
    assert given["on_broker_client_connected"]["client_id"] == "c"
    assert isinstance(session, Session)
    assert (session.client_id, session.username, session.password) == ("c", "u", "secret")
    assert session.remote_address == "127.0.0.1"
    assert given["on_broker_client_subscribed"] == {"client_id": "c", "topic": "a/#", "qos": 1}
    assert given["on_broker_client_unsubscribed"] == {"client_id": "c", "topic": "a/#"}
    for name in ("on_broker_message_received", "on_broker_message_broadcast"):
        message = given[name]["message"]
        assert (message.topic, message.data, message.qos) == ("a/b", b"x", 1)
    retained = given["on_broker_retained_message"]
    assert retained["client_id"] is None
    assert retained["retained_message"].source_session is session
    assert given["on_broker_client_disconnected"]["client_session"] is session
    assert session.transitions.is_disconnected()


async def test_messages_are_received_whether_they_are_routed_or_not() -> None:
    async with Broker(config_of([ANONYMOUS, TABOO, sample("Recorder")])) as broker:
        recorder = recorder_of(broker)
        async with client_of(broker, "c") as client:
            for topic in ("$private", "prohibited", "open"):
                await client.publish(topic, b"x", 1)
        await until(lambda: "on_broker_client_disconnected" in recorder.names())
        topics: dict[str, list[str]] = {}
        for name, kwargs in recorder.events:
            if "message" in kwargs:
                topics.setdefault(name, []).append(kwargs["message"].topic)
    assert topics == {
        "on_broker_message_received": ["$private", "prohibited", "open"],
        "on_broker_message_broadcast": ["open"],
    }


async def test_messages_that_wait_for_a_client_are_events() -> None:
    async with Broker(config_of([ANONYMOUS, sample("Recorder")])) as broker:
        recorder = recorder_of(broker)
        async with client_of(broker, "away", user="u", clean=False) as client:
            await client.subscribe([("t", 1)])
        await until(lambda: "on_broker_client_disconnected" in recorder.names())
        await broker.publish("t", b"later")
        await until(lambda: "on_broker_retained_message" in recorder.names())
        [given] = [kwargs for name, kwargs in recorder.events if "retained_message" in name]
        assert given["client_id"] == "away"
        assert given["retained_message"].data == b"later"
        assert broker.sessions["away"][0].retained_messages_count == 1
        recorder.events.clear()
        async with client_of(broker, "away", user="u", clean=False) as client:
            message = await client.deliver_message(LIMIT)
            assert message.data == b"later"
        [connected] = [e for e in recorder.events if e[0] == "on_broker_client_connected"]
        assert connected[1]["client_session"].parent == 1


async def test_a_clearing_message_is_an_event_with_empty_data() -> None:
    async with Broker(config_of([ANONYMOUS, sample("Recorder")])) as broker:
        recorder = recorder_of(broker)
        await broker.retain_message(None, "t", b"kept", 1)
        await broker.retain_message(None, "t", b"")
        await broker.retain_message(None, "t", b"")  # nothing is there any more
        await broker.retain_message(None, None, b"x")
        assert broker.statistics()["retained"] == 0
        await until(lambda: recorder.names().count("on_broker_retained_message") == 2)
        data = [kwargs["retained_message"].data for _, kwargs in recorder.events if kwargs]
        assert data == [b"kept", b""]


async def test_mqtt_5_reaches_plugins() -> None:
    async with Broker(config_of([ANONYMOUS, sample("Recorder")])) as broker:
        recorder = recorder_of(broker)
        peer = await Peer.open(broker)
        peer.send(connect("c", properties=b"\x21\x00\x0a\x26\x00\x01k\x00\x01v"))
        await peer.packet()
        peer.send(publish("t", b"x", properties=b"\x03\x00\x04text"))
        peer.send(b"\xe0\x01\x04")  # disconnect with will
        await until(lambda: "on_broker_client_disconnected" in recorder.names())
        await peer.close()
    given = dict(recorder.events)
    session = given["on_broker_client_connected"]["client_session"]
    assert session.protocol_version == 5
    assert session.properties == {"receive_maximum": 10, "user_property": [("k", "v")]}
    assert given["on_broker_message_received"]["message"].properties == {"content_type": "text"}
    assert session.disconnect_reason == 4


async def test_a_handler_that_fails_disturbs_nobody(caplog: pytest.LogCaptureFixture) -> None:
    async with Broker(config_of([ANONYMOUS, sample("Failing"), sample("Recorder")])) as broker:
        assert recorder_of(broker).names()[-1] == "on_broker_post_start"
    assert "'Failing' failed to handle the event 'broker_post_start'" in caplog.text
    assert recorder_of(broker).closed == 1


async def test_packets_are_events_in_their_order() -> None:
    async with Broker(config_of([ANONYMOUS, sample("Recorder")])) as broker:
        recorder = recorder_of(broker)
        peer = await Peer.login(broker, "c")
        peer.send(subscribe(1, ("t", 1)))
        peer.send(publish("t", b"x", qos=1, packet_id=7))
        peer.send(b"\xe0\x00")
        await until(lambda: "on_broker_client_disconnected" in recorder.names())
        await peer.close()
    seen = [
        (name.removeprefix("on_"), type(kwargs["packet"]).__name__, kwargs.get("session"))
        for name, kwargs in recorder.events
        if "packet" in kwargs
    ]
    assert [(name, packet) for name, packet, _ in seen] == [
        ("mqtt_packet_received", "ConnectPacket"), ("mqtt_packet_sent", "ConnackPacket"),
        ("mqtt_packet_received", "SubscribePacket"), ("mqtt_packet_sent", "SubackPacket"),
        ("mqtt_packet_received", "PublishPacket"), ("mqtt_packet_sent", "PublishPacket"),
        ("mqtt_packet_sent", "PubackPacket"), ("mqtt_packet_received", "DisconnectPacket"),
    ]  # fmt: skip
    assert seen[0][2] is None
    assert all(session.client_id == "c" for _, _, session in seen[1:])
    published = recorder.events[recorder.names().index("on_broker_message_received") - 1][1]
    assert published["packet"].bytes_length == len(publish("t", b"x", qos=1, packet_id=7))


async def test_packet_logger(caplog: pytest.LogCaptureFixture) -> None:
    logger = "amqtt.broker.plugins.PacketLoggerPlugin"
    caplog.set_level(logging.DEBUG, logger)
    async with Broker(config_of([ANONYMOUS, PACKET_LOGGER])) as broker:
        async with client_of(broker, "c") as client:
            await client.publish("t", b"x", 1)
        await until(lambda: "Disconnect" in caplog.text)
    lines = [each.message for each in caplog.records if each.name == logger]
    assert lines[0].startswith("<-in-- ConnectPacket(")
    assert any(line.startswith("c <-in-- PublishPacket(") for line in lines)
    assert any(line.startswith("c -out-> PubackPacket(") for line in lines)


async def test_levels_of_loggers_may_change_while_the_broker_runs(
    caplog: pytest.LogCaptureFixture,
) -> None:
    logger = "amqtt.broker.plugins.PacketLoggerPlugin"
    caplog.set_level(logging.INFO, logger)
    async with Broker(config_of([ANONYMOUS, PACKET_LOGGER])) as broker:
        async with client_of(broker, "c") as client:
            await client.ping()
            assert not [each for each in caplog.records if each.name == logger]
            caplog.set_level(logging.DEBUG, logger)
            broker._dispatch.refresh_events()  # which also happens every second
            await client.ping()
        await until(lambda: "c <-in-- PingReqPacket(" in caplog.text)


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
        assert len(broker._dispatch.registry) == 0


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


# -- the packaged plugins in the broker


async def test_sys_topics() -> None:
    config = config_of({ANONYMOUS: {}, SYS: {"sys_interval": 1}})
    with pytest.warns(DeprecationWarning, match="dollarsys"):
        broker = Broker(config)
    async with broker:
        seen: dict[str, bytes] = {}
        async with client_of(broker, "c") as client:
            await client.subscribe([("$SYS/#", 0)])
            while len(seen) < 24:
                message = await client.deliver_message(LIMIT)
                seen[message.topic.removeprefix("$SYS/broker/")] = bytes(message.data)
        assert set(seen) == {
            "version", "load/bytes/received", "load/bytes/sent", "messages/received",
            "messages/sent", "messages/publish/received", "messages/publish/sent", "time",
            "uptime", "uptime/formatted", "clients/connected", "clients/disconnected",
            "clients/maximum", "clients/total", "messages/inflight", "messages/inflight/in",
            "messages/inflight/out", "messages/inflight/stored", "messages/retained/count",
            "messages/subscriptions/count", "heap/size", "heap/maximum", "cpu/percent",
            "cpu/maximum",
        }  # fmt: skip
        assert seen["clients/connected"] == b"1"
        assert seen["messages/retained/count"] == b"1"
        assert seen["messages/received"] == b"2"
        assert float(seen["heap/size"]) > 0
        assert set(broker.retained_messages) == {"$SYS/broker/version"}
        plugin = broker.plugins_manager.get_plugin("BrokerSysPlugin")
        handle = plugin._sys_handle
    assert handle.cancelled()


async def test_sys_topics_can_be_off(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.warns(DeprecationWarning, match="dollarsys"):
        broker = Broker(config_of({ANONYMOUS: {}, SYS: {"sys_interval": 0}}))
    async with broker:
        assert "'sys_interval' key is not set or is None" in caplog.text
        assert set(broker.retained_messages) == {"$SYS/broker/version"}


async def test_event_logger_follows_the_level(caplog: pytest.LogCaptureFixture) -> None:
    logger = "amqtt.broker.plugins.EventLoggerPlugin"
    for level, expected in ((logging.INFO, False), (logging.DEBUG, True)):
        caplog.clear()
        caplog.set_level(level, logger)
        async with Broker(config_of([ANONYMOUS, EVENT_LOGGER])) as broker:
            async with client_of(broker, "c") as client:
                await client.subscribe([("a", 0)])
            await until(lambda: "on_broker_client_disconnected" in caplog.text)
        assert "### 'on_broker_client_connected' EVENT FIRED ###" in caplog.text
        assert ("### 'on_broker_client_subscribed' EVENT FIRED ###" in caplog.text) is expected


async def test_a_listener_that_admits_strangers_is_warned_about(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with Broker(config_of([ANONYMOUS])):
        assert "admits everyone" not in caplog.text
    config = config_of([ANONYMOUS])
    config["listeners"]["default"]["bind"] = "0.0.0.0:0"
    async with Broker(config):
        assert "Listener 'default' at 0.0.0.0:0 admits everyone" in caplog.text
        assert "listeners.default.bind" in caplog.text
    caplog.clear()
    config["plugins"] = {ANONYMOUS: {"allow_anonymous": False}}
    async with Broker(config):
        assert "admits everyone" not in caplog.text


async def test_names_of_the_older_api() -> None:
    async with Broker(config_of([ANONYMOUS])) as broker:
        server = broker._servers["default"]
        assert server.instance.sockets[0].getsockname() == ("127.0.0.1", port_of(broker))
        async with client_of(broker, "c"):
            assert broker._servers["default"].conn_count == 1
            assert broker._sessions["c"][0].client_id == "c"
        assert broker._matches("a/b", "a/+")
