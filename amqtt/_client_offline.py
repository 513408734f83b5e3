"""The messages that a client puts aside while the connection is lost."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import TYPE_CHECKING, Any

from amqtt.errors import ClientError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    # Topic, payload, QoS, retain, properties.
    Publication = tuple[str, bytes, int, bool, dict[str, Any] | None]
    Publish = Callable[..., Awaitable[Any]]

_logger = logging.getLogger(__name__)
# Sent together, before their acknowledgements are waited for.
_AT_ONCE = 100


class OfflineQueue:
    """Keep messages in order, and send them when the connection is back.

    Args:
        most_messages: messages that have room; 0 switches it off.
        most_bytes: the same as the sum of topics and payloads.

    """

    def __init__(self, most_messages: int, most_bytes: int) -> None:
        """Begin empty."""
        self._most_messages = most_messages
        self._most_bytes = most_bytes
        self._messages: deque[Publication] = deque()
        self._bytes = 0
        self._task: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        """Return the number of messages that wait."""
        return len(self._messages)

    @property
    def is_enabled(self) -> bool:
        """Whether messages may be put aside."""
        return self._most_messages > 0

    @property
    def is_sending(self) -> bool:
        """Whether there are messages that are to be sent before new ones."""
        return bool(self._messages)

    def put(
        self,
        topic: str,
        payload: bytes | bytearray,
        qos: int,
        retain: bool,
        properties: dict[str, Any] | None,
    ) -> None:
        """Put a message aside.

        Raises:
            ClientError: there is no room for it.

        """
        size = len(topic) + len(payload)
        if len(self._messages) >= self._most_messages or self._bytes + size > self._most_bytes:
            msg = (
                f"The queue of messages for the time after the reconnection is full: it has "
                f"{len(self._messages)} messages with {self._bytes} bytes"
            )
            raise ClientError(msg)
        self._bytes += size
        self._messages.append((topic, bytes(payload), qos, retain, properties))

    def start_sending(self, publish: Publish) -> None:
        """Send what waits, in order, as long as the connection lasts.

        Args:
            publish: sends one message.

        """
        if self._messages and (self._task is None or self._task.done()):
            self._task = asyncio.create_task(self._send(publish))

    async def _send(self, publish: Publish) -> None:
        while self._messages:
            count = min(len(self._messages), _AT_ONCE)
            batch = [self._messages[i] for i in range(count)]
            # In the order in which the tasks are made. A message that a loss cuts off is sent
            # again on the next connection.
            outcomes = await asyncio.gather(
                *(publish(*each) for each in batch), return_exceptions=True
            )
            for (topic, payload, *_), outcome in zip(batch, outcomes, strict=True):
                self._messages.popleft()
                self._bytes -= len(topic) + len(payload)
                if isinstance(outcome, BaseException):
                    _logger.warning("A message for '%s' could not be sent: %s", topic, outcome)
