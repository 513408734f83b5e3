"""The messages that a client has received, and how they reach the application."""

from __future__ import annotations

import asyncio
import weakref
from collections import deque
from typing import TYPE_CHECKING, Any, Protocol

from amqtt._client.commands import ARRIVED, ENDED
from amqtt._client.requests import Requests
from amqtt._client.session_file.session import KeptSession
from amqtt._engine.futures import PromptFuture
from amqtt.errors import ClientError
from amqtt.session import IncomingApplicationMessage
from amqtt.topics import filter_pattern

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from typing_extensions import Self

    from amqtt._engine.reactor import ClientReactor
    from amqtt.contexts import ClientConfig
    from amqtt.session import ApplicationMessage

_TIMED_OUT = "timed out"


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
        self._patterns = [filter_pattern(each) for each in filters]
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


class ClientDelivery(KeptSession):
    """Give messages to those who wait for them; part of `MQTTClient`."""

    inbox: Inbox

    def __init__(self) -> None:
        """Begin without messages."""
        super().__init__()
        self._requests = Requests()

    def _open_inbox(self, config: ClientConfig) -> None:
        self.inbox = Inbox(
            config.receive_buffer_messages,
            config.receive_buffer_bytes,
            config.receive_policy == "drop_oldest",
            self._consumed,
        )

    @property
    def dropped_messages(self) -> int:
        """Received messages that were dropped because the application did not take them."""
        return self.inbox.dropped

    async def deliver_message(
        self, timeout_duration: float | None = None
    ) -> ApplicationMessage | None:
        """Return the next message of the subscriptions, in the order of arrival.

        Args:
            timeout_duration: seconds to wait; None means without end.

        Returns:
            The message; None when the wait was ended by `disconnect()`, `cancel_tasks()` or an
            unrecovered loss of the connection.

        Raises:
            asyncio.TimeoutError: no message came in time.
            ClientError: the client was never connected, or it is not connected any more and all
                messages have been taken.

        """
        if self.session is None:
            msg = "Handler is not initialized."
            raise ClientError(msg)
        queue = self.session.delivered_message_queue
        if queue.empty():
            await self._wait_for_message(queue, timeout_duration)
            if queue.empty():
                return None
        message: ApplicationMessage = queue._queue.popleft()  # type: ignore[attr-defined]
        self.inbox.taken(message)
        return message

    async def _wait_for_message(
        self, queue: asyncio.Queue[Any], timeout_duration: float | None
    ) -> None:
        """Wait until the queue has a message; or until the waiting is ended, and it has none."""
        loop = asyncio.get_running_loop()
        deadline = None if timeout_duration is None else loop.time() + timeout_duration
        while queue.empty():
            if self._no_more_connections.is_set():
                raise self._not_connected()
            waiter: PromptFuture[str] = PromptFuture(loop=loop)
            self.client_tasks.append(waiter)
            timer = None if deadline is None else loop.call_at(deadline, _time_out, waiter)
            try:
                why = await waiter
            except asyncio.CancelledError:
                if waiter.done() and not waiter.cancelled() and waiter.result() == ARRIVED:
                    self._wake_delivery()  # the message is for somebody else now
                raise
            finally:
                if timer is not None:
                    timer.cancel()
                if self.client_tasks and waiter in self.client_tasks:
                    self.client_tasks.remove(waiter)
            if why == ENDED:
                return
            if why == _TIMED_OUT:
                raise asyncio.TimeoutError

    def messages(self, *filters: str) -> MessageStream:
        """Iterate over received messages; `subscribe()` is still needed to receive any.

        A message goes to each iteration with a filter that it matches. What none claims goes to
        `deliver_message()` and to iterations without filters, once.

        Args:
            filters: topic filters; none for the messages that nobody claims.

        Returns:
            An asynchronous iterator, which is also an asynchronous context manager. It ends when
            the client disconnects, and raises `ClientError` when the connection is lost for good.

        """
        return MessageStream(self, filters)

    def acknowledge(self, message: ApplicationMessage, reason_code: int = 0) -> None:
        """Acknowledge a received message, with `manual_acknowledgement` in the configuration.

        Acknowledgements leave in the order in which the messages came in. That of a message from
        an earlier connection has no effect: the broker has sent it again, or will.

        Args:
            message: the message.
            reason_code: Reason Code of PUBACK or PUBREC in MQTT 5.0; 0x80 or more refuses it.

        Raises:
            ClientError: the messages are acknowledged as they come.

        """
        if not self.config.manual_acknowledgement:
            msg = "acknowledge() needs manual_acknowledgement in the configuration"
            raise ClientError(msg)
        connection = getattr(message, "connection", None)
        if self._reactor is not None and message.packet_id and connection is not None:
            self._reactor.engine.acknowledge(
                self._handle, connection, message.packet_id, reason_code
            )

    def message_received(
        self,
        topic: str,
        payload: bytes,
        qos: int,
        retain: bool,
        packet_id: int,
        size: int,
        properties: dict[str, Any] | None,
    ) -> None:
        """Take a message from the engine; not for applications."""
        message = IncomingApplicationMessage(packet_id or None, topic, qos, payload, retain)
        if properties is not None:
            message.properties = properties
        message.connection = self._connection_number
        message.received_size = size
        if self._journal is None or not self._journal.holds(message):
            self.deliver(message)

    def deliver(self, message: IncomingApplicationMessage) -> None:
        """Give a received message to whoever waits for it; not for applications."""
        session = self.session
        if session is None:
            return
        if self._requests.has_topics and self._requests.has_claimed(message):
            self.inbox.taken(message)
            return
        if self.inbox.has_streams and self.inbox.claim(message):
            return
        queue = session.delivered_message_queue
        if self.inbox.drops_oldest:
            self.inbox.make_room(queue._queue)  # type: ignore[attr-defined]
        if queue._getters:  # type: ignore[attr-defined]  # of an application
            queue.put_nowait(message)
        else:  # what that does beside costs as much as all of the rest here
            queue._queue.append(message)  # type: ignore[attr-defined]
        if self.client_tasks:
            self._wake_delivery(self._reactor)

    def end_of_messages(self) -> BaseException | None:
        """Tell why no message will come any more; not for applications."""
        if self.session is None:
            return ClientError("Handler is not initialized.")
        if not self._no_more_connections.is_set():
            return None
        return self._not_connected() if self._loss else StopAsyncIteration()

    def messages_ended(self) -> None:
        """Wake the iterations; not for applications."""
        self.inbox.wake_all()
        self._requests.fail(self._not_connected())

    def inbox_has_unclaimed(self) -> bool:
        """Tell whether a message waits that no iteration has claimed; not for applications."""
        return self.session is not None and not self.session.delivered_message_queue.empty()

    def _wake_delivery(self, told_by: ClientReactor | None = None) -> None:
        while self.client_tasks:
            waiter = self.client_tasks.popleft()
            if waiter.done():
                continue
            if told_by is None:
                waiter.set_result(ARRIVED)
            else:
                told_by.resume(waiter, ARRIVED)
            return

    def _consumed(self, messages: int, size: int) -> None:
        if self._reactor is not None:
            self._reactor.engine.consumed(self._handle, messages, size)


def _time_out(waiter: asyncio.Future[str]) -> None:
    if not waiter.done():
        waiter.set_result(_TIMED_OUT)
