"""Plugins that log events and packets."""

from __future__ import annotations

import functools
import logging
from typing import TYPE_CHECKING, Any

from amqtt.contexts import BaseContext
from amqtt.events import BrokerEvents
from amqtt.logs import printable
from amqtt.plugins.base import BasePlugin

if TYPE_CHECKING:
    from collections.abc import Callable

    from amqtt.session import Session

# Of a payload of megabytes the beginning will do.
_LONGEST_PACKET = 8192
_LOGGED_AT_INFO = (
    f"on_{BrokerEvents.CLIENT_CONNECTED}",
    f"on_{BrokerEvents.CLIENT_DISCONNECTED}",
)


class EventLoggerPlugin(BasePlugin[BaseContext]):
    """Log that an event has happened: connections at INFO, everything else at DEBUG.

    In a broker the engine does the work of this class, though not of a subclass; what the level of
    the logger excludes then costs nothing.
    """

    async def log_event(self, *args: Any, **kwargs: Any) -> None:  # noqa: ARG002
        """Log an event; the name of its handler is given as `event_name`."""
        name = kwargs.get("event_name", "")
        level = logging.INFO if name in _LOGGED_AT_INFO else logging.DEBUG
        self.context.logger.log(level, "### '%s' EVENT FIRED ###", name)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """Handle every event."""
        if name.startswith("on_"):
            return functools.partial(self.log_event, event_name=name)
        msg = f"'EventLoggerPlugin' object has no attribute '{name}'"
        raise AttributeError(msg)


class PacketLoggerPlugin(BasePlugin[BaseContext]):
    """Log every packet at DEBUG."""

    async def on_mqtt_packet_received(self, *, packet: Any, session: Session | None = None) -> None:
        """Log a packet that has come in."""
        self._log("<-in--", packet, session)

    async def on_mqtt_packet_sent(self, *, packet: Any, session: Session | None = None) -> None:
        """Log a packet that was sent."""
        self._log("-out->", packet, session)

    def _log(self, arrow: str, packet: Any, session: Session | None) -> None:
        if not self.context.logger.isEnabledFor(logging.DEBUG):
            return
        shown = repr(packet)
        if len(shown) > _LONGEST_PACKET:
            shown = shown[:_LONGEST_PACKET] + "..."
        if session is None:
            self.context.logger.debug("%s %s", arrow, shown)
        else:
            self.context.logger.debug("%s %s %s", printable(session.client_id), arrow, shown)
