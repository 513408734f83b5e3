"""What `Broker.external_connected` makes of its adapters, and of the end of either side."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from support.endpoints import descriptor_count
from support.external import LIMIT, LISTENER, HandedIn
from support.wire import (
    CONNACK_ACCEPTED,
    DISCONNECT,
    PINGREQ,
    PINGRESP,
    connect,
    packet,
    publish,
    suback,
    subscribe,
)

from amqtt._broker import external
from amqtt.adapters import BufferReader, BufferWriter
from amqtt.broker import Broker, BrokerContext
from amqtt.errors import BrokerError
from amqtt.plugins.base import BaseAuthPlugin, BasePlugin
from amqtt.session import Session

MIB = 1 << 20
# What the system keeps between engine and adapters, and one piece on either side.
IN_BETWEEN = 2 * MIB


@asynccontextmanager
async def broker_with(
    listener: dict[str, Any] | None = None, **config: Any
) -> AsyncIterator[Broker]:
    listeners = {
        "default": {"bind": "127.0.0.1:0"},
        LISTENER: {"type": "external", **(listener or {})},
    }
    async with Broker({"listeners": listeners, **config}) as broker:
        yield broker
    assert not broker._dispatch.externals._open


async def watcher_of(broker: Broker, topic: str) -> HandedIn:
    """Connect a client that subscribes to a topic."""
    watcher = await HandedIn().start(broker).login("watcher")
    watcher.send(subscribe(1, (topic, 0)))
    await watcher.expect(suback(1, 0))
    return watcher


@pytest.fixture
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not wait long for adapters that hang."""
    monkeypatch.setattr(external, "_PATIENCE", 0.2)


# -- which connections are taken


async def test_a_connection_needs_a_listener_and_a_broker_that_runs() -> None:
    async with broker_with() as broker:
        for name in ("no such", ""):
            with pytest.raises(BrokerError, match=f"Invalid listener name '{name}'"):
                await HandedIn().start(broker, name).gone()
    with pytest.raises(BrokerError, match="can't serve a connection: it is stopped"):
        await HandedIn().start(broker).gone()


async def test_a_listener_that_is_left_out_takes_none() -> None:
    async with broker_with({"bind": None}) as broker:
        with pytest.raises(BrokerError, match=f"Invalid listener name '{LISTENER}'"):
            await HandedIn().start(broker).gone()


async def test_another_event_loop_is_refused() -> None:
    async with broker_with() as broker:

        def elsewhere() -> None:
            asyncio.run(broker.external_connected(BufferReader(b""), BufferWriter(), LISTENER))

        with pytest.raises(RuntimeError, match="event loop of the broker"):
            await asyncio.to_thread(elsewhere)


async def test_a_listener_with_a_socket_takes_connections_too() -> None:
    """They are counted for it, and `max_connections` does not refuse them."""
    async with broker_with(listener={"type": "tcp", "max_connections": 1}) as broker:
        clients = [await HandedIn().start(broker).login(f"c{number}") for number in range(3)]
        assert broker._servers[LISTENER].conn_count == 3
        for each in clients:
            each.send(DISCONNECT)
            await each.gone()
        assert broker._servers[LISTENER].conn_count == 0


async def test_an_unknown_peer_is_refused() -> None:
    async with broker_with() as broker:
        stranger = HandedIn(peer=None).start(broker)
        stranger.send(connect("stranger"))
        await stranger.gone()
        assert stranger.writer.written == 0


class Sessions(BasePlugin[BrokerContext]):
    """Keep the sessions of clients that connect."""

    seen: list[Session]

    def __init__(self, context: BrokerContext) -> None:
        super().__init__(context)
        Sessions.seen = []

    async def on_broker_client_connected(self, *, client_session: Session, **_: object) -> None:
        self.seen.append(client_session)


async def test_the_session_knows_the_peer() -> None:
    """Address, port and TLS are those that the writer tells."""
    plugins = {
        "amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True},
        f"{__name__}.Sessions": {},
    }
    async with broker_with(plugins=plugins) as broker:
        client = HandedIn(peer=("2001:db8::1", 65535))
        client.writer.tls = object()
        await client.start(broker).login("c")
        client.send(DISCONNECT)
        await client.gone()
    (session,) = Sessions.seen
    assert (session.remote_address, session.remote_port) == ("2001:db8::1", 65535)
    assert session.ssl_object is client.writer.tls


# -- the end, from the client's side


async def test_the_reader_may_return_what_it_likes() -> None:
    """Pieces that are shorter than asked for, and bytearrays."""
    async with broker_with() as broker:
        client = HandedIn()
        exact = client.reader.read

        async def one_byte(n: int = -1) -> Any:
            return bytearray(await exact(min(n, 1)))

        client.reader.read = one_byte  # type: ignore[method-assign]
        await client.start(broker).login("c")
        message = publish("t", bytes(300))
        client.send(subscribe(1, ("t", 0)) + message)
        await client.expect(suback(1, 0) + message)
        client.send(DISCONNECT)
        await client.gone()


