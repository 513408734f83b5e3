"""Brokers that keep their sessions in a database, and what is in it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import create_async_engine

from amqtt.broker import Broker
from support.client import make_client

PLUGIN = "amqtt.contrib.persistence.SessionDBPlugin"

Step = Callable[[], Awaitable[None]]


def file_of(url: str) -> Path:
    """Return the file of a SQLite URL."""
    return Path(url.removeprefix("sqlite+aiosqlite:///"))


def uri_of(broker: Broker) -> str:
    """Return the URI of a broker's listener."""
    return f"mqtt://127.0.0.1:{broker.addresses['default'][0][1]}"


def config_of(url: str, *, shutdown_timeout: float = 5, **options: Any) -> dict[str, Any]:
    """Return the configuration of a broker on a free port."""
    return {
        "shutdown_timeout": shutdown_timeout,
        "listeners": {"default": {"type": "tcp", "bind": "127.0.0.1:0"}},
        "plugins": {
            "amqtt.plugins.authentication.AnonymousAuthPlugin": {},
            PLUGIN: {"connection": url, "clear_on_shutdown": False, **options},
        },
    }


@contextlib.asynccontextmanager
async def running(url: str, **options: Any) -> AsyncIterator[str]:
    """Run a broker that keeps its sessions; gives its URI."""
    async with Broker(config_of(url, **options)) as broker:
        yield uri_of(broker)


async def count(url: str, table: Any) -> int:
    """Return how many rows a table has."""
    engine = create_async_engine(url)
    try:
        async with engine.connect() as connection:
            return int(await connection.scalar(select(func.count()).select_from(table)) or 0)
    finally:
        await engine.dispose()


async def take(client: Any, number: int) -> list[tuple[str, bytes, int]]:
    """Take messages of a client: topic, payload and QoS."""
    taken = []
    for _ in range(number):
        message = await client.deliver_message(timeout_duration=10)
        assert message is not None
        taken.append((message.topic, bytes(message.data), message.qos))
    return taken


async def publish_while(client: Any, trouble: Step, repair: Step) -> None:
    """Publish while the store is in trouble: acknowledged afterwards, and not before.

    Pings of the client that waits are answered, and clients that need no store go on.
    """
    await trouble()
    waiting = asyncio.ensure_future(client.publish("t", b"meanwhile", qos=1))
    done, _ = await asyncio.wait([waiting], timeout=0.5)
    assert not done, "acknowledged, though it cannot have been stored"
    await asyncio.wait_for(client.ping(), 10)
    await repair()
    await asyncio.wait_for(waiting, 30)


@contextlib.asynccontextmanager
async def bystander(uri: str) -> AsyncIterator[Step]:
    """Connect a client whose messages need no store; gives a step that sends and receives one."""
    client = make_client(4, "bystander")
    await client.connect(uri)
    await client.subscribe([("free", 1)])

    async def exchange() -> None:
        await asyncio.wait_for(client.publish("free", b"x", qos=1), 10)
        assert await take(client, 1) == [("free", b"x", 1)]

    yield exchange
    await client.disconnect()


async def leave_subscriber(uri: str) -> None:
    """Make a session that is subscribed to `t`, and away."""
    away = make_client(4, "away")
    await away.connect(uri, cleansession=False)
    await away.subscribe([("t", 1)])
    await away.disconnect()


async def check_waiting(url: str, expected: list[bytes]) -> None:
    """Start a broker: that session gets these messages."""
    async with running(url) as uri:
        away = make_client(4, "away")
        await away.connect(uri, cleansession=False)
        assert [payload for _, payload, _ in await take(away, len(expected))] == expected
        await away.disconnect()
