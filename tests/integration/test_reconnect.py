"""Losing the connection of a client and making it again."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from support.wire import CONNACK_ACCEPTED, DISCONNECT, ack

from amqtt.broker import Broker
from amqtt.client import MQTTClient
from amqtt.errors import ClientError, ConnectError

LIMIT = 10
UNLIMITED = {"reconnect_retries": -1, "reconnect_max_interval": 1}


def broker_on(port: int = 0) -> Broker:
    return Broker({"listeners": {"default": {"bind": f"127.0.0.1:{port}"}}})


def uri_of(broker: Broker) -> str:
    return f"mqtt://127.0.0.1:{broker.addresses['default'][0][1]}/"


@pytest.fixture
async def broker() -> AsyncIterator[Broker]:
    running = broker_on()
    await running.start()
    yield running
    await running.shutdown()


async def restart(broker: Broker) -> Broker:
    """Stop a broker, which forgets its sessions, and start another at its port."""
    port = broker.addresses["default"][0][1]
    await broker.shutdown()
    other = broker_on(port)
    await other.start()
    return other


async def lose_connection(client: MQTTClient) -> None:
    """Do what the tests of applications do for an abrupt loss."""
    await client.cancel_tasks()
    assert client._disconnect_task is not None
    client._disconnect_task.cancel()
    client._connected_state.clear()
    assert client._handler is not None
    await client._handler.stop()
    assert client.session is not None
    client.session.transitions.disconnect()


async def until(condition: Callable[[], bool]) -> None:
    async def wait() -> None:
        while not condition():
            await asyncio.sleep(0.01)

    await asyncio.wait_for(wait(), LIMIT)


async def next_payload(client: MQTTClient) -> bytes | bytearray:
    message = await client.deliver_message(LIMIT)
    assert message is not None
    return message.data


# -- an abrupt loss


async def test_abrupt_loss_publishes_the_will(broker: Broker) -> None:
    watcher = MQTTClient()
    await watcher.connect(uri_of(broker))
    await watcher.subscribe([("gone", 0)])
    client = MQTTClient(config={"will": {"topic": "gone", "message": "!"}})
    assert client._handler is None
    await client.connect(uri_of(broker))
    await lose_connection(client)
    assert client.session is not None
    assert client.session.transitions.is_disconnected()
    assert await next_payload(watcher) == b"!"
    await watcher.disconnect()


async def test_reconnect_after_an_abrupt_loss_resumes_the_session(broker: Broker) -> None:
    client, sender = MQTTClient(), MQTTClient()
    await sender.connect(uri_of(broker))
    await client.connect(uri_of(broker), cleansession=False)
    await client.subscribe([("a", 1)])
    session = client.session
    waiting = asyncio.create_task(client.deliver_message())
    await asyncio.sleep(0)
    await lose_connection(client)
    assert await asyncio.wait_for(waiting, LIMIT) is None
    await sender.publish("a", b"meanwhile", qos=1)
    assert await client.reconnect() == 0
    assert client.session is session
    assert session is not None
    assert session.parent == 1
    assert await next_payload(client) == b"meanwhile"
    await client.publish("a", b"again", qos=2)
    assert await next_payload(client) == b"again"
    await client.disconnect()
    await sender.disconnect()


async def test_reconnect_works_after_disconnect(broker: Broker) -> None:
    client = MQTTClient()
    await client.connect(uri_of(broker))
    await client.disconnect()
    with pytest.raises(ClientError):
        await client.publish("a", b"")
    await client.reconnect()
    await client.subscribe([("a", 0)])
    delivery = asyncio.create_task(client.deliver_message(LIMIT))
    await client.publish("a", b"x")
    message = await delivery
    assert message is not None
    assert message.data == b"x"
    await client.disconnect()


async def test_connect_while_connected_disconnects_first(broker: Broker) -> None:
    watcher = MQTTClient()
    await watcher.connect(uri_of(broker))
    await watcher.subscribe([("gone", 0)])
    client = MQTTClient(config={"will": {"topic": "gone", "message": "!"}})
    await client.connect(uri_of(broker))
    first = client.session
    await client.connect(uri_of(broker))
    assert client.session is not first
    assert first is not None
    assert first.transitions.is_disconnected()
    await client.ping()
    await client.disconnect()
    with pytest.raises(asyncio.TimeoutError):
        await watcher.deliver_message(0.1)
    await watcher.disconnect()


class Server:
    """A server that acknowledges CONNECT and keeps everything else it is sent."""

    async def __aenter__(self) -> Server:
        self.received = bytearray()
        self.connections: list[asyncio.StreamWriter] = []
        self.connack = CONNACK_ACCEPTED
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.uri = f"mqtt://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/"
        return self

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections.append(writer)
        head = await reader.readexactly(2)
        await reader.readexactly(head[1])
        writer.write(self.connack)
        while data := await reader.read(65536):
            self.received += data
        writer.close()

    async def has(self, data: bytes) -> None:
        await until(lambda: data in self.received)

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for writer in self.connections:
            writer.close()
        await self._server.wait_closed()


async def test_cancelled_publish_is_not_sent_again() -> None:
    async with Server() as server:
        client = MQTTClient(config={"cleansession": False})
        await client.connect(server.uri)
        with pytest.raises(asyncio.TimeoutError):
            await client.publish("timed-out", b"", qos=1, ack_timeout=1)
        publish = asyncio.create_task(client.publish("cancelled", b"", qos=2))
        await server.has(b"cancelled")
        publish.cancel()
        with pytest.raises(asyncio.CancelledError):
            await publish
        assert client.session is not None
        assert client.session.inflight_out_count == 0
        await lose_connection(client)
        server.received.clear()
        server.connack = b"\x20\x02\x01\x00"
        await client.reconnect()
        await client.publish("marker", b"")
        await server.has(b"marker")
        assert b"timed-out" not in server.received
        assert b"cancelled" not in server.received
        await client.disconnect()


async def test_pending_publish_is_sent_again_and_survives() -> None:
    async with Server() as server:
        client = MQTTClient(config={"cleansession": False})
        await client.connect(server.uri)
        publish = asyncio.create_task(client.publish("pending", b"", qos=1))
        await server.has(b"pending")
        await lose_connection(client)
        server.received.clear()
        server.connack = b"\x20\x02\x01\x00"
        await client.reconnect()
        await server.has(b"pending")
        server.connections[-1].write(ack(0x40, 1))
        assert (await asyncio.wait_for(publish, LIMIT)).packet_id == 1
        await client.disconnect()


async def test_disconnect_is_sent_once() -> None:
    async with Server() as server:
        client = MQTTClient()
        await client.connect(server.uri)
        await client.disconnect()
        await client.disconnect()
        await server.has(DISCONNECT)
        assert server.received == DISCONNECT


@pytest.mark.parametrize(
    ("keep_alive", "ping_delay", "ping_after"), [(10, 1, 9), (1, 1, 1), (5, 9, 1), (0, 1, 0)]
)
async def test_every_keep_alive_is_kept(
    broker: Broker, keep_alive: int, ping_delay: int, ping_after: int
) -> None:
    client = MQTTClient(config={"keep_alive": keep_alive, "ping_delay": ping_delay})
    await client.connect(uri_of(broker))
    assert client.session is not None
    assert client.session.keep_alive == ping_after
    await client.disconnect()


# -- the client reconnects by itself


def recorder(called: list[bool]) -> Callable[[bool], Awaitable[None]]:
    async def reconnected(session_present: bool) -> None:
        called.append(session_present)

    return reconnected


async def test_reconnected_is_told_whether_the_session_was_kept(
    broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="amqtt.client")
    client, other = MQTTClient("same"), MQTTClient("same", config={"auto_reconnect": False})
    called: list[bool] = []
    client.reconnected = recorder(called)
    await client.connect(uri_of(broker), cleansession=False)
    assert called == []
    for clean, text in [(False, "the session was kept"), (True, "the session is new")]:
        await other.connect(uri_of(broker), cleansession=clean)  # takes the client id over
        await until(lambda: bool(called))
        assert called == [not clean]
        called.clear()
        records = [each for each in caplog.records if each.message.startswith("Reconnected")]
        assert [(each.levelname, each.message) for each in records] == [
            ("INFO", f"Reconnected to broker, {text}")
        ]
        caplog.clear()
    await client.disconnect()


async def test_subscribing_again_in_reconnected() -> None:
    broker = broker_on()
    await broker.start()
    client = MQTTClient(config=UNLIMITED)

    async def reconnected(session_present: bool) -> None:
        assert not session_present
        await client.subscribe([("a", 1)])
        subscribed.set()

    client.reconnected = reconnected
    await client.connect(uri_of(broker))
    for _ in range(2):
        subscribed = asyncio.Event()
        broker = await restart(broker)
        await asyncio.wait_for(subscribed.wait(), LIMIT)
        await broker.internal_message_broadcast("a", b"x")
        assert await next_payload(client) == b"x"
    await client.disconnect()
    await broker.shutdown()


@pytest.mark.parametrize("error", [ValueError("wrong"), ClientError("wrong")])
async def test_error_in_reconnected_is_logged(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    broker = broker_on()
    await broker.start()
    client = MQTTClient(config=UNLIMITED)
    called = asyncio.Event()

    async def reconnected(session_present: bool) -> None:
        del session_present
        called.set()
        raise error

    client.reconnected = reconnected
    await client.connect(uri_of(broker))
    broker = await restart(broker)
    await asyncio.wait_for(called.wait(), LIMIT)
    await client.ping()
    assert "What was to follow the reconnection failed" in caplog.text
    assert "wrong" in caplog.text
    await client.disconnect()
    await broker.shutdown()


@pytest.mark.parametrize("filters", [(), ("a",)])
async def test_a_fault_in_reconnecting_ends_the_waiting_for_messages(
    filters: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """One that is no ClientError, which nobody has foreseen."""
    broker = broker_on()
    await broker.start()
    client = MQTTClient("waits", config={"auto_reconnect": True})
    await client.connect(uri_of(broker))

    async def reconnect(*_: Any, **__: Any) -> None:
        raise ValueError("unforeseen")

    monkeypatch.setattr(client, "reconnect", reconnect)
    delivery = asyncio.ensure_future(client.deliver_message())
    stream = asyncio.ensure_future(anext(client.messages(*filters)))
    await asyncio.sleep(0)
    await broker.shutdown()
    assert await asyncio.wait_for(delivery, LIMIT) is None
    with pytest.raises(ClientError):
        await asyncio.wait_for(stream, LIMIT)
    assert "ValueError: unforeseen" in caplog.text


async def until_reconnecting(caplog: pytest.LogCaptureFixture) -> None:
    await until(lambda: "Reconnection attempt" in caplog.text)


async def test_disconnect_ends_reconnecting(caplog: pytest.LogCaptureFixture) -> None:
    broker = broker_on()
    await broker.start()
    client = MQTTClient(config=UNLIMITED)
    await client.connect(uri_of(broker))
    await broker.shutdown()
    await until_reconnecting(caplog)
    publish = asyncio.create_task(client.publish("a", b"", qos=1))
    delivery = asyncio.create_task(client.deliver_message())
    await asyncio.sleep(0)
    await client.disconnect()
    assert client._disconnect_task is not None
    assert client._disconnect_task.done()
    with pytest.raises(ClientError):
        await asyncio.wait_for(publish, LIMIT)
    assert await asyncio.wait_for(delivery, LIMIT) is None


@pytest.mark.parametrize("method", ["connect", "reconnect"])
async def test_connecting_while_the_client_tries_to(
    method: str, caplog: pytest.LogCaptureFixture
) -> None:
    broker = broker_on()
    await broker.start()
    uri = uri_of(broker)
    client = MQTTClient(config={**UNLIMITED, "reconnect_max_interval": 1})
    await client.connect(uri)
    port = broker.addresses["default"][0][1]
    await broker.shutdown()
    await until_reconnecting(caplog)
    again = broker_on(port)
    await again.start()
    if method == "connect":
        await client.connect(uri)
    else:
        await client.reconnect()
    session = client.session
    await client.subscribe([("a", 0)])
    await asyncio.sleep(1.5)  # in this time the client's own next attempt would have come
    await again.internal_message_broadcast("a", b"x")
    assert await next_payload(client) == b"x"
    assert client.session is session
    await client.disconnect()
    await again.shutdown()


@pytest.mark.parametrize("config", [{"auto_reconnect": False}, {"reconnect_retries": 0}])
async def test_calls_after_a_failed_connect_do_not_wait(
    broker: Broker, config: dict[str, Any]
) -> None:
    client = MQTTClient(config=config)
    with pytest.raises(ConnectError):
        await client.connect("mqtt://127.0.0.1:1/")
    with pytest.raises(ClientError):
        await asyncio.wait_for(client.publish("a", b""), LIMIT)
    with pytest.raises(ClientError):
        await asyncio.wait_for(client.deliver_message(), LIMIT)
    await client.connect(uri_of(broker))
    await client.ping()
    await client.disconnect()
