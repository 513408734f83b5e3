"""aiomqtt: the asyncio client on top of paho-mqtt."""

import asyncio
import contextlib
import os
import socket
from typing import Any

from .base import LIMIT, NO_PROPERTIES, Message, Peer, Properties
from .paho_peer import from_paho, paho_connect_properties, paho_subscribe_properties, to_paho


class AiomqttPeer(Peer):
    """The client of the aiomqtt project."""

    _client: Any = None
    _reader: "asyncio.Task[None] | None" = None

    async def connect(self) -> None:
        """Connect and start to collect messages."""
        import aiomqtt

        options = self.options
        is_v5 = options.version == 5
        will = None
        if given := options.will:
            more = to_paho(given.properties, given.delay, will=True) if is_v5 else None
            will = aiomqtt.Will(given.topic, given.payload, given.qos, given.retain, more)
        how: dict[str, Any] = {"clean_session": options.clean}
        if is_v5:
            more = paho_connect_properties(options)
            how = {"clean_start": options.clean, "properties": more}
        self._client = aiomqtt.Client(
            "127.0.0.1",
            options.port,
            identifier=options.client_id,
            username=options.username,
            protocol=aiomqtt.ProtocolVersion(options.version),
            **how,
            will=will,
            timeout=LIMIT,
            transport="websockets" if options.transport.startswith("ws") else "tcp",
            tls_params=aiomqtt.TLSParameters(options.cafile) if options.cafile else None,
        )
        await self._client.__aenter__()
        self._reader = asyncio.create_task(self._read())

    async def subscribe(self, topic_filter: str, qos: int, identifier: int | None = None) -> None:
        """Subscribe and wait for SUBACK."""
        more = paho_subscribe_properties(identifier)
        granted = await self._client.subscribe(topic_filter, qos, properties=more)
        assert [getattr(code, "value", code) for code in granted] == [qos]

    async def publish(
        self,
        topic: str,
        payload: bytes,
        qos: int = 0,
        *,
        retain: bool = False,
        properties: Properties = NO_PROPERTIES,
    ) -> None:
        """Publish and wait for the acknowledgement."""
        more = to_paho(properties) if self.options.version == 5 else None
        await self._client.publish(topic, payload, qos, retain, more)

    async def disconnect(self) -> None:
        """Send DISCONNECT and close."""
        if self._client is not None:
            client, self._client = self._client, None
            await self._stop_reader()
            await client.__aexit__(None, None, None)

    async def abort(self) -> None:
        """Shut the socket down under the client."""
        import aiomqtt

        if self._client is not None:
            client, self._client = self._client, None
            await self._stop_reader()
            # Below TLS and WebSocket.
            number = os.dup(client._client.socket().fileno())
            with contextlib.suppress(OSError), socket.socket(fileno=number) as connection:
                connection.shutdown(socket.SHUT_RDWR)
            with contextlib.suppress(aiomqtt.MqttError):
                await client.__aexit__(None, None, None)

    async def _read(self) -> None:
        async for message in self._client.messages:
            self.inbox.put_nowait(
                Message(
                    str(message.topic),
                    bytes(message.payload),
                    message.qos,
                    bool(message.retain),
                    from_paho(message.properties),
                )
            )

    async def _stop_reader(self) -> None:
        assert self._reader is not None
        self._reader.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._reader
        self._reader = None
