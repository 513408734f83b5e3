"""Requests and their responses (MQTT 5.0, section 4.10)."""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote

from amqtt.errors import ClientError
from amqtt.logs import printable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from amqtt._client.subscriptions import SubscriptionBook
    from amqtt.session import ApplicationMessage

_FIRST_FAILURE = 0x80
_DEFAULT_PREFIX = "amqtt/response"
_CORRELATION_SIZE = 8
# Retained messages of an earlier owner of the topic are no responses.
_OPTIONS = (2, False, False, 2)


class RequestingClient(Protocol):
    """What requests need of `MQTTClient`."""

    client_id: str
    connack_properties: dict[str, Any]
    _subscriptions: SubscriptionBook

    @property
    def _connected_state(self) -> asyncio.Event: ...

    async def publish(
        self,
        topic: str,
        message: bytes | bytearray,
        qos: int | None,
        retain: bool | None,
        *,
        properties: dict[str, Any],
    ) -> object:
        """Publish the request."""

    async def _wait_connected(self) -> None: ...

    async def _request(self, command: str, *arguments: Any) -> Any: ...


class Requests:
    """Match responses with requests; all come on one topic, which is subscribed to when needed.

    The topic is made of the client identifier. So a session that outlives the process has one
    subscription for it, and an administrator can say who may use it.
    """

    def __init__(self) -> None:
        """Begin without a topic."""
        self.has_topics = False  # whether any message may be a response
        self._topic: str | None = None
        self._subscribed: asyncio.Task[None] | None = None
        self._wanted: Counter[str] = Counter()  # requests by the topic they want responses from
        # By Correlation Data.
        self._waiting: dict[bytes, asyncio.Future[ApplicationMessage]] = {}

    def begin(self, client_id: str) -> None:
        """Expect responses to an earlier process, from the first packet of a kept session on."""
        self._topic = _own_topic(client_id, None)
        self._subscribed = None
        self.has_topics = True

    def connected(self, client: RequestingClient, session_present: bool) -> None:
        """Take the client's own topic from a new connection, and forget what a lost session had."""
        topic = _own_topic(client.client_id, client.connack_properties.get("response_information"))
        if not session_present or topic != self._topic:
            self._subscribed = None
        self._topic = topic

    def fail(self, error: Exception) -> None:
        """End all waiting for responses."""
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(error)

    async def run(
        self,
        client: RequestingClient,
        topic: str,
        payload: bytes | bytearray,
        qos: int,
        properties: dict[str, Any],
    ) -> ApplicationMessage:
        """Publish a request and wait for its response."""
        self.has_topics = True
        correlation = properties.get("correlation_data") or secrets.token_bytes(_CORRELATION_SIZE)
        if correlation in self._waiting:
            msg = f"Another request waits for a response with the correlation data {correlation!r}"
            raise ClientError(msg)
        answer: asyncio.Future[ApplicationMessage] = asyncio.get_running_loop().create_future()
        self._waiting[correlation] = answer
        try:
            async with self._response_topic(client, properties.get("response_topic")) as chosen:
                own = {"response_topic": chosen, "correlation_data": correlation}
                await client.publish(topic, payload, qos, False, properties={**properties, **own})
                return await answer
        finally:
            del self._waiting[correlation]
            if answer.done() and not answer.cancelled():
                answer.exception()  # seen: publish() may have raised first

    @asynccontextmanager
    async def _response_topic(
        self, client: RequestingClient, wanted: str | None
    ) -> AsyncIterator[str]:
        """Give a topic that responses come from: the client's own, or the one that is wanted."""
        # Which topic is its own, and whether it is subscribed to, is known on a connection.
        await client._wait_connected()
        topic = wanted or self._topic
        assert topic is not None
        self._wanted[topic] += 1
        try:
            await self._subscribe(client, topic)
            yield topic
        finally:
            self._wanted[topic] -= 1
            if not self._wanted[topic]:
                del self._wanted[topic]
                if topic != self._topic:
                    await _unsubscribe(client, topic)

    def has_claimed(self, message: ApplicationMessage) -> bool:
        """Tell whether a message is a response; late ones are dropped."""
        is_own = message.topic == self._topic
        if not is_own and message.topic not in self._wanted:
            return False
        correlation = (message.properties or {}).get("correlation_data", b"")
        answer = self._waiting.get(correlation)
        if answer is not None and not answer.done():
            answer.set_result(message)
            return True
        return is_own  # a topic that the application chose may have other messages

    async def subscribe_again(self, client: RequestingClient) -> None:
        """Subscribe on a new session to what requests are waiting for."""
        for topic in list(self._wanted):
            await self._subscribe(client, topic)

    async def _subscribe(self, client: RequestingClient, topic: str) -> None:
        if topic != self._topic:
            if topic not in client._subscriptions:
                await _subscribe(client, topic)
            return
        subscribed = self._subscribed
        if subscribed is None:
            subscribed = self._subscribed = asyncio.create_task(_subscribe(client, topic))
        try:
            # Several requests wait for one subscription; the end of one is not that of it.
            await asyncio.shield(subscribed)
        except BaseException:
            # Unless it is only this request that was cancelled: the next one tries again.
            if self._subscribed is subscribed and subscribed.done():
                self._subscribed = None
            raise


def _own_topic(client_id: str, information: str | None) -> str:
    return f"{(information or _DEFAULT_PREFIX).rstrip('/')}/{quote(client_id, safe='')}"


async def _subscribe(client: RequestingClient, topic: str) -> None:
    codes, _ = await client._request("subscribe", [(topic, _OPTIONS)], None)
    if codes[0] >= _FIRST_FAILURE:
        msg = f"The broker refuses the subscription to the response topic '{printable(topic)}'"
        raise ClientError(msg)


async def _unsubscribe(client: RequestingClient, topic: str) -> None:
    """Remove a subscription, unless it is one of the application."""
    if topic not in client._subscriptions and client._connected_state.is_set():
        with suppress(ClientError):
            await client._request("unsubscribe", [topic], None)
