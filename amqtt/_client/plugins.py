"""The plugins of a client."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from amqtt.errors import MQTTError
from amqtt.events import MQTTEvents
from amqtt.mqtt import packet_from_bytes
from amqtt.plugins.logging_amqtt import PacketLoggerPlugin
from amqtt.plugins.manager import PluginManager

if TYPE_CHECKING:
    from amqtt._client.context import ClientContext
    from amqtt.session import Session

_NAMESPACE = "amqtt.client.plugins"


def load_client_plugins(context: ClientContext) -> PluginManager[ClientContext]:
    """Load the plugins of a client.

    Args:
        context: the context of the client, with its configuration.

    Returns:
        The plugins. When no loop runs yet, `use_loop` is to be called before they handle events.

    Raises:
        PluginImportError: a plugin cannot be imported, or a handler is not a coroutine function.
        PluginLoadError: a configured class is no plugin, or its options are wrong.
        PluginInitError: the constructor of a plugin raised.

    """
    return PluginManager(_NAMESPACE, context, _loop_until_connected())


def _loop_until_connected() -> asyncio.AbstractEventLoop:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        # A client may be made before its loop runs. A closed one keeps its place: one that is open
        # would have to be closed by somebody.
        loop = asyncio.new_event_loop()
        loop.close()
        return loop


class PacketEvents:
    """Tell plugins the packets of a client.

    Args:
        manager: the plugins.
        session: the session that they are told with the packets.

    """

    def __init__(self, manager: PluginManager[Any], session: Session) -> None:
        """Tell packets from now on."""
        self._manager = manager
        self._session = session

    @classmethod
    def wanted(cls, manager: PluginManager[Any], session: Session) -> PacketEvents | None:
        """Make one if a plugin wants packets, else None; then packets do not touch Python."""
        return cls(manager, session) if wants_packets(manager) else None

    def passed(self, sent: bool, data: bytes) -> None:
        """Tell a packet.

        Args:
            sent: whether the client has sent it.
            data: the packet.

        """
        try:
            packet = packet_from_bytes(data, self._session.protocol_version)
        except MQTTError:  # the engine closes the connection for it
            return
        event = MQTTEvents.PACKET_SENT if sent else MQTTEvents.PACKET_RECEIVED
        handlers = self._manager.handlers(event)
        self._manager.start_handlers(event, handlers, {"packet": packet, "session": self._session})


def wants_packets(manager: PluginManager[Any]) -> bool:
    """Tell whether a plugin wants to be told packets; a packet logger that logs none does not."""
    events = (MQTTEvents.PACKET_RECEIVED, MQTTEvents.PACKET_SENT)
    plugins = [handler.plugin for event in events for handler in manager.handlers(event)]
    return not all(_is_quiet_logger(plugin) for plugin in plugins)


def _is_quiet_logger(plugin: Any) -> bool:
    return type(plugin) is PacketLoggerPlugin and not plugin.context.logger.isEnabledFor(
        logging.DEBUG
    )
