"""The messages that a client has received and the application has not taken."""

from __future__ import annotations

import asyncio
import re
import weakref
from collections import deque
from functools import lru_cache
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from typing_extensions import Self

    from amqtt.session import ApplicationMessage


class Owner(Protocol):
    """What a stream needs of its client."""

    @property
    def inbox(self) -> Inbox:
        """Where its messages are counted."""

    def end_of_messages(self) -> BaseException | None:
        """Return why no message will come any more; None when some may."""

    def inbox_has_unclaimed(self) -> bool:
        """Tell whether a message waits that no stream has claimed."""

    async def deliver_message(
        self, timeout_duration: float | None = None
    ) -> ApplicationMessage | None:
        """Return the next message that no stream has claimed."""


class Inbox:
    """Sort received messages, and tell the engine when the application has taken some.

    Args:
        most_messages: messages that may wait.
        most_bytes: the same as the sum of their topics, payloads and properties.
        drops_oldest: whether more messages push out those that have waited longest.
        consumed: told how many messages with how many bytes do not wait any more.

    Attributes:
        dropped: messages that were pushed out.
        drops_oldest: as given.
        has_streams: whether a stream may claim messages by a filter.

    """

    def __init__(
        self,
        most_messages: int,
        most_bytes: int,
        drops_oldest: bool,
        consumed: Callable[[int, int], None],
    ) -> None:
        """Make an empty inbox."""
        self.dropped = 0
        self.has_streams = False
        self._most_messages = most_messages
        self.drops_oldest = drops_oldest
        # The engine stops at the bound; it learns in time that there is room again.
        self._report_messages = max(1, most_messages // 4)
        self._report_bytes = max(1, most_bytes // 4)
        self._consumed = consumed
        self._taken_messages = 0
        self._taken_bytes = 0
        self._streams: weakref.WeakSet[MessageStream] = weakref.WeakSet()
        # By identity: further copies of a message that several streams have.
        self._copies: dict[int, int] = {}

    def add_stream(self, stream: MessageStream) -> None:
        """Let a stream claim the messages that match its filters, until it is closed or gone."""
        self._streams.add(stream)
        self.has_streams = True

    def remove_stream(self, stream: MessageStream) -> None:
        """Let a stream claim no more messages."""
        self._streams.discard(stream)

    def claim(self, message: ApplicationMessage) -> bool:
        """Put a message into the streams that it matches; tell whether there is one."""
        copies = 0
        for stream in list(self._streams):
            if stream.matches(message.topic):
                copies += 1
                self.make_room(stream.waiting)
                stream.put(message)
        self.has_streams = bool(self._streams)  # some may be gone
        if copies > 1:
            self._copies[id(message)] = copies - 1
        return copies > 0

    def make_room(self, waiting: deque[ApplicationMessage]) -> None:
        """Push the oldest message out of a full queue, if that is the policy."""
        if self.drops_oldest and len(waiting) >= self._most_messages:
            self.taken(waiting.popleft())
            self.dropped += 1

    def taken(self, message: ApplicationMessage) -> None:
        """Note that a message does not wait any more."""
        if self._copies:
            left = self._copies.pop(id(message), 0)
            if left > 0:
                if left > 1:
                    self._copies[id(message)] = left - 1
                return
        self._taken_messages += 1
        self._taken_bytes += message.received_size
        if self._taken_messages >= self._report_messages or self._taken_bytes >= self._report_bytes:
            self._report()

    def _report(self) -> None:
        if not self.drops_oldest:  # otherwise the engine does not count
            self._consumed(self._taken_messages, self._taken_bytes)
        self._taken_messages = self._taken_bytes = 0

    def wake_all(self) -> None:
        """Let every stream look whether something has come, or the end."""
        for stream in list(self._streams):
            stream.wake()


class MessageStream:
    """Iterate over received messages; `MQTTClient.messages()` makes it.

    The messages of a stream with filters wait in it until they are taken, or it is closed or gone.

    Args:
        owner: the client.
        filters: topic filters; none for the messages that no other stream claims.

    """

    def __init__(self, owner: Owner, filters: tuple[str, ...]) -> None:
        """Begin to claim messages."""
        self.waiting: deque[ApplicationMessage] = deque()
        self._owner = owner
        self._inbox = owner.inbox
        self._patterns = [_pattern(each) for each in filters]
        self._closed = False
        self._changed: asyncio.Future[None] | None = None
        if filters:
            self._inbox.add_stream(self)
            # Of a stream that was left by `break`, and not closed.
            weakref.finalize(self, _drop_all, self._inbox, self.waiting).atexit = False

    def matches(self, topic: str) -> bool:
        """Tell whether the stream claims the messages of a topic."""
        return any(pattern.match(topic) for pattern in self._patterns)

    def put(self, message: ApplicationMessage) -> None:
        """Add a message; not for applications."""
        self.waiting.append(message)
        self.wake()

    def wake(self) -> None:
        """Let the iteration go on; not for applications."""
        if self._changed is not None and not self._changed.done():
            self._changed.set_result(None)

    def __aiter__(self) -> Self:
        """Return the stream itself."""
        return self

    async def __anext__(self) -> ApplicationMessage:
        """Wait for the next message.

        Raises:
            StopAsyncIteration: the stream was closed, or the client has disconnected.
            ClientError: the connection was lost for good.
            RuntimeError: another task waits for the next message of this stream.

        """
        if not self._patterns:
            return await self._next_unclaimed()
        if self._changed is not None:
            msg = (
                "Another task waits for a message of this stream already: let each task have a"
                " stream of its own, or one task hand out what it receives"
            )
            raise RuntimeError(msg)
        while not self.waiting:
            if self._closed:
                raise StopAsyncIteration
            end = self._owner.end_of_messages()
            if end is not None:
                raise end
            self._changed = asyncio.get_running_loop().create_future()
            try:
                await self._changed
            finally:
                self._changed = None
        message = self.waiting.popleft()
        self._inbox.taken(message)
        return message

    async def _next_unclaimed(self) -> ApplicationMessage:
        while not self._closed:
            end = self._owner.end_of_messages()
            if end is not None and not self._owner.inbox_has_unclaimed():
                raise end
            message = await self._owner.deliver_message()
            if message is not None:
                return message
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """Claim no more messages, and drop those that wait."""
        self._closed = True
        self._inbox.remove_stream(self)
        _drop_all(self._inbox, self.waiting)
        self.wake()

    async def __aenter__(self) -> Self:
        """Return the stream itself."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the stream."""
        await self.aclose()


def _drop_all(inbox: Inbox, waiting: deque[ApplicationMessage]) -> None:
    """Let messages wait no more that nobody will take: the engine waits for room."""
    while waiting:
        inbox.taken(waiting.popleft())


@lru_cache(maxsize=1024)
def _pattern(topic_filter: str) -> re.Pattern[str]:
    """Translate a topic filter (section 4.7); that of a shared subscription claims its topics."""
    levels = topic_filter.split("/")
    if levels[0] == "$share" and len(levels) > 2:  # and its group
        levels = levels[2:]
    # A wildcard at the beginning does not stand for the server's own topics (MQTT-4.7.2-1).
    expression = r"(?!\$)" if levels[0] in ("+", "#") else ""
    for index, level in enumerate(levels):
        if level == "#":
            # Also stands for the level above it.
            return re.compile(expression + (r"(?:/.*)?\Z" if index else r".*\Z"), re.DOTALL)
        expression += "/" if index else ""
        expression += "[^/]*" if level == "+" else re.escape(level)
    return re.compile(expression + r"\Z", re.DOTALL)
