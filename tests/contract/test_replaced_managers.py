"""Brokers whose plugin manager an application has replaced: by a subclass, or by a double."""

from __future__ import annotations

import asyncio
from typing import Any
from unittest.mock import AsyncMock, call, patch

import pytest
from support.embedded import LIMIT, Peer, client_of, config_of, sample, until

from amqtt.broker import Broker, PluginManager
from amqtt.contexts import Action, BaseContext
from amqtt.errors import ConnectError
from amqtt.events import BrokerEvents, MQTTEvents
from amqtt.plugins.base import BasePlugin

ANONYMOUS = "amqtt.plugins.authentication.AnonymousAuthPlugin"
EVENT_LOGGER = "amqtt.plugins.logging_amqtt.EventLoggerPlugin"


async def exchange(broker: Broker) -> None:
    async with client_of(broker, "c") as client:
        await client.subscribe([("t", 1)])
        await client.publish("t", b"x", 1)
        await client.deliver_message(LIMIT)
    await until(lambda: broker.statistics()["clients_connected"] == 0)


class Listening(PluginManager[Any]):
    """Notes the events before the plugins are told."""

    async def fire_event(self, event: Any, *, wait: bool = False, **kwargs: Any) -> None:
        self.heard: list[Any] = [*getattr(self, "heard", []), event]
        await super().fire_event(event, wait=wait, **kwargs)


async def test_a_subclass_sees_every_event(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("amqtt.broker.PluginManager", Listening)
    caplog.set_level("DEBUG", "amqtt.broker.plugins.EventLoggerPlugin")
    async with Broker(config_of([ANONYMOUS, EVENT_LOGGER, sample("Recorder")])) as broker:
        await exchange(broker)
        manager: Any = broker.plugins_manager
        await until(lambda: BrokerEvents.CLIENT_DISCONNECTED in manager.heard)
    assert set(BrokerEvents) - set(manager.heard) == {
        BrokerEvents.CLIENT_UNSUBSCRIBED,
        BrokerEvents.RETAINED_MESSAGE,
    }
    assert {*MQTTEvents} <= {*manager.heard}
    # The plugins are told once each, and the logger, which the engine stands in for, logs once.
    names = manager.get_plugin("Recorder").names()
    assert names == [f"on_{event}" for event in manager.heard]
    assert caplog.text.count("'on_broker_message_received' EVENT FIRED") == 1


class Slow(PluginManager[Any]):
    """Takes its time with clients that leave."""

    async def fire_event(self, event: Any, *, wait: bool = False, **kwargs: Any) -> None:
        if event is BrokerEvents.CLIENT_DISCONNECTED:
            await asyncio.sleep(0.1)
        await super().fire_event(event, wait=wait, **kwargs)


async def test_a_shutdown_waits_for_the_events_of_a_subclass(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("amqtt.broker.PluginManager", Slow)
    broker = Broker(config_of([ANONYMOUS, sample("Recorder")]))
    recorder: Any = broker.plugins_manager.get_plugin("Recorder")
    async with broker:
        peer = await Peer.login(broker, "c")
    await peer.close()
    assert recorder.names()[-2:] == ["on_broker_client_disconnected", "on_broker_post_shutdown"]


async def test_a_double_that_is_put_in_later_sees_the_events_from_then_on() -> None:
    async with Broker(config_of([ANONYMOUS, sample("Recorder")])) as broker:
        with patch.object(broker.plugins_manager, "fire_event", AsyncMock()) as fire:
            await exchange(broker)
            await until(lambda: fire.call_args.args == (BrokerEvents.CLIENT_DISCONNECTED,))
        connected = next(
            each for each in fire.call_args_list if each.args == (BrokerEvents.CLIENT_CONNECTED,)
        )
        assert connected.kwargs["client_id"] == "c"


async def test_a_method_may_be_replaced_for_all_managers(monkeypatch: pytest.MonkeyPatch) -> None:
    fired: list[Any] = []
    fire = PluginManager.fire_event

    async def note(self: Any, event: Any, **kwargs: Any) -> None:
        fired.append(event)
        await fire(self, event, **kwargs)

    monkeypatch.setattr(PluginManager, "fire_event", note)
    async with Broker(config_of([ANONYMOUS])) as broker:
        await exchange(broker)
        await until(lambda: BrokerEvents.CLIENT_DISCONNECTED in fired)
    assert fired[0] is BrokerEvents.PRE_START
    assert fired[-1] is BrokerEvents.POST_SHUTDOWN


async def test_a_double_in_the_place_of_the_manager() -> None:
    """What tests of applications do that leave the plugins out."""
    with patch("amqtt.broker.PluginManager") as double:
        manager = double.return_value
        manager.is_topic_filtering_enabled.return_value = False
        manager.map_plugin_auth = AsyncMock(return_value={BasePlugin(BaseContext()): True})
        async with Broker(config_of()) as broker:
            assert broker.plugins_manager is manager
            await exchange(broker)
            manager.map_plugin_auth.assert_awaited_once()
            manager.map_plugin_auth.return_value = {BasePlugin(BaseContext()): False}
            with pytest.raises(ConnectError):
                async with client_of(broker, "d"):
                    pass
    double.assert_has_calls(
        [
            call().fire_event(BrokerEvents.PRE_START),
            call().fire_event(BrokerEvents.POST_START),
            call().fire_event(BrokerEvents.PRE_SHUTDOWN),
            call().fire_event(BrokerEvents.POST_SHUTDOWN),
        ],
        any_order=True,
    )
    told = [each.args[0] for each in manager.fire_event.call_args_list]
    assert told.index(BrokerEvents.CLIENT_CONNECTED) < told.index(BrokerEvents.CLIENT_DISCONNECTED)
    manager.map_plugin_topic.assert_not_called()


class Deciding(PluginManager[Any]):
    """Decides by itself, whatever the plugins would say."""

    asked: list[Any]

    async def map_plugin_auth(self, *, session: Any) -> dict[Any, Any]:
        return {self: session.username == "u"}

    async def map_plugin_topic(self, *, session: Any, topic: str, action: Action) -> dict[Any, Any]:
        self.asked = [*getattr(self, "asked", []), (session.client_id, topic, action)]
        await asyncio.sleep(0)
        return {self: topic != "no"}


async def test_a_subclass_may_decide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("amqtt.broker.PluginManager", Deciding)
    taboo = "amqtt.plugins.topic_checking.TopicTabooPlugin"
    async with Broker(config_of([ANONYMOUS, taboo])) as broker:
        with pytest.raises(ConnectError):
            async with client_of(broker, "c"):
                pass
        async with client_of(broker, "c", user="u") as client:
            assert await client.subscribe([("prohibited", 0), ("no", 0)]) == [0, 0x80]
            await client.publish("prohibited", b"x", 1)
            assert (await client.deliver_message(LIMIT)).data == b"x"
            assert await broker.add_subscription(("no", 0), broker.sessions["c"][0]) == 0x80
        manager: Any = broker.plugins_manager
        assert manager.asked == [
            ("c", "prohibited", "subscribe"),
            ("c", "no", "subscribe"),
            ("c", "prohibited", "publish"),
            ("c", "prohibited", "receive"),
            ("c", "no", "subscribe"),
        ]
