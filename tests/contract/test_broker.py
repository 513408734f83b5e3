"""The class `Broker` as applications of aMQTT use it: its constructor, states and methods."""

from __future__ import annotations

import asyncio
import copy
import logging
import socket
from typing import Any

import pytest
from support.embedded import LIMIT, Peer, client_of, config_of, sample, until
from support.wire import publish

from amqtt.broker import Broker, BrokerContext, RetainedApplicationMessage
from amqtt.contexts import BrokerConfig, ListenerConfig
from amqtt.errors import BrokerError, PluginInitError, PluginLoadError
from amqtt.plugins.manager import PluginManager
from amqtt.session import ApplicationMessage, Session

ANONYMOUS = "amqtt.plugins.authentication.AnonymousAuthPlugin"
NAMED = {ANONYMOUS: {"allow_anonymous": False}}


# -- the constructor


def test_a_loop_is_needed() -> None:
    with pytest.raises(RuntimeError):
        Broker(config_of([ANONYMOUS]))


def test_a_loop_may_be_given_before_it_runs() -> None:
    loop = asyncio.new_event_loop()
    try:
        broker = Broker(config_of([ANONYMOUS]), loop=loop)

        async def run() -> None:
            async with broker, client_of(broker, "c") as client:
                await client.ping()

        loop.run_until_complete(run())
    finally:
        loop.close()


async def test_a_dictionary_may_be_used_twice() -> None:
    config = {
        "listeners": {"default": {"bind": "127.0.0.1:0", "max-connections": 3}},
        "topic-check": {"enabled": False},
        "auth": {"allow-anonymous": True},
    }
    before = copy.deepcopy(config)
    for _ in range(2):
        with pytest.warns(DeprecationWarning, match="EntryPoints"):
            broker = Broker(config)
        assert broker.listeners_config["default"].max_connections == 3
    assert config == before


async def test_a_configuration_is_taken_as_it_is() -> None:
    config = BrokerConfig(listeners={"default": ListenerConfig(bind="127.0.0.1:0")}, plugins=NAMED)
    broker = Broker(config)
    assert broker.config is config
    assert broker.listeners_config is config.listeners


@pytest.mark.filterwarnings("ignore:.*dollarsys.*:DeprecationWarning")
async def test_no_configuration_means_the_defaults() -> None:
    broker = Broker()
    assert broker.config == BrokerConfig()
    assert [type(each).__name__ for each in broker.plugins_manager.plugins] == [
        "EventLoggerPlugin",
        "PacketLoggerPlugin",
        "AnonymousAuthPlugin",
        "BrokerSysPlugin",
    ]


async def test_names_of_loggers_follow_the_namespace() -> None:
    broker = Broker(config_of([sample("Plain")]), plugin_namespace="some.where")
    assert broker.logger.name == "amqtt.broker"
    assert isinstance(broker.plugins_manager, PluginManager)
    assert broker.plugins_manager.plugins[0].context.logger.name == "some.where.Plain"


@pytest.mark.parametrize(
    ("plugins", "error"),
    [([sample("BadInit")], PluginInitError), ([sample("BadConfig")], PluginLoadError)],
)
async def test_errors_of_plugins_leave_the_constructor(
    plugins: Any, error: type[Exception]
) -> None:
    with pytest.raises(error):
        Broker(config_of(plugins))


# -- states


async def test_states() -> None:
    broker = Broker(config_of([ANONYMOUS]))
    assert broker.transitions.state == "new"
    assert set(Broker.states) >= {"new", "starting", "started", "stopping", "stopped"}
    for _ in range(2):
        await broker.start()
        assert broker.transitions.is_started()
        await broker.shutdown()
        assert broker.transitions.is_stopped()
        assert broker.transitions.state == "stopped"


async def test_a_start_that_fails_says_why() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        config = config_of([ANONYMOUS])
        config["listeners"]["default"]["bind"] = f"127.0.0.1:{taken.getsockname()[1]}"
        broker = Broker(config)
        with pytest.raises(BrokerError, match="Broker instance can't be started: ") as caught:
            await broker.start()
        assert isinstance(caught.value.__cause__, OSError)
        assert broker.transitions.state == "not_started"
    async with broker:  # which is allowed here, though it is not in aMQTT
        assert broker.transitions.is_started()


async def test_what_is_logged_of_a_life(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "amqtt")
    config = config_of([ANONYMOUS])
    config["listeners"]["second"] = {"max_connections": 7}
    async with Broker(config) as broker, client_of(broker, "c") as client:
        assert set(broker.addresses) == {"default", "second"}
        await client.ping()
    lines = [each.getMessage() for each in caplog.records]
    assert "Listener 'default' bind to 127.0.0.1:0 (max_connections=0)" in lines
    assert "Listener 'second' bind to 127.0.0.1:0 (max_connections=7)" in lines
    assert lines[-1] == "Broker closed"


