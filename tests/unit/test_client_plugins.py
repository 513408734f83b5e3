"""The plugins of a client."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from amqtt.broker import Broker
from amqtt.client import ClientContext, MQTTClient
from amqtt.errors import PluginImportError, PluginLoadError
from amqtt.plugins.base import BasePlugin


class Closing(BasePlugin[ClientContext]):
    """Remember what it was given, and that it was closed."""

    closed = False

    async def close(self) -> None:
        self.closed = True


class Watching(BasePlugin[ClientContext]):
    """Ask for packets."""

    async def on_mqtt_packet_sent(self, *, packet: Any, session: Any = None) -> None: ...


def config_of(plugin: type) -> dict[str, Any]:
    return {"plugins": {f"{__name__}.{plugin.__name__}": {}}, "auto_reconnect": False}


async def test_plugins_are_loaded_and_closed_with_the_connection() -> None:
    client = MQTTClient("c", config_of(Closing))
    [plugin] = client.plugins_manager.plugins
    assert client.plugins_manager.namespace == "amqtt.client.plugins"
    assert client.plugins_manager.app_context.config is client.config
    assert plugin.context.loop is asyncio.get_running_loop()
    assert plugin.context.logger.name == "amqtt.client.plugins.Closing"
    async with Broker({"listeners": {"default": {"bind": "127.0.0.1:0"}}}) as broker:
        _, port = broker.addresses["default"][0]
        await client.connect(f"mqtt://127.0.0.1:{port}")
        assert not plugin.closed
        await client.disconnect()
    assert plugin.closed


def test_a_client_that_is_made_before_its_loop_runs() -> None:
    client = MQTTClient("c", config_of(Closing))
    [plugin] = client.plugins_manager.plugins

    async def connect() -> None:
        async with Broker({"listeners": {"default": {"bind": "127.0.0.1:0"}}}) as broker:
            _, port = broker.addresses["default"][0]
            await client.connect(f"mqtt://127.0.0.1:{port}")
            assert plugin.context.loop is asyncio.get_running_loop()
            await client.disconnect()

    asyncio.run(connect())
    assert plugin.closed


def test_the_default_is_silent(caplog: pytest.LogCaptureFixture) -> None:
    client = MQTTClient()
    assert client.plugins_manager.get_plugin("PacketLoggerPlugin") is not None
    assert not caplog.records


def test_a_plugin_that_waits_for_packets_in_vain(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        MQTTClient("c", config_of(Watching))
    assert "'Watching' handles 'mqtt_packet_sent'" in caplog.text


def test_what_cannot_be_loaded() -> None:
    with pytest.raises(PluginImportError):
        MQTTClient("c", {"plugins": {"amqtt.nowhere.Plugin": {}}})
    with pytest.raises(PluginLoadError, match="unknown"):
        MQTTClient("c", {"plugins": {f"{__name__}.Closing": {"unknown": 1}}})
