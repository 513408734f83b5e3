"""The messages that a client puts aside while the connection is lost."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import TYPE_CHECKING, Any

from amqtt.errors import ClientError
from amqtt.logs import printable

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

    Attributes:
        messages: those that are to be sent before new ones.
        is_enabled: whether messages may be put aside.

    """

    def __init__(self, most_messages: int, most_bytes: int) -> None:
        """Begin empty."""
        self.is_enabled = most_messages > 0
        self._most_messages = most_messages
        self._most_bytes = most_bytes
        self.messages: deque[Publication] = deque()
        self._bytes = 0
        self._task: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        """Return the number of messages that wait."""
        return len(self.messages)

    def require_room(self, size: int, messages: int = 0, bytes_: int = 0) -> None:
        """Check that one more message has room.

        Args:
            size: of its topic and payload, in bytes.
            messages: that wait elsewhere, and count too.
            bytes_: of those.

        Raises:
            ClientError: there is no room for it.

        """
        messages += len(self.messages)
        bytes_ += self._bytes
        if messages >= self._most_messages or bytes_ + size > self._most_bytes:
            msg = (
                f"The queue of messages for the time after the reconnection is full: it has "
                f"{messages} messages with {bytes_} bytes"
            )
            raise ClientError(msg)

    def put(
        self,
        topic: str,
        payload: bytes | bytearray,
        qos: int,
        retain: bool,
        properties: dict[str, Any] | None,
        beside: tuple[int, int] = (0, 0),
    ) -> None:
        """Put a message aside.

        Args:
            topic: topic name.
            payload: payload.
            qos: quality of service.
            retain: the retain flag.
            properties: of PUBLISH.
            beside: the number and bytes of messages that wait elsewhere, and count too.

        Raises:
            ClientError: there is no room for it.

        """
        size = len(topic) + len(payload)
        self.require_room(size, *beside)
        self._bytes += size
        self.messages.append((topic, bytes(payload), qos, retain, properties))

    def start_sending(self, publish: Publish) -> None:
        """Send what waits, in order, as long as the connection lasts.

        Args:
            publish: sends one message.

        """
        if self.messages and (self._task is None or self._task.done()):
            self._task = asyncio.create_task(self._send(publish))

    async def _send(self, publish: Publish) -> None:
        while self.messages:
            count = min(len(self.messages), _AT_ONCE)
            batch = [self.messages[i] for i in range(count)]
            # In the order in which the tasks are made. A message that a loss cuts off is sent
            # again on the next connection.
            outcomes = await asyncio.gather(
                *(publish(*each) for each in batch), return_exceptions=True
            )
            for (topic, payload, *_), outcome in zip(batch, outcomes, strict=True):
                self.messages.popleft()
                self._bytes -= len(topic) + len(payload)
                if isinstance(outcome, BaseException):
                    _logger.warning(
                        "A message for '%s' could not be sent: %s", printable(topic), outcome
                    )
