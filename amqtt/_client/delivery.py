"""How received messages reach the application."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from amqtt._client.commands import ARRIVED, ENDED
from amqtt._client.receiving import Inbox, MessageStream
from amqtt._client.requests import Requests
from amqtt._client.session_file.session import KeptSession
from amqtt._engine.futures import PromptFuture
from amqtt.errors import ClientError
from amqtt.session import IncomingApplicationMessage

if TYPE_CHECKING:
    from amqtt._engine.reactor import ClientReactor
    from amqtt.contexts import ClientConfig
    from amqtt.session import ApplicationMessage

_TIMED_OUT = "timed out"


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
