"""Connections that the application hands in, from servers as people use them."""

from __future__ import annotations

import asyncio
import re
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Any

import aiomqtt
import pytest
from support.external import (
    LIMIT,
    LISTENER,
    SAMPLE,
    Where,
    aiohttp_server,
    starlette_server,
    streams_server,
    websockets_server,
)
from support.process import free_port
from support.python import python_environment

from amqtt.broker import Broker

SERVERS = {
    "streams": streams_server,
    "websockets": websockets_server,
    "aiohttp": aiohttp_server,
    "starlette": starlette_server,
}
GUIDE = SAMPLE.parents[1] / "docs" / "how-to" / "websockets.md"
CROWD = 50
MIB = 1 << 20

ServerOf = Callable[[Broker], AbstractAsyncContextManager[Where]]


@pytest.fixture(params=SERVERS)
def server(request: pytest.FixtureRequest) -> ServerOf:
    """Give each server that hands connections in."""
    chosen: ServerOf = SERVERS[request.param]
    return chosen


@asynccontextmanager
async def broker_and(server: ServerOf) -> AsyncIterator[tuple[Broker, Where]]:
    listeners = {"default": {"bind": "127.0.0.1:0"}, LISTENER: {"type": "external"}}
    async with Broker({"listeners": listeners}) as broker, server(broker) as where:
        yield broker, where


def client(where: Where, name: str, **options: Any) -> aiomqtt.Client:
    port, path = where
    how = {} if path is None else {"transport": "websockets", "websocket_path": path}
    return aiomqtt.Client("127.0.0.1", port, identifier=name, timeout=LIMIT, **how, **options)


async def next_message(of: aiomqtt.Client) -> aiomqtt.Message:
    return await asyncio.wait_for(anext(aiter(of.messages)), LIMIT)


def connection_count(broker: Broker) -> int:
    count: int = broker._servers[LISTENER].conn_count
    return count


@pytest.mark.parametrize("size", [10, MIB])
@pytest.mark.threads(1, 2)
async def test_every_qos_in_both_directions(server: ServerOf, size: int) -> None:
    """To and from a client of the broker's own listener, and to itself."""
    async with broker_and(server) as (broker, where):
        inside = (broker.addresses["default"][0][1], None)
        async with client(where, "handed-in") as here, client(inside, "tcp") as there:
            assert connection_count(broker) == 1
            assert broker.addresses[LISTENER] == []
            await here.subscribe("t/#", qos=2)
            await there.subscribe("t/#", qos=2)
            for qos in (0, 1, 2):
                for sender in (here, there):
                    payload = bytes([qos]) * size
                    await sender.publish("t/x", payload, qos=qos)
                    for receiver in (here, there):
                        got = await next_message(receiver)
                        assert (got.qos, got.payload == payload) == (qos, True)


async def test_fifty_clients(server: ServerOf) -> None:
    async with broker_and(server) as (broker, where), AsyncExitStack() as stack:
        clients = [client(where, f"c{number}") for number in range(CROWD)]
        await asyncio.gather(*(stack.enter_async_context(each) for each in clients))
        assert connection_count(broker) == CROWD
        await asyncio.gather(*(each.subscribe("all", qos=1) for each in clients))
        await asyncio.gather(
            *(each.publish("all", str(number), qos=1) for number, each in enumerate(clients))
        )
        wanted = {str(number).encode() for number in range(CROWD)}
        for each in clients:
            assert {(await next_message(each)).payload for _ in clients} == wanted


async def test_shutdown_with_open_connections(server: ServerOf) -> None:
    """The clients see the end, and the server has nothing left to wait for."""
    async with broker_and(server) as (broker, where):
        clients = [client(where, f"c{number}") for number in range(5)]
        for each in clients:
            await each.__aenter__()
        await broker.shutdown()
        for each in clients:
            with pytest.raises(aiomqtt.MqttError):
                await next_message(each)
            await each.__aexit__(None, None, None)


async def test_a_client_that_vanishes_leaves_its_will(server: ServerOf) -> None:
    async with broker_and(server) as (broker, where):
        inside = (broker.addresses["default"][0][1], None)
        async with client(inside, "watcher") as watcher:
            await watcher.subscribe("will", qos=1)
            gone = client(where, "gone", will=aiomqtt.Will("will", b"gone", 1))
            await gone.__aenter__()
            connected = gone._client.socket()
            getattr(connected, "_socket", connected).shutdown(socket.SHUT_RDWR)
            assert (await next_message(watcher)).payload == b"gone"
            assert connection_count(broker) == 0
            with pytest.raises(aiomqtt.MqttError):
                await next_message(gone)
            await gone.__aexit__(None, None, None)


async def test_sample() -> None:
    """It serves a page and MQTT, and ends well while a client is connected."""
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-u", str(SAMPLE), "--port", str(port)),
        env=python_environment(),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        await asyncio.wait_for(process.stdout.readline(), LIMIT)
        async with client((port, "/mqtt"), "c") as connected:
            await connected.subscribe("t")
            await connected.publish("t", b"payload")
            assert (await next_message(connected)).payload == b"payload"
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET / HTTP/1.0\r\n\r\n")
            assert (await reader.read()).endswith(b"1 MQTT clients are connected to /mqtt\n")
            writer.close()
            process.send_signal(signal.SIGTERM)
            with pytest.raises(aiomqtt.MqttError):
                await next_message(connected)
            assert await asyncio.wait_for(process.wait(), LIMIT) == 0
    except aiomqtt.MqttError:  # of the DISCONNECT to a server that has ended
        assert process.returncode == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def test_the_guide_shows_the_sample() -> None:
    blocks = re.findall(r"^```python\n(.*?)^```$", GUIDE.read_text(), re.MULTILINE | re.DOTALL)
    assert len(blocks) == 3
    for block in blocks:
        assert block in SAMPLE.read_text()
