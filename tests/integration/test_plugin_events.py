"""Events of a running broker that plugins are told."""

from __future__ import annotations

import logging

import pytest
from support import plugin_samples
from support.embedded import LIMIT, Peer, client_of, config_of, sample, until
from support.wire import connect, publish, subscribe

from amqtt.broker import Broker
from amqtt.session import Session

ANONYMOUS = "amqtt.plugins.authentication.AnonymousAuthPlugin"
PACKET_LOGGER = "amqtt.plugins.logging_amqtt.PacketLoggerPlugin"
TABOO = "amqtt.plugins.topic_checking.TopicTabooPlugin"


def recorder_of(broker: Broker) -> plugin_samples.Recorder:
    found: plugin_samples.Recorder = broker.plugins_manager.get_plugin("Recorder")
    return found


def quiet(name: str) -> bool:
    """Leave out the packets, which have tests of their own."""
    return not name.startswith("on_mqtt_packet")


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


async def test_handlers_begin_in_the_order_of_events_whether_they_wait_or_not() -> None:
    plugin_samples.InOrder.begun.clear()
    async with Broker(config_of([ANONYMOUS, sample("InOrder")])) as broker:
        async with client_of(broker, "c") as client:
            await client.publish("a", b"1", 1)
            await client.publish("a", b"2", 1)
        await until(lambda: "disconnected c" in plugin_samples.InOrder.begun)
        peer = await Peer.open(broker)  # all three in one batch of events
        peer.send(connect("d") + publish("a", b"3") + bytes([0xE0, 0]))
        await until(lambda: "disconnected d" in plugin_samples.InOrder.begun)
        await peer.close()
    assert plugin_samples.InOrder.begun == [
        "connected c", "received 1 of c", "received 2 of c", "disconnected c",
        "connected d", "received 3 of d", "disconnected d",
    ]  # fmt: skip


async def test_handlers_that_never_wait_fail_like_others(caplog: pytest.LogCaptureFixture) -> None:
    plugin_samples.Immediate.seen.clear()
    async with (
        Broker(config_of([ANONYMOUS, sample("Immediate")])) as broker,
        client_of(broker, "c") as client,
    ):
        for topic in ("fail", "cancel", "fine"):
            await client.publish(topic, b"x", 1)
        await until(lambda: len(plugin_samples.Immediate.seen) == 3)
    assert "Plugin 'Immediate' failed to handle the event 'broker_message_received'" in caplog.text
    assert "ValueError: handler of c" in caplog.text
    assert plugin_samples.NOTED.get() == "nothing"


async def test_no_event_is_lost_when_the_broker_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("amqtt._engine.pump._EVENTS_PER_TICK", 1)
    broker = Broker(config_of([ANONYMOUS, sample("EventCounter")]))
    plugin = broker.plugins_manager.get_plugin("EventCounter")
    async with broker:
        peer = await Peer.login(broker, "c")
        block = publish("t", b"x", qos=1, packet_id=1) * 250
        peer.send(block * 20)
        await until(lambda: plugin.counted > 0)
        pump = broker._dispatch._pump
        assert pump is not None
        pump.pause()  # within a batch of the engine's, and another one comes behind it
        peer.send(block)
        await peer.read(4 * 250 * 21)
        assert plugin.counted < 2 * 250 * 20
    assert plugin.counted == 2 * 250 * 21
    await peer.close()
