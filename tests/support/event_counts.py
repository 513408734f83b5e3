"""A plugin that counts the events of each client and leaves the result in a file."""

from __future__ import annotations

import json
import logging
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from amqtt.broker import BrokerContext
from amqtt.plugins.base import BasePlugin


class EventCounts(BasePlugin[BrokerContext]):
    """Count events, and see that the numbers that clients publish come one after the other.

    The payload of a message is a number, one more than that of the client's message before.
    """

    @dataclass
    class Config:
        """Where the result goes, and whether the packaged loggers log all they can."""

        file: str
        log_everything: bool = False

    def __init__(self, context: BrokerContext) -> None:
        """Begin to count."""
        super().__init__(context)
        self._counts: Counter[str] = Counter()
        self._last: dict[str, int] = {}
        self._out_of_order: list[str] = []
        if self.config.log_everything:
            for name in ("EventLoggerPlugin", "PacketLoggerPlugin"):
                logging.getLogger(f"amqtt.broker.plugins.{name}").setLevel(logging.DEBUG)

    def _count(self, event: str, client_id: str | None) -> None:
        self._counts[f"{event} {client_id}"] += 1

    async def on_broker_client_connected(self, *, client_id: str, client_session: Any) -> None:
        """Count."""
        self._count("connected", client_id)
        if client_session.client_id != client_id:
            self._out_of_order.append(f"{client_id} has the session of another client")

    async def on_broker_client_disconnected(self, *, client_id: str, client_session: Any) -> None:
        """Count."""
        self._count("disconnected", client_id)
        if client_session.client_id != client_id:
            self._out_of_order.append(f"{client_id} has the session of another client")

    async def on_broker_client_subscribed(self, *, client_id: str, topic: str, qos: int) -> None:
        """Count."""
        del topic, qos
        self._count("subscribed", client_id)

    async def on_broker_message_received(self, *, client_id: str, message: Any) -> None:
        """Count, and compare with the message before."""
        self._count("received", client_id)
        number, before = int(message.data), self._last.get(client_id, 0)
        if number != before + 1:
            self._out_of_order.append(f"{client_id}: {number} after {before}")
        self._last[client_id] = number

    async def on_broker_message_broadcast(self, *, client_id: str, message: Any) -> None:
        """Count."""
        del message
        self._count("broadcast", client_id)

    async def on_mqtt_packet_received(self, *, packet: Any, session: Any = None) -> None:
        """Count, by type of packet."""
        if session is not None:
            self._count(type(packet).__name__, session.client_id)

    async def on_broker_post_shutdown(self) -> None:
        """Write what was counted."""
        result = {"counts": self._counts, "out_of_order": self._out_of_order}
        Path(self.config.file).write_text(json.dumps(result))
