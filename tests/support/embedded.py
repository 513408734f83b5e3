"""A broker in the test's own process, and peers that do not block its event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from amqtt.broker import Broker
from amqtt.client import MQTTClient
from support import plugin_samples
from support.wire import CONNACK_ACCEPTED, connect

LIMIT = 10.0


def sample(name: str) -> str:
    """Return the dotted path of a plugin for tests."""
    return f"{plugin_samples.MODULE}.{name}"


def config_of(plugins: Any = None, **more: Any) -> dict[str, Any]:
    """Return the configuration of a broker on a free port of the loopback interface."""
    config: dict[str, Any] = {"listeners": {"default": {"bind": "127.0.0.1:0"}}, **more}
    if plugins is not None:
        config["plugins"] = plugins
    return config


def port_of(broker: Broker) -> int:
    """Return the port of the broker's only listener."""
    return broker.addresses["default"][0][1]


@asynccontextmanager
async def client_of(
    broker: Broker, client_id: str, *, user: str | None = None, clean: bool = True
) -> AsyncIterator[MQTTClient]:
    """Give a client that is connected."""
    client = MQTTClient(client_id=client_id, config={"auto_reconnect": False})
    login = f"{user}:secret@" if user is not None else ""
    await client.connect(f"mqtt://{login}127.0.0.1:{port_of(broker)}", cleansession=clean)
    try:
        yield client
    finally:
        await client.disconnect()


class Peer:
    """Speaks MQTT byte by byte."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def open(cls, broker: Broker) -> Peer:
        """Return a connection without CONNECT."""
        return cls(*await asyncio.open_connection("127.0.0.1", port_of(broker)))

    @classmethod
    async def login(cls, broker: Broker, client_id: str, **options: Any) -> Peer:
        """Return a connection that was accepted."""
        peer = await cls.open(broker)
        peer.send(connect(client_id, **options))
        await peer.expect(CONNACK_ACCEPTED)
        return peer

    def send(self, data: bytes) -> None:
        """Send bytes."""
        self.writer.write(data)

    async def read(self, size: int) -> bytes:
        """Return so many bytes."""
        return await asyncio.wait_for(self.reader.readexactly(size), LIMIT)

    async def expect(self, data: bytes) -> None:
        """Check what comes next."""
        assert await self.read(len(data)) == data

    async def packet(self) -> bytes:
        """Return the next packet, which must be a short one."""
        head = await self.read(2)
        assert head[1] < 128
        return head + await self.read(head[1])

    async def close(self) -> None:
        """Drop the connection."""
        self.writer.close()
        await self.writer.wait_closed()


async def until(condition: Any) -> None:
    """Let the loop run until a condition holds."""

    async def poll() -> None:
        while not condition():
            await asyncio.sleep(0.005)

    await asyncio.wait_for(poll(), LIMIT)
