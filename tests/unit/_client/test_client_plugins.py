"""The plugins of a client."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest

from amqtt.broker import Broker
from amqtt.client import ClientContext, MQTTClient
from amqtt.errors import ConnectError, PluginImportError, PluginLoadError
from amqtt.plugins.base import BasePlugin

LIMIT = 10
LISTENER: dict[str, Any] = {"listeners": {"default": {"bind": "127.0.0.1:0"}}}


class Closing(BasePlugin[ClientContext]):
    """Remember what it was given, and that it was closed."""

    closed = False

    async def close(self) -> None:
        self.closed = True


class Watching(BasePlugin[ClientContext]):
    """Remember the packets."""

    def __init__(self, context: ClientContext) -> None:
        super().__init__(context)
        self.packets: list[tuple[str, Any, Any]] = []

    async def on_mqtt_packet_sent(self, *, packet: Any, session: Any = None) -> None:
        self.packets.append(("sent", packet, session))

    async def on_mqtt_packet_received(self, *, packet: Any, session: Any = None) -> None:
        self.packets.append(("received", packet, session))


@pytest.fixture
async def broker() -> AsyncIterator[Broker]:
    async with Broker(LISTENER) as running:
        yield running


def uri_of(broker: Broker, credentials: str = "") -> str:
    host, port = broker.addresses["default"][0]
    return f"mqtt://{credentials}{host}:{port}"


def config_of(plugin: type) -> dict[str, Any]:
    return {"plugins": {f"{__name__}.{plugin.__name__}": {}}, "auto_reconnect": False}


async def test_plugins_are_loaded_and_closed_with_the_connection(broker: Broker) -> None:
    client = MQTTClient("c", config_of(Closing))
    [plugin] = client.plugins_manager.plugins
    assert client.plugins_manager.namespace == "amqtt.client.plugins"
    assert client.plugins_manager.app_context.config is client.config
    assert plugin.context.loop is asyncio.get_running_loop()
    assert plugin.context.logger.name == "amqtt.client.plugins.Closing"
    await client.connect(uri_of(broker))
    assert not plugin.closed
    await client.disconnect()
    assert plugin.closed


def test_a_client_that_is_made_before_its_loop_runs() -> None:
    client = MQTTClient("c", config_of(Closing))
    [plugin] = client.plugins_manager.plugins

    async def connect() -> None:
        async with Broker(LISTENER) as broker:
            await client.connect(uri_of(broker))
            assert plugin.context.loop is asyncio.get_running_loop()
            await client.disconnect()

    asyncio.run(connect())
    assert plugin.closed


def test_the_default_is_silent(caplog: pytest.LogCaptureFixture) -> None:
    client = MQTTClient()
    assert client.plugins_manager.get_plugin("PacketLoggerPlugin") is not None
    assert not caplog.records


def names(plugin: Any) -> list[tuple[str, str]]:
    return [(way, type(packet).__name__) for way, packet, _ in plugin.packets]


async def test_plugins_are_told_the_packets(broker: Broker) -> None:
    config = config_of(Watching) | {"keep_alive": 77, "will": {"topic": "w", "message": "m"}}
    client = MQTTClient("c", config)
    [plugin] = client.plugins_manager.plugins
    await client.connect(uri_of(broker, "user:password@"))
    assert client.session is not None
    seen, _ = broker.sessions["c"]
    assert (seen.username, seen.password, seen.keep_alive) == ("user", "password", 77)
    assert (seen.will_topic, seen.will_message, seen.clean_session) == ("w", b"m", True)
    await client.subscribe([("a", 1)])
    await client.publish("a", b"x", qos=1)
    message = await client.deliver_message(timeout_duration=LIMIT)
    assert message is not None
    assert message.data == b"x"
    session = client.session
    await client.disconnect()
    sent = [name for way, name in names(plugin) if way == "sent"]
    received = [name for way, name in names(plugin) if way == "received"]
    assert sent == [
        *("ConnectPacket", "SubscribePacket", "PublishPacket", "PubackPacket", "DisconnectPacket")
    ]
    assert received[:2] == ["ConnackPacket", "SubackPacket"]
    assert sorted(received[2:]) == ["PubackPacket", "PublishPacket"]
    assert all(told is session for _, _, told in plugin.packets)


async def test_a_watched_client_connects_again() -> None:
    client = MQTTClient("c", config_of(Watching) | {"auto_reconnect": True})
    [plugin] = client.plugins_manager.plugins
    again = asyncio.Event()

    async def reconnected(session_present: bool) -> None:
        del session_present
        again.set()

    client.reconnected = reconnected
    async with Broker(LISTENER) as broker:
        await client.connect(uri_of(broker))
        await broker.disconnect_client("c")
        await asyncio.wait_for(again.wait(), LIMIT)
        await client.ping()
        await client.disconnect()
    assert names(plugin).count(("sent", "ConnectPacket")) == 2


async def test_a_watched_client_says_why_it_cannot_connect() -> None:
    client = MQTTClient("c", config_of(Watching))
    async with Broker({**LISTENER, "plugins": {}}) as broker:
        uri = uri_of(broker)
        with pytest.raises(ConnectError) as refused:
            await client.connect(uri)
        assert refused.value.return_code == 5
    with pytest.raises(ConnectError) as unreachable:
        await client.connect(uri)
    assert isinstance(unreachable.value.__cause__, ConnectionRefusedError)


async def test_the_packet_logger_logs_at_debug(
    broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    client = MQTTClient("c")
    await client.connect(uri_of(broker))
    await client.disconnect()
    assert "Packet" not in caplog.text
    with caplog.at_level(logging.DEBUG, "amqtt.client.plugins.PacketLoggerPlugin"):
        await client.connect(uri_of(broker))
        await client.disconnect()
        await client.plugins_manager.wait_for_handlers(LIMIT)
    assert "c -out-> ConnectPacket" in caplog.text
    assert "c <-in-- ConnackPacket" in caplog.text


def test_what_cannot_be_loaded() -> None:
    with pytest.raises(PluginImportError):
        MQTTClient("c", {"plugins": {"amqtt.nowhere.Plugin": {}}})
    with pytest.raises(PluginLoadError, match="unknown"):
        MQTTClient("c", {"plugins": {f"{__name__}.Closing": {"unknown": 1}}})
