"""A call of the client that is cancelled at each of its awaits leaves nothing behind."""

from __future__ import annotations

import asyncio
import functools
import types
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from pathlib import Path
from typing import Any

import pytest
from support.client import LIMIT, until
from support.process import free_port
from support.scripted import CONNECT, ScriptedBroker, ScriptedPeer
from support.serving import Serving, serving

from amqtt._engine.reactor import ClientReactor
from amqtt.client import MQTTClient

ANYONE: dict[str, Any] = {"plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {}}}
# More awaits than any call has.
MANY = 60


@types.coroutine
def cancelled_at(awaitable: Awaitable[Any], number: int) -> Generator[Any, Any, Any]:
    """Await something in a task that is cancelled as it waits for the number-th time.

    Raises:
        asyncio.CancelledError: it was; else it had ended before.

    """
    inner = awaitable.__await__()
    step, argument = inner.send, None
    count = 0
    while True:
        try:
            waited_for = step(argument)
        except StopIteration as end:
            return end.value
        count += 1
        if count == number:
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
        try:
            argument = yield waited_for
            step = inner.send
        except BaseException as error:
            argument, step = error, inner.throw  # type: ignore[assignment]


async def drive(awaitable: Awaitable[Any], number: int) -> bool:
    """Cancel something at its number-th await; tell whether it had so many."""

    async def run() -> None:
        await cancelled_at(awaitable, number)

    task = asyncio.ensure_future(run())
    done, _ = await asyncio.wait((task,), timeout=LIMIT)
    assert done, "it does not end"
    if task.cancelled():
        return True
    error = task.exception()
    if isinstance(error, asyncio.CancelledError):  # with more to say
        return True
    if not isinstance(error, asyncio.TimeoutError):  # what some of them wait for does not come
        assert error is None, error
    return False


@pytest.fixture
async def there() -> AsyncIterator[Serving]:
    async with serving({"type": "tcp"}, **ANYONE) as running:
        yield running


def client(there: Serving, **config: Any) -> MQTTClient:
    uri = f"mqtt://{there.host}:{there.port}"
    return MQTTClient(None, {"connection": {"uri": uri}, "auto_reconnect": False, **config})


async def works(one: MQTTClient) -> None:
    """Use everything once, and see that nothing is left of calls before."""
    topic = f"works/{id(one)}"
    assert await asyncio.wait_for(one.subscribe([(topic, 2)]), LIMIT) == [2]
    for qos in (0, 1, 2):
        await asyncio.wait_for(one.publish(topic, b"%d" % qos, qos=qos), LIMIT)
    found = set()
    while len(found) < 3:
        message = await one.deliver_message(LIMIT)
        assert message is not None
        if message.topic == topic:
            found.add(bytes(message.data))
    await asyncio.wait_for(one.unsubscribe([topic]), LIMIT)
    assert one._reactor is not None
    assert not one._reactor._answers, "an answer is waited for"
    assert not one._waiting, "a call waits for the connection"
    assert not one.client_tasks, "a call waits for a message"
    assert not one._requests._waiting, "a request waits for its response"


async def next_of_stream(one: MQTTClient) -> None:
    async with one.messages("wanted") as stream:
        await anext(stream)


async def receive(one: MQTTClient) -> None:
    await one.deliver_message()


CALLS: dict[str, Callable[[MQTTClient], Awaitable[Any]]] = {
    "publish at QoS 0": lambda one: one.publish("t", b"x" * 300_000, qos=0),
    "publish at QoS 1": lambda one: one.publish("t", b"x", qos=1),
    "publish at QoS 2": lambda one: one.publish("t", b"x", qos=2),
    "publish with a limit": lambda one: one.publish("t", b"x", qos=1, ack_timeout=LIMIT),
    "subscribe": lambda one: one.subscribe([("a", 0)]),
    "unsubscribe": lambda one: one.unsubscribe(["a"]),
    "ping": lambda one: one.ping(),
    "request": lambda one: one.request("nobody", b"", timeout=0.05),
    "deliver_message": receive,
    "deliver_message with a limit": lambda one: one.deliver_message(0.05),
    "iterate": next_of_stream,
}


@pytest.mark.parametrize("name", CALLS)
async def test_calls_on_a_connection(name: str, there: Serving) -> None:
    async with client(there, protocol_version=5) as one:
        for number in range(1, MANY):
            was_cancelled = await drive(CALLS[name](one), number)
            await works(one)
            if not was_cancelled:
                break
            if name in ("iterate", "deliver_message"):
                break  # they wait at one place, without end
        else:
            pytest.fail("it has no end")


@pytest.mark.parametrize("kept", [False, True], ids=["in memory", "in a file"])
async def test_connecting(kept: bool, there: Serving, tmp_path: Path) -> None:
    """connect() can be cancelled anywhere, and made again."""
    config: dict[str, Any] = {"cleansession": False} if kept else {}
    if kept:
        config["session_file"] = str(tmp_path / "session")
    for number in range(1, MANY):
        one = MQTTClient(f"c{number}" if not kept else "c", {"auto_reconnect": False, **config})
        uri = f"mqtt://{there.host}:{there.port}"
        was_cancelled = await drive(one.connect(uri), number)
        if was_cancelled:
            assert one._journal is None
            await one.connect(uri)
        await works(one)
        await one.disconnect()
        if not was_cancelled:
            return
    pytest.fail("it has no end")


async def test_disconnecting(there: Serving) -> None:
    """disconnect() can be cancelled anywhere; another call completes it."""
    for number in range(1, MANY):
        one = client(there)
        await one.connect()
        was_cancelled = await drive(one.disconnect(), number)
        await one.disconnect()
        assert one.session is not None
        assert one.session.transitions.is_disconnected()
        await one.connect()
        await works(one)
        await one.disconnect()
        if not was_cancelled:
            return
    pytest.fail("it has no end")


async def test_calls_that_wait_for_the_connection(there: Serving) -> None:
    """They can be cancelled while the client connects again, and those behind them go on."""
    one = client(there, auto_reconnect=True, reconnect_retries=-1)
    one.config.reconnect_max_interval = 1
    async with one:
        assert one._handler is not None
        await one._handler.stop()
        await until(lambda: not one._connected_state.is_set())
        calls = [asyncio.ensure_future(one.publish("t", b"%d" % n, qos=1)) for n in range(10)]
        await asyncio.sleep(0)
        for call in calls[::2]:
            call.cancel()
        ended = await asyncio.wait_for(asyncio.gather(*calls, return_exceptions=True), LIMIT)
        assert [isinstance(each, asyncio.CancelledError) for each in ended] == [True, False] * 5
        await works(one)


# Turns of the loop: more than a connect takes to notice its answer.
TURNS = 50


@pytest.fixture
async def uri(request: pytest.FixtureRequest, there: Serving) -> str:
    """Return the address of a port that answers, or of one that refuses."""
    if request.param == "answers":
        return f"mqtt://{there.host}:{there.port}"
    return f"mqtt://127.0.0.1:{free_port()}"


@pytest.fixture
def persistent(tmp_path: Path) -> MQTTClient:
    """Return a client that tries to connect for ever."""
    session_file = str(tmp_path / "session")
    return MQTTClient(
        "c", {"cleansession": False, "session_file": session_file, "reconnect_retries": -1}
    )


class Cancelling:
    """Connects, and cancels that; `cancelled` tells whether it could be cancelled still."""

    def __init__(self, one: MQTTClient, uri: str) -> None:
        self.one = one
        self.cancelled = False
        self._task = asyncio.ensure_future(one.connect(uri))

    def cancel_after(self, turns: int) -> None:
        """Cancel so many turns of the loop from now; at once without any."""
        if turns == 0:
            self.cancelled = self._task.cancel()
        else:
            asyncio.get_running_loop().call_soon(self.cancel_after, turns - 1)

    async def see_its_end(self) -> None:
        done, _ = await asyncio.wait((self._task,), timeout=LIMIT)
        assert done, "it goes on"
        assert self._task.cancelled() == self.cancelled
        if not self.cancelled:
            assert await self._task == 0
            await self.one.disconnect()
        assert self.one._journal is None
        assert self.one._reactor is not None
        assert not self.one._reactor._answers


@pytest.mark.parametrize("uri", ["refuses", "answers"], indirect=True)
async def test_connecting_is_cancelled_in_any_turn(uri: str, persistent: MQTTClient) -> None:
    for number in range(1, TURNS + 1):  # without any it has not begun
        call = Cancelling(persistent, uri)
        call.cancel_after(number)
        await call.see_its_end()


@pytest.mark.parametrize("uri", ["refuses", "answers"], indirect=True)
async def test_connecting_is_cancelled_in_any_turn_after_the_answer(
    uri: str, persistent: MQTTClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Several tasks and futures are between the engine's answer and the end of connect()."""
    resolve = ClientReactor._resolve
    at_answer: list[Callable[[], None]] = []

    def observed(reactor: ClientReactor, event: tuple[Any, ...]) -> None:
        resolve(reactor, event)
        if at_answer:
            at_answer.pop()()

    monkeypatch.setattr(ClientReactor, "_resolve", observed)
    for number in range(TURNS + 1):
        call = Cancelling(persistent, uri)
        at_answer.append(functools.partial(call.cancel_after, number))
        await call.see_its_end()
        assert not at_answer, "there was no answer"


async def test_connecting_is_cancelled_in_any_turn_without_an_answer(
    persistent: MQTTClient,
) -> None:
    calls: list[Cancelling] = []

    async def silent(peer: ScriptedPeer) -> None:
        await peer.expect(CONNECT)
        calls[-1].cancel_after(len(calls) - 1)
        await peer.expect_close()

    async with ScriptedBroker(silent) as broker:
        for _ in range(TURNS + 1):
            calls.append(Cancelling(persistent, broker.uri))
            await calls[-1].see_its_end()
            assert calls[-1].cancelled
