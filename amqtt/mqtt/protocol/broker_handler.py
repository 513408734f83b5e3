"""The connection of a client, seen from the broker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from amqtt.errors import ProtocolHandlerError
from amqtt.mqtt.protocol.handler import ProtocolHandler

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from amqtt._broker.context import BrokerContext  # in a text below
    from amqtt.adapters import ReaderAdapter, WriterAdapter
    from amqtt.mqtt.disconnect import DisconnectPacket
    from amqtt.plugins.manager import PluginManager
    from amqtt.session import ApplicationMessage, OutgoingApplicationMessage, Session

__all__ = ["BrokerProtocolHandler", "ProtocolHandler"]


class BrokerProtocolHandler(ProtocolHandler["BrokerContext"]):
    """Stand for the connection of a session, which the broker's engine serves.

    `Broker.sessions` has one beside each session. `stop()` disconnects the client; what else a
    handler does is the engine's here, and the methods for it raise `ProtocolHandlerError` that
    says what to use.

    Args:
        plugins_manager: the plugins of the broker.
        session: the session.
        loop: the event loop; None means the running one.
        disconnect: disconnects the client with an identifier; None when there is no connection.

    """

    def __init__(
        self,
        plugins_manager: PluginManager[BrokerContext],
        session: Session | None = None,
        loop: asyncio.AbstractEventLoop | None = None,
        *,
        disconnect: Callable[[str], object] | None = None,
    ) -> None:
        """Make a handler of a session's connection."""
        super().__init__(plugins_manager, session, loop)
        if session is not None and session.keep_alive > 0:
            self.keepalive_timeout = session.keep_alive
        self._disconnect = disconnect

    async def stop(self) -> None:
        """Disconnect the client; nothing happens when it is not connected."""
        if self._disconnect is not None and self.session is not None:
            self._disconnect(self.session.client_id or "")

    def attach(self, session: Session, reader: ReaderAdapter, writer: WriterAdapter) -> NoReturn:
        """Refuse: a broker takes connections itself.

        Raises:
            ProtocolHandlerError: always.

        """
        del session, reader, writer
        _refuse("attach()", "Broker.external_connected() to hand a connection to a broker")

    async def start(self) -> None:
        """Refuse: the broker has started already.

        Raises:
            ProtocolHandlerError: always.

        """
        _refuse("start()", "Broker.start()")

    async def mqtt_publish(self, *args: Any, **kwargs: Any) -> OutgoingApplicationMessage:
        """Refuse: messages reach a client through its subscriptions.

        Raises:
            ProtocolHandlerError: always.

        """
        del args, kwargs
        _refuse("mqtt_publish()", "Broker.internal_message_broadcast()")

    async def mqtt_deliver_next_message(self) -> ApplicationMessage | None:
        """Refuse: the broker routes the messages of its clients.

        Raises:
            ProtocolHandlerError: always.

        """
        _refuse("mqtt_deliver_next_message()", "Broker.subscribe(), or the event MESSAGE_RECEIVED")

    async def wait_disconnect(self) -> DisconnectPacket | None:
        """Refuse: plugins are told when a client goes.

        Raises:
            ProtocolHandlerError: always.

        """
        _refuse("wait_disconnect()", "the event CLIENT_DISCONNECTED")


def _refuse(what: str, instead: str) -> NoReturn:
    msg = f"BrokerProtocolHandler.{what} is not available: the engine does it; use {instead}"
    raise ProtocolHandlerError(msg)
