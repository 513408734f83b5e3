"""Clients with habits that the load generator does not have: wills, take-overs, absence."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from amqtt.client import MQTTClient
from benchmarks.load.peers import HOST

CROWD = 10
MISSED = 50
PATIENCE = 30.0
DISCONNECT = b"\xe0\x00"


def _field(text: str) -> bytes:
    return len(text).to_bytes(2, "big") + text.encode()


def _connect(client_id: str, will_topic: str) -> bytes:
    """Return a CONNECT of MQTT 3.1.1 with a will of QoS 1, and a clean session."""
    body = (
        _field("MQTT") + b"\x04\x0e\x00\x3c" + _field(client_id) + _field(will_topic) + _field("")
    )
    return b"\x10" + bytes([len(body)]) + body


class Stranger:
    """A connection by hand, which can end in any way."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take a connection that the broker has accepted."""
        self._reader = reader
        self._writer = writer

    @classmethod
    async def come(cls, port: int, client_id: str, will_topic: str) -> Stranger:
        """Connect; raise ConnectionError when the broker does not want that."""
        reader, writer = await asyncio.open_connection(HOST, port)
        writer.write(_connect(client_id, will_topic))
        answer = await asyncio.wait_for(reader.readexactly(4), PATIENCE)
        if answer != b"\x20\x02\x00\x00":
            raise ConnectionError(f"CONNACK is {answer.hex()}")
        return cls(reader, writer)

    def vanish(self) -> None:
        """End the connection without a word."""
        self._writer.transport.abort()

    async def leave(self) -> None:
        """Disconnect as it should be."""
        self._writer.write(DISCONNECT)
        await self.wait_for_end()

    async def wait_for_end(self) -> None:
        """Wait until the broker has closed the connection."""
        await asyncio.wait_for(self._reader.read(), PATIENCE)
        self._writer.close()


@dataclass
class Visitors:
    """One round of them. What they find wrong is a problem each."""

    port: int
    delivered: int = 0
    problems: list[str] = field(default_factory=list)

    async def visit(self) -> list[str]:
        """Do everything once; return what was wrong."""
        for what in (self._wills, self._take_overs, self._absence):
            try:
                await what()
            except (OSError, asyncio.TimeoutError, EOFError) as error:
                self.problems.append(f"{what.__name__.strip('_')}: {error!r}")
        return self.problems

    async def _come(self, name: str, *, clean: bool = True) -> MQTTClient:
        client = MQTTClient(name, {"auto_reconnect": False})
        await client.connect(f"mqtt://{HOST}:{self.port}/", cleansession=clean)
        return client

    @contextlib.asynccontextmanager
    async def _watching(self, topic_filter: str) -> AsyncIterator[MQTTClient]:
        """Give a client that has subscribed to a filter."""
        watcher = await self._come("watcher of " + topic_filter)
        try:
            await watcher.subscribe([(topic_filter, 2)])
            yield watcher
        finally:
            await watcher.disconnect()

    async def _expect(self, client: MQTTClient, wanted: list[str]) -> None:
        """Take as many messages as are wanted, whose topics must be these in any order."""
        got: list[str] = []
        for _ in wanted:
            message = await client.deliver_message(PATIENCE)
            if message is not None:
                got.append(message.topic)
        self.delivered += len(got)
        if sorted(got) != sorted(wanted):
            self.problems.append(f"expected {wanted}, got {got}")

    async def _wills(self) -> None:
        """Half of a crowd vanishes, half disconnects: wills of the first alone are published."""
        async with self._watching("wills/+") as watcher:
            crowd = [
                await Stranger.come(self.port, f"crowd{n}", f"wills/{n}") for n in range(CROWD)
            ]
            for stranger in crowd[1::2]:
                await stranger.leave()
            for stranger in crowd[::2]:
                stranger.vanish()
            await self._expect(watcher, [f"wills/{n}" for n in range(0, CROWD, 2)])
            await watcher.publish("wills/end", b"", qos=1)
            await self._expect(watcher, ["wills/end"])

    async def _take_overs(self) -> None:
        """Each takes over from the one before, whose will is published."""
        async with self._watching("taken/+") as watcher:
            present = await Stranger.come(self.port, "taken", "taken/0")
            for number in range(1, CROWD):
                following = await Stranger.come(self.port, "taken", f"taken/{number}")
                await present.wait_for_end()
                present = following
            await present.leave()
            await self._expect(watcher, [f"taken/{n}" for n in range(CROWD - 1)])

    async def _absence(self) -> None:
        """What is published while a client is away is there when it comes back, and retained."""
        topics = [f"missed/{n}" for n in range(MISSED)]
        away = await self._come("away", clean=False)
        await away.subscribe([("missed/#", 2)])
        await away.disconnect()
        publisher = await self._come("publisher")
        for n, topic in enumerate(topics):
            await publisher.publish(topic, b"x" * 100, qos=1 + n % 2, retain=True)
        away = await self._come("away", clean=False)
        await self._expect(away, topics)
        await away.disconnect()
        async with self._watching("missed/#") as late:
            await self._expect(late, topics)
        for topic in topics:
            await publisher.publish(topic, b"", qos=1, retain=True)
        await publisher.disconnect()
        await (await self._come("away")).disconnect()  # which ends its session