async def test_a_start_forgets_what_was() -> None:
    broker = Broker(config_of(NAMED))
    async with broker:
        async with client_of(broker, "c", user="u", clean=False) as client:
            await client.subscribe([("t", 1)])
            await client.publish("kept", b"x", 1, retain=True)
        assert "c" in broker.sessions
    async with broker:
        assert len(broker.sessions) == len(broker.retained_messages) == 0
        assert dict(broker.subscriptions) == {}


async def test_clients_that_a_shutdown_cuts_off_have_left_before_it_ends() -> None:
    broker = Broker(config_of([ANONYMOUS, sample("Recorder")]))
    recorder = broker.plugins_manager.get_plugin("Recorder")
    async with broker:
        peer = await Peer.login(broker, "c")
    assert await asyncio.wait_for(peer.reader.read(), LIMIT) == b""
    await peer.close()
    names = [name for name in recorder.names() if "packet" not in name]
    assert names[-3:] == [
        "on_broker_pre_shutdown",
        "on_broker_client_disconnected",
        "on_broker_post_shutdown",
    ]


async def test_a_shutdown_with_deliveries_that_are_not_acknowledged() -> None:
    async with Broker(config_of([ANONYMOUS])) as broker:
        peer = await Peer.login(broker, "c")
        peer.send(b"\x82\x06\x00\x01\x00\x01t\x02")
        await peer.packet()
        for qos in (1, 2):
            await broker.publish("t", b"x", qos)
            await peer.packet()
        assert broker.sessions["c"][0].inflight_out_count == 2
    assert broker.transitions.is_stopped()
    await peer.close()


# -- what it holds


async def test_views_are_live() -> None:
    async with Broker(config_of(NAMED)) as broker:
        sessions, subscriptions = broker.sessions, broker.subscriptions
        retained = broker.retained_messages
        assert (len(sessions), len(subscriptions), len(retained)) == (0, 0, 0)
        async with client_of(broker, "c", user="u", clean=False) as client:
            await client.subscribe([("a", 2), ("b", 1)])
            await client.publish("r", b"x", 1, retain=True)
            session, handler = sessions["c"]
            assert isinstance(session, Session)
            assert handler.session is session
            assert session == client.session  # two objects of one client
            assert subscriptions["a"] == [(session, 2)]
            assert "a" in subscriptions
            assert "#" not in subscriptions
            assert set(retained) == {"r"}
            await client.unsubscribe(["a"])
            assert subscriptions["a"] == []
        await until(lambda: sessions["c"][0].transitions.is_disconnected())
        assert subscriptions["b"] == [(session, 1)]
        assert broker._sessions["c"][0] is session
        assert list(broker._subscriptions) == ["b"]
        assert "r" in broker._retained_messages


@pytest.mark.parametrize("plugin", ["Recorder", "Answers"])  # which decides on topics, in Python
async def test_a_retained_message_knows_its_publisher(plugin: str) -> None:
    async with Broker(config_of([ANONYMOUS, sample(plugin)])) as broker:
        async with client_of(broker, "c") as client:
            await client.publish("r", b"x", 2, retain=True)
            message = broker.retained_messages["r"]
            assert message.source_session == client.session
        await until(lambda: broker.statistics()["sessions"] == 0)
        message = broker.retained_messages["r"]
        assert message.source_session == client.session  # which is over
        assert (message.topic, message.data, message.qos) == ("r", b"x", 2)
        assert message.retain
        await broker.retain_message(None, "s", b"y")
        assert broker.retained_messages["s"].source_session is None


# -- methods


async def test_messages_of_the_server_are_not_retained_and_may_begin_with_a_dollar() -> None:
    async with Broker(config_of([ANONYMOUS])) as broker:
        async with client_of(broker, "c") as client:
            await client.subscribe([("$own/#", 2), ("low", 0)])
            await broker.internal_message_broadcast("$own/t", b"1")
            await broker.internal_message_broadcast("$own/t", b"2", 1)
            await broker.internal_message_broadcast("low", b"3", 2)
            got = [await client.deliver_message(LIMIT) for _ in range(3)]
            assert [(bytes(each.data), each.qos) for each in got] == [
                (b"1", 2), (b"2", 1), (b"3", 0),
            ]  # fmt: skip
        assert len(broker.retained_messages) == 0


async def test_add_subscription_neither_tells_nor_sends() -> None:
    async with Broker(config_of([ANONYMOUS, sample("Recorder")])) as broker:
        await broker.retain_message(None, "t", b"kept")
        async with client_of(broker, "c") as client:
            session = broker.sessions["c"][0]
            assert await broker.add_subscription(("t", 1), session) == 1
            assert await broker.add_subscription(("t+", 1), session) == 0x80
            await broker.publish("t", b"live")
            assert (await client.deliver_message(LIMIT)).data == b"live"
        recorder = broker.plugins_manager.get_plugin("Recorder")
        await until(lambda: "on_broker_client_disconnected" in recorder.names())
        assert "on_broker_client_subscribed" not in recorder.names()


