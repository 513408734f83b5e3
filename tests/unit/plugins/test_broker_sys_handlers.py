"""The handlers of `BrokerSysPlugin` are there, and the engine is not asked for their events."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from amqtt._broker.dispatch import BrokerDispatch
from amqtt.contexts import BaseContext
from amqtt.events import BrokerEvents, MQTTEvents
from amqtt.plugins.manager import PluginManager
from amqtt.plugins.sys.broker import BrokerSysPlugin

COUNTED = (
    MQTTEvents.PACKET_RECEIVED,
    MQTTEvents.PACKET_SENT,
    BrokerEvents.CLIENT_CONNECTED,
    BrokerEvents.CLIENT_DISCONNECTED,
)


class Curious(BrokerSysPlugin):
    """Look at what is received, beside what the packaged plugin does."""

    async def on_mqtt_packet_received(self, *, packet: Any, session: Any = None) -> None:
        await super().on_mqtt_packet_received(packet=packet, session=session)


def python_handlers(plugin: type[BrokerSysPlugin]) -> list[Any]:
    context = BaseContext()
    context.config = {"plugins": [f"{plugin.__module__}.{plugin.__name__}"]}
    manager = PluginManager("amqtt.test.plugins", context)
    assert all(manager.handlers(event) for event in COUNTED)
    dispatch = BrokerDispatch(asyncio.get_running_loop(), manager, 1.0)
    return [event for event in COUNTED if dispatch.calls._handlers(event)]


@pytest.mark.parametrize(
    ("plugin", "events"), [(BrokerSysPlugin, []), (Curious, [MQTTEvents.PACKET_RECEIVED])]
)
@pytest.mark.filterwarnings("ignore:.BrokerSysPlugin. without:DeprecationWarning")
async def test_what_runs_in_python(plugin: type[BrokerSysPlugin], events: list[Any]) -> None:
    assert python_handlers(plugin) == events
