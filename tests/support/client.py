"""Clients under test, and waiting for what they do."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import fields
from typing import Any

import pytest

from amqtt.client import MQTTClient
from amqtt.contexts import ClientConfig

LIMIT = 10.0
HAS_V5 = "protocol_version" in {field.name for field in fields(ClientConfig)}


def make_client(version: int = 4, client_id: str | None = None, **config: Any) -> MQTTClient:
    """Make a client of a protocol version that does not reconnect unless it is told to."""
    if version == 5:
        if not HAS_V5:
            pytest.skip("the client has no MQTT 5.0 in this version")
        config["protocol_version"] = 5
    return MQTTClient(client_id, config={"auto_reconnect": False, **config})


@contextlib.asynccontextmanager
async def connected(client: MQTTClient, uri: str, **arguments: Any) -> AsyncIterator[MQTTClient]:
    """Connect a client for the time of a block; a connection that is lost meanwhile is no error."""
    await asyncio.wait_for(client.connect(uri, **arguments), LIMIT)
    try:
        yield client
    finally:
        await asyncio.wait_for(client.disconnect(), LIMIT)


async def until(condition: Callable[[], bool]) -> None:
    """Wait until a condition holds."""

    async def wait() -> None:
        while not condition():
            await asyncio.sleep(0.005)

    await asyncio.wait_for(wait(), LIMIT)
