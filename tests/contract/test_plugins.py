"""Plugins written for aMQTT: bases, handlers, loading, decisions, packaged plugins in a broker."""

from __future__ import annotations

import asyncio
import functools
import logging
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from typing import Any

import pytest
from support.embedded import LIMIT, Peer, client_of, config_of, sample, until
from support.wire import publish, subscribe

from amqtt.broker import Broker, BrokerContext
from amqtt.contexts import Action, BaseContext, BrokerConfig
from amqtt.errors import ConnectError
from amqtt.plugins import TopicMatcher
from amqtt.plugins import manager as manager_module
from amqtt.plugins.base import BaseAuthPlugin, BasePlugin, BaseTopicPlugin
from amqtt.plugins.manager import PluginManager, get_plugin_manager, plugins_manager

MODULE = __name__
ANONYMOUS = "amqtt.plugins.authentication.AnonymousAuthPlugin"
GROUP = "amqtt.broker.plugins"


def path(plugin: type) -> str:
    return f"{MODULE}.{plugin.__name__}"


# -- base classes


def context_of(config: Any) -> BaseContext:
    context = BaseContext()
    context.logger = logging.getLogger("test")
    context.config = config
    return context


def test_a_plugin_has_its_context_and_configuration() -> None:
    context = context_of(BasePlugin.Config())
    for made in (
        BasePlugin(context),
        BasePlugin[BaseContext](context),
        BasePlugin[BrokerContext](context),  # type: ignore[arg-type]
    ):
        assert made.context is context
        assert made.config is context.config
    asyncio.run(BasePlugin(context).close())


class Both(BaseAuthPlugin, BaseTopicPlugin):
    """Decides on clients and on topics."""

    @dataclass
    class Config:
        some_option: int = 7


