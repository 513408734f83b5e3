"""The plugins of a client."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from amqtt.events import MQTTEvents
from amqtt.plugins.logging_amqtt import PacketLoggerPlugin
from amqtt.plugins.manager import PluginManager

if TYPE_CHECKING:
    from amqtt.client import ClientContext

logger = logging.getLogger("amqtt.client")

_NAMESPACE = "amqtt.client.plugins"


def load_client_plugins(context: ClientContext) -> PluginManager[ClientContext]:
    """Load the plugins of a client, with a warning for those that wait for packets in vain.

    Args:
        context: the context of the client, with its configuration.

    Returns:
        The plugins. When no loop runs yet, `use_loop` is to be called before they handle events.

    Raises:
        PluginImportError: a plugin cannot be imported, or a handler is not a coroutine function.
        PluginLoadError: a configured class is no plugin, or its options are wrong.
        PluginInitError: the constructor of a plugin raised.

    """
    manager: PluginManager[Any] = PluginManager(_NAMESPACE, context, _loop_until_connected())
    for event in (MQTTEvents.PACKET_RECEIVED, MQTTEvents.PACKET_SENT):
        for handler in manager.handlers(event):
            if not isinstance(handler.plugin, PacketLoggerPlugin):
                logger.warning(
                    "Plugin '%s' handles '%s', which a client does not report in this version",
                    type(handler.plugin).__name__,
                    event,
                )
    return manager


def _loop_until_connected() -> asyncio.AbstractEventLoop:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        # A client may be made before its loop runs. A closed one keeps its place: one that is open
        # would have to be closed by somebody.
        loop = asyncio.new_event_loop()
        loop.close()
        return loop