async def test_a_cap_on_qos_may_be_set_on_the_configuration() -> None:
    broker = Broker(config_of([ANONYMOUS]))
    broker.config.max_qos = 1  # type: ignore[attr-defined]
    async with broker, client_of(broker, "c") as client:
        assert await client.subscribe([("a", 2), ("b", 0)]) == [1, 0]


@pytest.mark.parametrize(
    ("topic", "topic_filter", "matches"),
    [
        ("a/b", "a/b", True), ("a/b", "a/+", True), ("a", "a/#", True), ("a/", "a/+", True),
        ("a/b/c", "a/+", False), ("$SYS/x", "#", False), ("$SYS/x", "+/x", False),
        ("$SYS/x", "$SYS/#", True), ("a", "a/#/b", False), ("ab", "a+", False),
    ],
)  # fmt: skip
async def test_matches(topic: str, topic_filter: str, matches: bool) -> None:
    assert Broker(config_of([ANONYMOUS]))._matches(topic, topic_filter) is matches


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("", (None, 7)), (":", (None, 7)), ("1883", (None, 1883)), (":1883", (None, 1883)),
        ("localhost", ("localhost", 7)), ("host:1", ("host", 1)), ("host:", ("host", 7)),
        ("[::]:1234", ("[::]", 1234)), ("[::1]", ("[::1]", 7)), ("0.0.0.0:1", ("0.0.0.0", 1)),
    ],
)  # fmt: skip
async def test_addresses(text: str, address: tuple[str | None, int]) -> None:
    broker = Broker(config_of([ANONYMOUS]))
    host, port = broker._split_bindaddr_port(text, 7)
    assert (host or None, port) == address
    with pytest.raises(ValueError, match=r"."):
        broker._split_bindaddr_port("[::1", 7)


# -- the context of plugins


async def test_a_context_can_be_made_by_an_application() -> None:
    async with Broker(config_of([ANONYMOUS])) as broker:
        context = BrokerContext(broker)
        assert context._broker_instance is broker
        assert list(context.sessions) == []
        await context.add_subscription("c", "t", 1)
        assert [each.client_id for each in context.sessions] == ["c"]
        assert context.subscriptions["t"] == [(context.get_session("c"), 1)]


async def test_a_plugin_may_write_a_session() -> None:
    """What a plugin does that brings sessions back which it has stored."""
    async with Broker(config_of(NAMED)) as broker:
        context = BrokerContext(broker)
        await context.add_subscription("c", "t", 1)
        session = context.get_session("c")
        assert session is not None
        session.clean_session = False
        session.will_flag, session.will_topic, session.will_message = True, "w", b"gone"
        session.will_qos, session.will_retain, session.keep_alive = 1, False, 30
        session.is_anonymous = False
        session.attributes["plugin/key"] = "value"
        for data in (b"1", b"2"):
            await session.retained_messages.put(RetainedApplicationMessage(None, "t", data, 1))
        async with client_of(broker, "c", user="u", clean=False) as client:
            got = [(await client.deliver_message(LIMIT)).data for _ in range(2)]
            assert got == [b"1", b"2"]
            assert client.session is not None
            resumed = broker.sessions["c"][0]
            assert (resumed.parent, resumed.attributes) == (1, {"plugin/key": "value"})
            assert resumed.will_flag is False


def test_the_retained_message_of_an_application() -> None:
    session = Session()
    message = RetainedApplicationMessage(session, "t", b"x", 1)
    assert isinstance(message, ApplicationMessage)
    assert (message.packet_id, message.retain, message.source_session) == (None, True, session)
    assert RetainedApplicationMessage(None, "t", bytearray(b"x")).qos is None


# -- acknowledgements of messages that plugins see


@pytest.mark.parametrize("qos", [0, 1, 2])
async def test_messages_have_the_packets_of_their_flow(qos: int) -> None:
    async with Broker(config_of([ANONYMOUS, sample("Recorder")])) as broker:
        recorder = broker.plugins_manager.get_plugin("Recorder")
        peer = await Peer.login(broker, "c")
        peer.send(publish("t", b"x", qos=qos, packet_id=9 if qos else None))
        await until(lambda: "on_broker_message_broadcast" in recorder.names())
        await peer.close()
    for name, kwargs in recorder.events:
        if "message" not in kwargs:
            continue
        message = kwargs["message"]
        assert name in ("on_broker_message_received", "on_broker_message_broadcast")
        packet = message.publish_packet
        assert (packet.topic_name, packet.data, packet.qos) == ("t", b"x", qos)
        assert packet.packet_id == message.packet_id == (9 if qos else None)
        puback, pubrec = message.puback_packet, message.pubrec_packet
        assert (puback and puback.packet_id) == (9 if qos == 1 else None)
        assert (pubrec and pubrec.packet_id) == (9 if qos == 2 else None)
        assert message.pubrel_packet is message.pubcomp_packet is None
