"""paho-mqtt: callbacks on a thread of its own, handed over to the event loop."""

import asyncio
from typing import Any

from .base import LIMIT, Message, Peer


class PahoPeer(Peer):
    """The Python client of Eclipse Paho."""

    _client: Any = None

    async def connect(self) -> None:
        """Start the client's thread and wait for CONNACK."""
        from paho.mqtt.client import Client
        from paho.mqtt.enums import CallbackAPIVersion

        options = self.options
        self._loop = asyncio.get_running_loop()
        self._connected: asyncio.Future[Any] = self._loop.create_future()
        self._subscribed: asyncio.Future[Any] = self._loop.create_future()
        client = self._client = Client(
            CallbackAPIVersion.VERSION2,
            options.client_id,
            clean_session=options.clean,
            transport="websockets" if options.transport.startswith("ws") else "tcp",
        )
        if options.cafile is not None:
            client.tls_set(options.cafile)
        client.username_pw_set(options.username)
        if will := options.will:
            client.will_set(will.topic, will.payload, will.qos, will.retain)
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        client.connect("127.0.0.1", options.port)
        client.loop_start()
        reason = await asyncio.wait_for(self._connected, LIMIT)
        assert not reason.is_failure, reason

    async def subscribe(self, topic_filter: str, qos: int) -> None:
        """Subscribe and wait for SUBACK."""
        self._client.subscribe(topic_filter, qos)
        granted = await asyncio.wait_for(self._subscribed, LIMIT)
        assert [code.value for code in granted] == [qos]

    async def publish(
        self, topic: str, payload: bytes, qos: int = 0, *, retain: bool = False
    ) -> None:
        """Publish and wait for the acknowledgement."""
        info = self._client.publish(topic, payload, qos, retain)
        await asyncio.to_thread(info.wait_for_publish, LIMIT)
        assert info.is_published()

    async def disconnect(self) -> None:
        """Send DISCONNECT and end the thread."""
        if self._client is not None:
            client, self._client = self._client, None
            client.disconnect()
            await asyncio.to_thread(client.loop_stop)

    async def abort(self) -> None:
        """End the thread first, so that it does not reconnect, then drop the socket."""
        if self._client is not None:
            client, self._client = self._client, None
            await asyncio.to_thread(client.loop_stop)
            if client.socket() is not None:
                client.socket().close()

    def _on_connect(self, _client: Any, _data: Any, _flags: Any, reason: Any, _props: Any) -> None:
        self._loop.call_soon_threadsafe(_settle, self._connected, reason)

    def _on_subscribe(self, _client: Any, _data: Any, _mid: int, codes: Any, _props: Any) -> None:
        self._loop.call_soon_threadsafe(_settle, self._subscribed, codes)

    def _on_message(self, _client: Any, _data: Any, message: Any) -> None:
        seen = Message(message.topic, message.payload, message.qos, bool(message.retain))
        self._loop.call_soon_threadsafe(self.inbox.put_nowait, seen)


def _settle(future: "asyncio.Future[Any]", value: object) -> None:
    if not future.done():
        future.set_result(value)