@pytest.mark.parametrize("error", [BrokenPipeError(), ConnectionResetError(), None])
async def test_the_stream_ends(error: Exception | None, caplog: pytest.LogCaptureFixture) -> None:
    """The will is published, and what came before the end counts; that is no error."""
    async with broker_with() as broker:
        watcher = await watcher_of(broker, "t/#")
        client = await HandedIn().start(broker).login("c", will=("t/will", b"gone"))
        client.send(publish("t/last", b"x") + PINGREQ[:1])
        await watcher.expect(publish("t/last", b"x"))
        if error is None:
            client.stream.feed_eof()
        else:
            client.stream.set_exception(error)
        await watcher.expect(publish("t/will", b"gone"))
        await client.gone()
        await watcher.ping()
    assert not [each for each in caplog.records if each.levelno >= logging.WARNING]


async def test_a_buffer_is_read_to_its_end() -> None:
    async with broker_with() as broker:
        watcher = await watcher_of(broker, "t")
        packets = connect("c") + publish("t", bytes(MIB)) + publish("t", b"") + DISCONNECT
        writer = BufferWriter()
        await broker.external_connected(BufferReader(packets), writer, LISTENER)
        await watcher.expect(publish("t", bytes(MIB)) + publish("t", b""))


Break = Callable[[HandedIn], None]


def _reader_raises(client: HandedIn) -> None:
    client.stream.set_exception(ValueError("the reader is broken"))


def _drain_raises(client: HandedIn) -> None:
    async def broken() -> None:
        msg = "the writer is broken"
        raise ValueError(msg)

    client.writer.on_drain = broken
    client.send(PINGREQ)


def _write_raises(client: HandedIn) -> None:
    def broken(_: bytes) -> None:
        msg = "the writer is broken"
        raise ValueError(msg)

    client.writer.write = broken  # type: ignore[method-assign]
    client.send(PINGREQ)


@pytest.mark.parametrize("break_it", [_reader_raises, _drain_raises, _write_raises])
async def test_an_adapter_raises(break_it: Break, caplog: pytest.LogCaptureFixture) -> None:
    """The connection ends, its will is published, and the log has the traceback."""
    async with broker_with() as broker:
        watcher = await watcher_of(broker, "will")
        client = await HandedIn().start(broker).login("c", will=("will", b"broken"))
        break_it(client)
        await watcher.expect(publish("will", b"broken"))
        await client.gone()
        await watcher.ping()
    (record,) = [each for each in caplog.records if each.levelno >= logging.WARNING]
    assert f"far.example:4711 on listener '{LISTENER}' ends" in record.getMessage()
    assert "is broken" in str(record.exc_info)


async def test_a_client_that_has_gone_was_there() -> None:
    """What it has sent counts, DISCONNECT too, though nothing can be written to it any more."""

    async def lost() -> None:
        raise BrokenPipeError

    async with broker_with() as broker:
        watcher = await watcher_of(broker, "t")
        client = await HandedIn().start(broker).login("c", will=("t", b"will"))
        client.writer.on_drain = lost
        await client.ping()
        client.send(publish("t", b"last") + DISCONNECT)
        await client.gone()
        await watcher.expect(publish("t", b"last"))
        await watcher.ping()


async def test_cancelled() -> None:
    async with broker_with() as broker:
        watcher = await watcher_of(broker, "will")
        client = await HandedIn().start(broker).login("c", will=("will", b"cancelled"))
        assert client.serving is not None
        client.serving.cancel()
        await watcher.expect(publish("will", b"cancelled"))
        with pytest.raises(asyncio.CancelledError):
            await client.serving
        assert client.writer.closed == 1
        await watcher.ping()


# -- the end, from the broker's side


@pytest.mark.parametrize(
    "bad",
    [
        PINGREQ,
        b"GET / HTTP/1.1\r\nHost: " + b"x" * 100,
        connect("c") + b"\xc1\x00",
        connect("c") + b"\x30\xff\xff\xff\xff",
        connect("c") + packet(0x30, b"\x00\x01t" + bytes(2000)),
        b"\x10\xff\xff\xff\x7f",
    ],
    ids=["no CONNECT", "no MQTT", "flags", "length", "too large", "CONNECT too large"],
)
async def test_what_is_against_the_rules_is_refused_at_once(bad: bytes) -> None:
    """Also where the rest of the packet does not come."""
    limits = {"max_packet_size": 1000, "connect_timeout": 60}
    async with broker_with({"limits": limits}) as broker:
        watcher = await HandedIn().start(broker).login("watcher")
        client = HandedIn().start(broker)
        client.send(bad)
        await client.gone()
        assert await client.writer.received.read() in (b"", CONNACK_ACCEPTED)
        await watcher.ping()


async def test_time_outs() -> None:
    """No CONNECT in time, and no packet within one and a half keep alives."""
    async with broker_with({"limits": {"connect_timeout": 0.2}}) as broker:
        mute = HandedIn().start(broker)
        silent = await HandedIn().start(broker).login("silent", keep_alive=1)
        await asyncio.gather(mute.gone(), silent.gone())


