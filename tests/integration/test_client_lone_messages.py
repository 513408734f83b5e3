"""Messages that come one by one: the event loop does what else the engine's thread does."""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from support.client import LIMIT, connected, make_client, until
from support.serving import Serving, serving

from amqtt.client import MQTTClient

ANYONE: dict[str, Any] = {"plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {}}}
# More than it takes until the loop does the work.
LONE = 200


class LoopWithoutReaders(asyncio.SelectorEventLoop):
    """A loop that cannot wait for descriptors of others, as Windows' proactor."""

    def add_reader(self, *_: Any) -> Any:
        """Refuse."""
        raise NotImplementedError


@pytest.fixture
async def there() -> AsyncIterator[Serving]:
    async with serving({"type": "tcp"}, **ANYONE) as running:
        yield running


def uri_of(there: Serving) -> str:
    return f"mqtt://{there.host}:{there.port}"


async def echo(client: MQTTClient, count: int, qos: int = 0, topic: str = "echo") -> None:
    """Publish messages and receive each before the next."""
    for number in range(count):
        sent = b"%d" % number
        await client.publish(topic, sent, qos=qos)
        message = await client.deliver_message(LIMIT)
        assert message is not None
        assert bytes(message.data) == sent


@pytest.mark.parametrize("version", [4, 5])
async def test_every_qos(there: Serving, version: int) -> None:
    async with connected(make_client(version), uri_of(there)) as client:
        await client.subscribe([("echo", 2)])
        for qos in (0, 1, 2):
            await echo(client, LONE, qos)


@pytest.mark.parametrize("loop", [LoopWithoutReaders, "uvloop"])
def test_other_event_loops(loop: Any) -> None:
    if loop == "uvloop":
        loop = pytest.importorskip("uvloop").Loop

    async def run() -> None:
        async with (
            serving({"type": "tcp"}, **ANYONE) as there,
            connected(make_client(), uri_of(there)) as client,
        ):
            await client.subscribe([("echo", 1)])
            await echo(client, LONE)
            await echo(client, LONE, 1)

    run_on(loop, run)


def run_on(make_loop: Callable[[], asyncio.AbstractEventLoop], main: Any) -> None:
    loop = make_loop()
    try:
        loop.run_until_complete(main())
        loop.run_until_complete(loop.shutdown_asyncgens())
    finally:
        loop.close()


async def test_a_loop_that_does_something_else_keeps_the_connection(
    broker_process: Callable[..., Any],
) -> None:
    uri = f"mqtt://127.0.0.1:{broker_process().port}"
    async with connected(make_client(keep_alive=1, ping_delay=0), uri) as client:
        await client.subscribe([("echo", 0)])
        for _ in range(2):
            await echo(client, LONE)
            time.sleep(3)  # blocks the loop: PINGREQ is due meanwhile
        await echo(client, LONE)
        assert client.session is not None
        assert client.session.transitions.is_connected()


async def test_an_idle_loop_keeps_the_connection(broker_process: Callable[..., Any]) -> None:
    uri = f"mqtt://127.0.0.1:{broker_process().port}"
    async with connected(make_client(keep_alive=1, ping_delay=0), uri) as client:
        await client.subscribe([("echo", 0)])
        await echo(client, LONE)
        with pytest.raises(asyncio.TimeoutError):
            await client.deliver_message(3)
        await echo(client, LONE)


async def test_several_clients_of_a_loop(there: Serving) -> None:
    clients = [make_client(client_id=f"several{number}") for number in range(7)]
    for number, client in enumerate(clients):
        await client.connect(uri_of(there))
        await client.subscribe([(f"to/{number}", 0)])
        # Each by itself, and all that there are at the same time.
        await echo(client, LONE, topic=f"to/{number}")
        await asyncio.gather(
            *(echo(one, LONE, topic=f"to/{at}") for at, one in enumerate(clients[: number + 1]))
        )
    for client in clients:
        await client.disconnect()


async def test_random_load_keeps_the_order(there: Serving) -> None:
    chance = random.Random(11)
    async with connected(make_client(), uri_of(there)) as client:
        await client.subscribe([("echo", 1)])
        sent = received = 0
        for _ in range(60):
            for _ in range(chance.randrange(30)):
                await client.publish("echo", b"%d" % sent, qos=0)
                sent += 1
                received = await receive(client, received, sent)
            calls = []
            for _ in range(chance.randrange(300)):
                calls.append(client.publish("echo", b"%d" % sent, qos=chance.randrange(2)))
                sent += 1
            await asyncio.gather(*calls)
            if chance.random() < 0.1:
                await asyncio.sleep(0.12)  # a pause, in which the engine's thread goes on
            received = await receive(client, received, sent)


async def receive(client: MQTTClient, received: int, sent: int) -> int:
    """Receive what was sent; return how many there are now."""
    while received < sent:
        message = await client.deliver_message(LIMIT)
        assert message is not None
        assert int(message.data) == received
        received += 1
    return received


async def test_large_messages_among_lone_ones(there: Serving) -> None:
    large = os.urandom(3 * 2**20)
    async with connected(make_client(), uri_of(there)) as client:
        await client.subscribe([("echo", 0)])
        for _ in range(5):
            await echo(client, LONE // 5)
            await client.publish("echo", large, qos=0)
            message = await client.deliver_message(LIMIT)
            assert message is not None
            assert bytes(message.data) == large


async def test_cancelled_calls(there: Serving) -> None:
    async with connected(make_client(), uri_of(there)) as client:
        await client.subscribe([("echo", 1)])
        for _ in range(30):
            await echo(client, 10, 1)
            waiting = asyncio.create_task(client.deliver_message())
            publishing = asyncio.create_task(client.publish("other", b"x", qos=1))
            await asyncio.sleep(0)
            waiting.cancel()
            publishing.cancel()
            done, _ = await asyncio.wait((waiting, publishing), timeout=LIMIT)
            assert len(done) == 2


async def test_the_broker_goes_away(there: Serving) -> None:
    client = make_client()
    await client.connect(uri_of(there))
    await client.subscribe([("echo", 0)])
    await echo(client, LONE)
    waiting = asyncio.create_task(client.deliver_message())
    await there.broker.shutdown()
    assert await asyncio.wait_for(waiting, LIMIT) is None
    session = client.session
    assert session is not None
    await until(lambda: not session.transitions.is_connected())
    await there.broker.start()


def test_loops_that_are_closed_in_the_middle() -> None:
    """What a program that ends without disconnecting leaves is stopped with its objects."""

    async def main(there: Serving) -> MQTTClient:
        client = make_client()
        await client.connect(uri_of(there))
        await client.subscribe([("echo", 0)])
        await echo(client, LONE)
        return client

    async def both() -> None:
        async with serving({"type": "tcp"}, **ANYONE) as there:
            for _ in range(3):
                await asyncio.to_thread(run_on, asyncio.new_event_loop, lambda: main(there))

    run_on(asyncio.new_event_loop, both)


def test_a_forked_process(broker_process: Callable[..., Any]) -> None:
    uri = f"mqtt://127.0.0.1:{broker_process().port}"

    async def main() -> None:
        async with connected(make_client(), uri) as client:
            await client.subscribe([("echo", 0)])
            await echo(client, LONE)
            child = os.fork()
            if child == 0:
                os._exit(in_child(client))
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
            await echo(client, LONE)

    asyncio.run(main())


def in_child(client: MQTTClient) -> int:
    """Find that the engine belongs to the parent; return what the process ends with."""
    assert client._reactor is not None
    try:
        client._reactor.engine.take_events(1)
    except RuntimeError as error:
        return 0 if "fork" in str(error) else 2
    return 1
