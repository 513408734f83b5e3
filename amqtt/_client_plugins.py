"""The plugins of a client."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from amqtt.adapters import StreamReaderAdapter, StreamWriterAdapter
from amqtt.mqtt.protocol._tunnel import Tunnel, connect_packet_of, watcher
from amqtt.plugins.manager import PluginManager

if TYPE_CHECKING:
    from amqtt._uri import Target
    from amqtt.client import ClientContext
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


async def open_watched(
    manager: PluginManager[Any], session: Session, target: Target, keep_alive: int
) -> Tunnel | None:
    """Connect to a broker in Python, if plugins are to be told the packets.

    The engine of clients does not tell packets, so where somebody wants them its connection goes
    through a tunnel; without, packets do not touch Python.

    Args:
        manager: the plugins.
        session: what CONNECT is made of.
        target: where the broker is.
        keep_alive: the keep alive of CONNECT, in seconds.

    Returns:
        A tunnel to the broker, which the engine is to be let into; None when no plugin wants to be
        told packets, with `PacketLoggerPlugin` at a level that logs none.

    Raises:
        OSError: the broker cannot be reached.

    """
    watch = watcher(manager, session)
    if watch is None:
        return None
    connect = connect_packet_of(session)
    connect.keep_alive = keep_alive
    reader, writer = await asyncio.open_connection(target.host, target.port)
    return Tunnel(StreamReaderAdapter(reader), StreamWriterAdapter(writer), connect, watch)