@pytest.mark.parametrize("listener", ["default", LISTENER])
async def test_take_over(listener: str) -> None:
    async with broker_with() as broker:
        first = await HandedIn().start(broker).login("same")
        second = await HandedIn().start(broker, listener).login("same")
        await first.gone()
        await second.ping()


async def test_shutdown() -> None:
    """When it returns the connections are closed, whatever they were doing."""
    async with broker_with() as broker:
        connected = await HandedIn().start(broker).login("connected")
        mute = HandedIn().start(broker)
        await connected.ping()  # by then both were handed in
        await broker.shutdown()
        assert connected.writer.closed == mute.writer.closed == 1
        await connected.gone()
        await mute.gone()
        await broker.start()
        await (await HandedIn().start(broker).login("again")).ping()


@pytest.mark.usefixtures("hurry")
async def test_a_writer_that_hangs_when_the_connection_ends() -> None:
    """In `drain`, and then in `close`."""
    async with broker_with() as broker:
        watcher = await watcher_of(broker, "will")
        client = await HandedIn().start(broker).login("c", will=("will", b"hung"))
        client.writer.open.clear()
        client.writer.on_close = asyncio.Event().wait
        client.send(PINGREQ)
        await asyncio.wait_for(client.writer.received.readexactly(len(PINGRESP)), LIMIT)
        client.stream.feed_eof()
        await watcher.expect(publish("will", b"hung"))
        await client.gone()
        await watcher.ping()


@pytest.mark.usefixtures("hurry")
async def test_shutdown_does_not_wait_for_a_writer_that_hangs() -> None:
    async with broker_with() as broker:
        client = await HandedIn().start(broker).login("c")
        client.writer.open.clear()
        client.writer.on_close = asyncio.Event().wait
        client.send(PINGREQ)
        await client.expect(PINGRESP)
        await broker.shutdown()
        assert broker.transitions.is_stopped()
        await client.gone()


async def test_close_raises(caplog: pytest.LogCaptureFixture) -> None:
    async def broken() -> None:
        msg = "cannot be closed"
        raise ValueError(msg)

    async with broker_with() as broker:
        client = await HandedIn().start(broker).login("c")
        client.writer.on_close = broken
        client.send(DISCONNECT)
        await client.gone()
    assert f"closing a connection of listener '{LISTENER}'" in caplog.text


# -- bounds


class Undecided(BaseAuthPlugin):
    """Decide when the test says so."""

    asked: asyncio.Event
    go: asyncio.Event

    def __init__(self, context: BrokerContext) -> None:
        super().__init__(context)
        Undecided.asked, Undecided.go = asyncio.Event(), asyncio.Event()

    async def authenticate(self, **_: object) -> bool:
        self.asked.set()
        await self.go.wait()
        return True


async def test_nothing_is_read_that_the_engine_does_not_take() -> None:
    async with broker_with(plugins={f"{__name__}.Undecided": {}}) as broker:
        client = HandedIn().start(broker)
        flood = publish("t", bytes(MIB)) * 16
        client.send(connect("c") + flood)
        await asyncio.wait_for(Undecided.asked.wait(), LIMIT)
        left = len(client.stream._buffer)  # type: ignore[attr-defined]
        while True:  # until it has stopped
            await asyncio.to_thread(broker.statistics)
            now = len(client.stream._buffer)  # type: ignore[attr-defined]
            if now == left:
                break
            left = now
        assert left > len(flood) - IN_BETWEEN
        Undecided.go.set()
        await client.expect(CONNACK_ACCEPTED)
        await client.ping()


async def test_a_slow_client_holds_up_nobody() -> None:
    """What it does not take waits in the engine, and reaches it later."""
    count, size = 32, MIB // 2
    async with broker_with() as broker:
        slow = await HandedIn().start(broker).login("slow", keep_alive=0)
        fast = await HandedIn().start(broker).login("fast")
        for each in (slow, fast):
            each.send(subscribe(1, ("t", 1)))
            await each.expect(suback(1, 1))
        slow.writer.open.clear()
        before = slow.writer.written
        for number in range(count):
            message = publish("t", bytes([number]) * size)
            fast.send(message)
            await fast.expect(message)
        assert slow.writer.written - before <= external._PIECE
        slow.writer.open.set()
        for number in range(count):
            await slow.expect(publish("t", bytes([number]) * size))
        await slow.ping()


async def test_descriptors_are_given_back() -> None:
    async with broker_with() as broker:

        async def come_and_go() -> None:
            clients = [await HandedIn().start(broker).login(f"c{n}") for n in range(20)]
            for number, each in enumerate(clients):
                if number % 2:
                    each.send(DISCONNECT)
                else:
                    each.stream.feed_eof()
            await asyncio.gather(*(each.gone() for each in clients))

        await come_and_go()
        before = descriptor_count(os.getpid())
        await come_and_go()
        assert descriptor_count(os.getpid()) == before