@pytest.mark.parametrize(
    ("config", "warned"),
    [
        ({}, ["auth", "topic-check"]),
        ({"auth": {"x": 1}}, ["topic-check"]),
        ({"auth": {"x": 1}, "topic-check": {"enabled": True}}, []),
        (Both.Config(), []),
    ],
)
def test_a_class_may_derive_from_both_bases(
    config: Any, warned: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    plugin = Both(context_of(config))
    assert sorted(each.getMessage() for each in caplog.records) == [
        f"'{section}' section not found in context configuration" for section in warned
    ]
    if isinstance(config, Both.Config):
        assert plugin._get_config_option("some-option") == 7
        assert plugin._get_config_option("other", 3) == 3


def test_helpers_for_plugins_of_the_old_style() -> None:
    plugin = BasePlugin(context_of({"own": {"key": "value"}, "none": None, "number": 3}))
    assert plugin._get_config_section("own") == {"key": "value"}
    for name in ("none", "number", "missing"):
        assert plugin._get_config_section(name) is None
    assert plugin._get_config_option("number") == 3
    assert plugin._get_config_option("missing", "default") == "default"
    section = BasePlugin(context_of(BrokerConfig(auth={"a": 1})))._get_config_section("auth")
    assert section == {"a": 1}


# -- handlers of events


class Partial(BasePlugin[BaseContext]):
    """Answers to every event with a partial of one coroutine function."""

    def __init__(self, context: BaseContext) -> None:
        super().__init__(context)
        self.told: list[str] = []

    def __getattr__(self, name: str) -> Any:
        if name.startswith("on_"):
            return functools.partial(self.note, name)
        raise AttributeError(name)

    async def note(self, name: str, **_: Any) -> None:
        self.told.append(name)


class Strict(BasePlugin[BrokerContext]):
    """Takes exactly the keywords that the events have; another one would be a TypeError."""

    def __init__(self, context: BrokerContext) -> None:
        super().__init__(context)
        self.told: list[str] = []

    def note(self, name: str) -> None:
        self.told.append(name)

    async def on_broker_pre_start(self) -> None:
        self.note("pre_start")

    async def on_broker_post_start(self) -> None:
        self.note("post_start")

    async def on_broker_pre_shutdown(self) -> None:
        self.note("pre_shutdown")

    async def on_broker_post_shutdown(self) -> None:
        self.note("post_shutdown")

    async def on_broker_client_connected(self, *, client_id: Any, client_session: Any) -> None:
        self.note(f"connected {client_id} {client_session.transitions.state}")

    async def on_broker_client_disconnected(self, *, client_id: Any, client_session: Any) -> None:
        self.note(f"disconnected {client_id} {client_session.transitions.state}")

    async def on_broker_client_subscribed(self, *, client_id: Any, topic: Any, qos: Any) -> None:
        self.note(f"subscribed {client_id} {topic} {qos}")

    async def on_broker_client_unsubscribed(self, *, client_id: Any, topic: Any) -> None:
        self.note(f"unsubscribed {client_id} {topic}")

    async def on_broker_retained_message(self, *, client_id: Any, retained_message: Any) -> None:
        self.note(f"retained {client_id} {retained_message.topic}")

    async def on_broker_message_received(self, *, client_id: Any, message: Any) -> None:
        self.note(f"received {client_id} {message.topic}")

    async def on_broker_message_broadcast(self, *, client_id: Any, message: Any) -> None:
        self.note(f"broadcast {client_id} {message.topic}")

    async def on_mqtt_packet_received(self, *, packet: Any, session: Any = None) -> None:
        self.note(f"in {type(packet).__name__} {session and session.client_id}")

    async def on_mqtt_packet_sent(self, *, packet: Any, session: Any = None) -> None:
        self.note(f"out {type(packet).__name__} {session and session.client_id}")


async def test_events_have_their_arguments_and_order() -> None:
    config = config_of(
        [ANONYMOUS, path(Strict), path(Partial)], protocol={"tolerate": ["invalid_filter"]}
    )
    async with Broker(config) as broker:
        strict = broker.plugins_manager.get_plugin("Strict")
        partial = broker.plugins_manager.get_plugin("Partial")
        peer = await Peer.login(broker, "c")
        peer.send(publish("kept", b"x", retain=True))
        peer.send(subscribe(1, ("kept", 1), ("a+", 0)))
        peer.send(publish("t", b"x", qos=1, packet_id=2))
        peer.send(b"\xa2\x0b\x00\x03\x00\x04kept\x00\x01n")  # UNSUBSCRIBE from kept and n
        peer.send(b"\xe0\x00")
        await until(lambda: "disconnected c disconnected" in strict.told)
        await peer.close()
    assert strict.told == [
        "pre_start", "post_start",
        "in ConnectPacket None", "out ConnackPacket c", "connected c connected",
        "in PublishPacket c", "received c kept", "broadcast c kept", "retained None kept",
        "in SubscribePacket c", "out SubackPacket c", "subscribed c kept 1", "out PublishPacket c",
        "in PublishPacket c", "received c t", "broadcast c t", "out PubackPacket c",
        "in UnsubscribePacket c", "unsubscribed c kept", "unsubscribed c n", "out UnsubackPacket c",
        "in DisconnectPacket c", "disconnected c disconnected",
        "pre_shutdown", "post_shutdown",
    ]  # fmt: skip
    assert len(partial.told) == len(strict.told)


class Republishing(BasePlugin[BrokerContext]):
    """Passes on what clients send to the topics of the server, which the broker itself drops."""

    async def on_broker_message_received(self, *, client_id: str, message: Any) -> None:
        if message.topic.startswith("$jobs/"):
            await self.context.broadcast_message(f"$jobs/of/{client_id}", message.data)


async def test_a_plugin_passes_on_what_the_broker_drops() -> None:
    async with (
        Broker(config_of([ANONYMOUS, path(Republishing)])) as broker,
        client_of(broker, "c") as client,
    ):
        await client.subscribe([("$jobs/#", 0)])
        await client.publish("$jobs/new", b"x", 1)
        message = await client.deliver_message(LIMIT)
        assert (message.topic, message.data) == ("$jobs/of/c", b"x")


# -- loading


@pytest.fixture
def entries(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[EntryPoint]]:
    found: list[EntryPoint] = []
    monkeypatch.setattr(manager_module, "entry_points", lambda group: found)  # noqa: ARG005
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield found


class Foreign:
    """A plugin of the old style: it derives from nothing, and reads the whole configuration."""

    def __init__(self, context: BrokerContext) -> None:
        self.context = context
        self.connected: list[str] = []

    async def on_broker_client_connected(self, *, client_id: str, client_session: Any) -> None:
        assert client_session.client_id == client_id
        self.connected.append(client_id)

    async def authenticate(self, *, session: Any) -> bool:
        return bool(session.username == "u")

    async def topic_filtering(self, *, session: Any, topic: str, action: Action) -> bool:
        assert session is not None
        return topic != "no" or action is not Action.SUBSCRIBE


async def test_plugins_of_entry_points_serve_a_broker(entries: list[EntryPoint]) -> None:
    entries.append(EntryPoint("foreign", path(Foreign).replace(".Foreign", ":Foreign"), GROUP))
    entries.append(EntryPoint("auth_anonymous", ANONYMOUS.replace(".Anon", ":Anon"), GROUP))
    config = config_of()
    config["auth"] = {"plugins": ["foreign"]}
    config["topic-check"] = {"enabled": True, "plugins": ["foreign"]}
    async with Broker(config) as broker:
        plugin = broker.plugins_manager.get_plugin("Foreign")
        assert plugin.context.config is broker.config
        assert plugin.context.logger.name == f"{GROUP}.foreign"
        with pytest.raises(ConnectError):
            async with client_of(broker, "c"):
                pass
        async with client_of(broker, "c", user="u") as client:
            assert await client.subscribe([("a", 0), ("no", 0)]) == [0, 0x80]
        assert plugin.connected == ["c"]


@pytest.mark.parametrize("auth", [None, {"plugins": []}])
async def test_without_a_named_plugin_nobody_is_admitted(
    auth: Any, entries: list[EntryPoint]
) -> None:
    entries.append(EntryPoint("auth_anonymous", ANONYMOUS.replace(".Anon", ":Anon"), GROUP))
    config = config_of(**({"auth": auth} if auth is not None else {}))
    config["topic-check"] = {"enabled": False}
    async with Broker(config) as broker:
        with pytest.raises(ConnectError):
            async with client_of(broker, "c", user="u"):
                pass


@pytest.mark.parametrize("plugins", [[], {}])
async def test_an_empty_list_of_plugins_admits_nobody(plugins: Any) -> None:
    async with Broker(config_of(plugins)) as broker:
        assert broker.plugins_manager.plugins == []
        with pytest.raises(ConnectError):
            async with client_of(broker, "c", user="u"):
                pass


# -- decisions


@pytest.mark.parametrize(
    ("first", "second", "admitted"),
    [
        (True, True, True), (True, False, False), (True, None, True), (False, None, False),
        (None, None, False), (1, "yes", False), (0, None, False), (True, "", False),
    ],
)  # fmt: skip
async def test_opinions_on_a_client(first: Any, second: Any, admitted: bool) -> None:
    plugins = {sample("Answers"): {"auth": first}, sample("AnswersToo"): {"auth": second}}
    async with Broker(config_of(plugins)) as broker:
        if admitted:
            async with client_of(broker, "c"):
                pass
        else:
            with pytest.raises(ConnectError) as caught:
                async with client_of(broker, "c"):
                    pass
            assert caught.value.return_code == 5


@pytest.mark.parametrize(
    ("first", "second", "code"),
    [(True, None, 1), (None, None, 0x80), (True, False, 0x80), ("yes", 1, 0x80), (None, 0, 0x80)],
)
async def test_opinions_on_a_topic(first: Any, second: Any, code: int) -> None:
    plugins = {
        ANONYMOUS: {},
        sample("Answers"): {"topic": first, "auth": None},
        sample("AnswersToo"): {"topic": second, "auth": None},
    }
    async with Broker(config_of(plugins)) as broker, client_of(broker, "c") as client:
        assert await client.subscribe([("t", 1)]) == [code]


# -- the manager


async def test_a_manager_is_made_by_an_application() -> None:
    context = BaseContext()
    context.config = {"plugins": [path(Partial), sample("Plain"), path(Both)]}
    manager: PluginManager[BaseContext] = PluginManager("contract.test", context)
    assert manager.context is manager.app_context is context
    assert plugins_manager["contract.test"] is manager
    assert get_plugin_manager("contract.test") is manager
    assert get_plugin_manager("nobody") is None
    assert manager.logger.name == "contract.test"
    assert [type(each).__name__ for each in manager._plugins] == ["Partial", "Plain", "Both"]
    assert manager.get_plugin("Plain") is manager.plugins[1]
    assert manager.get_plugin("plain") is None
    assert manager.is_topic_filtering_enabled()
    both = manager.get_plugin("Both")
    session: Any = object()
    assert await manager.map_plugin_auth(session=session) == {both: True}
    assert await manager.map_plugin_topic(session=session, topic="t", action=Action.PUBLISH) == {
        both: True
    }
    await manager.close()


# -- packaged plugins


def test_the_matcher_is_one_object() -> None:
    assert TopicMatcher() is TopicMatcher()
    assert TopicMatcher.is_topic_allowed("a/b", "a/+")
    assert TopicMatcher().are_topics_allowed("a/b", ["x", "a/#"])
    assert not TopicMatcher().are_topics_allowed("$SYS/b", ["#", "+/b"])


async def test_taboo_topics_are_not_delivered_either() -> None:
    taboo = "amqtt.plugins.topic_checking.TopicTabooPlugin"
    async with (
        Broker(config_of([ANONYMOUS, taboo])) as broker,
        client_of(broker, "a", user="admin") as admin,
        client_of(broker, "c", user="u") as client,
    ):
        for each in (admin, client):
            assert await each.subscribe([("#", 1)]) == [1]
        await client.publish("prohibited", b"1", 1)
        await admin.publish("top-secret", b"2", 1)
        await admin.publish("open", b"3", 1)
        assert [(await admin.deliver_message(LIMIT)).data for _ in range(2)] == [b"2", b"3"]
        assert (await client.deliver_message(LIMIT)).data == b"3"


async def test_acl_of_the_deprecated_style(entries: list[EntryPoint]) -> None:
    acl = "amqtt.plugins.topic_checking:TopicAccessControlListPlugin"
    entries.append(EntryPoint("topic_acl", acl, GROUP))
    entries.append(EntryPoint("auth_anonymous", ANONYMOUS.replace(".Anon", ":Anon"), GROUP))
    config = config_of(auth={"allow-anonymous": True})
    config["topic-check"] = {
        "enabled": True,
        "plugins": ["topic_acl"],
        "publish-acl": {"u": ["out/#"]},
        "subscribe-acl": {"u": ["in/#", "out/#"]},
        "receive-acl": {"u": ["out/#"], "anonymous": []},
    }
    async with Broker(config) as broker, client_of(broker, "c", user="u") as client:
        assert await client.subscribe([("in/+", 1), ("out/a", 1), ("#", 1)]) == [1, 1, 0x80]
        await client.publish("in/a", b"1", 1)
        await broker.publish("in/a", b"2")
        await client.publish("out/a", b"3", 1)
        assert (await client.deliver_message(LIMIT)).data == b"3"


async def test_sys_plugin_publishes_for_others() -> None:
    plugin_path = "amqtt.plugins.sys.broker.BrokerSysPlugin"
    with pytest.warns(DeprecationWarning, match="dollarsys"):
        broker = Broker(config_of({ANONYMOUS: {}, plugin_path: {"sys_interval": 3600}}))
    async with broker, client_of(broker, "c") as client:
        await client.subscribe([("$SYS/broker/own", 1)])
        plugin = broker.plugins_manager.get_plugin("BrokerSysPlugin")
        await plugin.schedule_broadcast_sys_topic("own", b"1.5")
        assert (await client.deliver_message(LIMIT)).data == b"1.5"
        assert not plugin._sys_handle.cancelled()
        await client.subscribe([("$SYS/broker/uptime", 0)])
        result = plugin.broadcast_dollar_sys_topics()
        if asyncio.iscoroutine(result):
            await result
        assert (await client.deliver_message(LIMIT)).data.isdigit()
