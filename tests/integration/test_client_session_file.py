"""What a client keeps in its session file, and what it says about it."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from support.client import LIMIT, connected, make_client, until
from support.scripted import (
    CONNECT,
    PUBACK,
    PUBCOMP,
    PUBLISH,
    PUBREC,
    PUBREL,
    SUBSCRIBE,
    V3,
    V5,
    ScriptedBroker,
    ScriptedPeer,
    acknowledge,
    suback,
)
from support.wire import publish

from amqtt.client import MQTTClient
from amqtt.errors import ClientError, ConnectError, SessionFileError

versions = pytest.mark.parametrize("version", [V3, V5], ids=["3.1.1", "5.0"])


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "session"


def client(file: Path, version: int = V3, **config: Any) -> MQTTClient:
    if version == V5:
        config["connect_properties"] = {"session_expiry_interval": 60}
    config.setdefault("cleansession", False)
    return make_client(version, "me", session_file=str(file), **config)


def rows(file: Path, what: str = "topic, payload FROM sent ORDER BY number") -> list[Any]:
    with contextlib.closing(sqlite3.connect(file)) as database:
        return database.execute(f"SELECT {what}").fetchall()


async def lose(one: MQTTClient) -> None:
    """End the connection below the client."""
    assert one._handler is not None
    await one._handler.stop()


@versions
async def test_the_state_goes_with_the_file(version: int, file: Path) -> None:
    """Another client object carries on where the first has stopped, in the middle of each flow.

    3.1.1:MQTT-4.4.0-1@client 5.0:MQTT-4.4.0-1@client 5.0:MQTT-3.1.2-23@client
    """

    block = b"" if version == V5 else None

    async def first(peer: ScriptedPeer) -> None:
        await peer.login(version)
        for _ in range(3):
            await peer.expect(PUBLISH)
        peer.send(acknowledge(PUBREC, 3))
        await peer.expect(PUBREL)
        peer.send(publish("in", b"once", qos=2, packet_id=9, properties=block))
        await peer.expect(PUBREC)
        peer.close()

    async def second(peer: ScriptedPeer) -> None:
        await peer.login(version, session_present=True)
        again = [await peer.expect(PUBLISH) for _ in range(2)]
        assert [(each.dup, each.packet_id) for each in again] == [(True, 1), (True, 2)]
        assert [each.first & 0x06 for each in again] == [0x02, 0x04]
        assert all(each.body.endswith(b"x" * each.packet_id) for each in again)
        assert (await peer.expect(PUBREL)).packet_id == 3
        peer.send(publish("in", b"once", qos=2, packet_id=9, dup=True, properties=block))
        assert (await peer.expect(PUBREC)).packet_id == 9
        peer.send(acknowledge(PUBREL, 9))
        assert (await peer.expect(PUBCOMP)).packet_id == 9
        peer.send(acknowledge(PUBACK, 1))
        peer.send(acknowledge(PUBREC, 2))
        await peer.expect(PUBREL)
        peer.send(acknowledge(PUBCOMP, 3))
        peer.send(acknowledge(PUBCOMP, 2))
        await peer.expect_close()

    async with ScriptedBroker(first, second) as broker:
        one = client(file, version)
        await one.connect(broker.uri)
        calls = [
            asyncio.ensure_future(one.publish("t", b"x" * number, qos))
            for number, qos in ((1, 1), (2, 2), (3, 2))
        ]
        message = await one.deliver_message(LIMIT)
        assert message is not None
        for call in calls:  # the connection is lost for good
            with pytest.raises(ClientError, match=f"is kept in '{file}'"):
                await call
        other = client(file, version)
        async with connected(other, broker.uri):
            assert other.queued_publishes in (3, 2, 1, 0)
            await until(lambda: other.queued_publishes == 0)
            with pytest.raises(asyncio.TimeoutError):
                await other.deliver_message(0)
    assert rows(file) == []
    assert rows(file, "packet_id FROM received") == []


@versions
async def test_a_session_that_the_server_has_lost(version: int, file: Path) -> None:
    """What it has never confirmed is sent as new; what it has confirmed is its own business."""

    async def first(peer: ScriptedPeer) -> None:
        await peer.login(version)
        for _ in range(2):
            await peer.expect(PUBLISH)
        peer.send(acknowledge(PUBREC, 2))
        await peer.expect(PUBREL)
        peer.close()

    async def second(peer: ScriptedPeer) -> None:
        await peer.login(version)
        again = await peer.expect(PUBLISH)
        assert (again.dup, again.packet_id) == (False, 1)
        peer.send(acknowledge(PUBACK, 1))
        await peer.expect_close()

    async with ScriptedBroker(first, second) as broker:
        one = client(file, version)
        await one.connect(broker.uri)
        calls = [asyncio.ensure_future(one.publish("t", b"x", qos)) for qos in (1, 2)]
        await asyncio.wait(calls)
        assert all(isinstance(call.exception(), ClientError) for call in calls)
        other = client(file, version)
        async with connected(other, broker.uri):
            await until(lambda: other.queued_publishes == 0)
    assert rows(file) == []


async def stored_elsewhere(file: Path) -> list[Any]:
    """Return the messages in a copy of the file, which is in use."""
    copy = file.with_name("copy")
    for end in ("", "-wal"):
        source = file.with_name(file.name + end)
        if source.exists():
            copy.with_name(copy.name + end).write_bytes(source.read_bytes())
    return rows(copy)


async def test_what_is_put_aside_is_in_the_file(file: Path) -> None:
    """When publish() returns: at QoS 1 and 2. At QoS 0 it is not. The bounds count both."""

    async def serve(peer: ScriptedPeer) -> None:
        await peer.login()
        await peer.expect_close()

    async with ScriptedBroker(serve) as broker:
        one = client(file, auto_reconnect=True, reconnect_retries=-1, offline_queue_messages=4)
        await one.connect(broker.uri)
        broker._server.close()
        await lose(one)
        await until(lambda: not one._connected_state.is_set())
        await one.publish("a", b"1", qos=1)
        assert await stored_elsewhere(file) == [("a", b"1")]
        await one.publish("b", b"2", qos=2)
        assert await stored_elsewhere(file) == [("a", b"1"), ("b", b"2")]
        await one.publish("c", b"3", qos=0)
        assert await stored_elsewhere(file) == [("a", b"1"), ("b", b"2")]
        await asyncio.gather(one.publish("a", b"4", qos=1))
        assert one.queued_publishes == 4
        for qos in (0, 1):
            with pytest.raises(ClientError, match="it has 4 messages with 8 bytes"):
                await one.publish("a", b"5", qos=qos)
        await one.disconnect()
    assert [payload for _, payload in rows(file)] == [b"1", b"2", b"4"]


async def test_what_was_put_aside_is_sent_in_order(file: Path) -> None:
    """By the next process, before what that publishes."""

    async def refuse(peer: ScriptedPeer) -> None:
        await peer.login()
        await peer.expect_close()

    async def serve(peer: ScriptedPeer) -> None:
        await peer.login(session_present=True)
        for number in range(50):
            got = await peer.expect(PUBLISH)
            assert got.body.endswith(b"-%d" % number)
            peer.send(acknowledge(PUBACK, got.packet_id))
        await peer.expect_close()

    async with ScriptedBroker(refuse, serve) as broker:
        one = client(file, auto_reconnect=True, offline_queue_messages=100)
        await one.connect(broker.uri)
        one.config.connection_timeout = 1
        server, broker._server = (
            broker._server,
            await asyncio.start_server(broker._serve, "127.0.0.1", 0),
        )
        server.close()
        await lose(one)
        await until(lambda: not one._connected_state.is_set())
        for number in range(40):
            await one.publish("t", b"-%d" % number, qos=1)
        await one.disconnect()
        other = client(file)
        async with connected(other, broker.uri):
            await asyncio.gather(
                *(other.publish("t", b"-%d" % number, qos=1) for number in range(40, 50))
            )
            assert other.queued_publishes == 0


async def test_a_call_that_is_cancelled_leaves_its_message(file: Path) -> None:
    """Once it is in the file it is sent, whether somebody waits for it or not."""

    async def first(peer: ScriptedPeer) -> None:
        await peer.login()
        await peer.expect(PUBLISH)
        await peer.expect(PUBLISH)
        await peer.expect_close()

    async def second(peer: ScriptedPeer) -> None:
        await peer.login(session_present=True)
        for _ in range(2):
            got = await peer.expect(PUBLISH)
            assert got.dup
            peer.send(acknowledge(PUBACK, got.packet_id))
        await peer.expect_close()

    async with ScriptedBroker(first, second) as broker:
        one = client(file)
        await one.connect(broker.uri)
        call = asyncio.ensure_future(one.publish("t", b"x", qos=1))
        with pytest.raises(asyncio.TimeoutError):
            await one.publish("t", b"y", qos=1, ack_timeout=0.2)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await one.disconnect()
        assert sorted(rows(file)) == [("t", b"x"), ("t", b"y")]
        other = client(file)
        async with connected(other, broker.uri):
            await until(lambda: other.queued_publishes == 0)


async def test_a_clean_start_forgets_everything(file: Path) -> None:
    async def first(peer: ScriptedPeer) -> None:
        await peer.login()
        await peer.expect(PUBLISH)
        peer.close()

    async def second(peer: ScriptedPeer) -> None:
        assert (await peer.login()).body[7] & 0x02
        assert await peer.expect_close() != []  # DISCONNECT only

    async with ScriptedBroker(first, second) as broker:
        one = client(file)
        await one.connect(broker.uri)
        with pytest.raises(ClientError):
            await one.publish("t", b"x", qos=1)
        await until(lambda: one._journal is None)
        assert rows(file) == [("t", b"x")]
        other = client(file)
        async with connected(other, broker.uri, cleansession=True):
            assert other.queued_publishes == 0
    assert rows(file) == []


@versions
async def test_subscriptions_are_made_again(version: int, file: Path) -> None:
    """When the server has forgotten them, and the configuration has resubscribe."""

    async def first(peer: ScriptedPeer) -> None:
        await peer.login(version)
        for codes in ((1, 0x80), (2,)):
            got = await peer.expect(SUBSCRIBE)
            peer.send(suback(version, got.packet_id, *codes))
        await peer.expect_close()

    async def second(peer: ScriptedPeer) -> None:
        await peer.login(version)
        got = await peer.expect(SUBSCRIBE)
        assert b"\x00\x03a/#\x01" in got.body
        assert b"\x00\x01c\x02" in got.body
        assert b"\x00\x01b" not in got.body
        peer.send(suback(version, got.packet_id, 1, 2))
        await peer.expect_close()

    async def third(peer: ScriptedPeer) -> None:
        await peer.login(version, session_present=True)
        assert len(await peer.expect_close()) == 1  # DISCONNECT

    async with ScriptedBroker(first, second, third) as broker:
        async with connected(client(file, version, resubscribe=True), broker.uri) as one:
            assert await one.subscribe([("a/#", 1), ("b", 1)]) == [1, 0x80]
            assert await one.subscribe([("c", 2)]) == [2]
        for _ in range(2):
            async with connected(client(file, version, resubscribe=True), broker.uri):
                pass


# -- what goes wrong


async def serve_all(peer: ScriptedPeer) -> None:
    await peer.login()
    await peer.expect_close()


async def test_one_client_at_a_time(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is held while the client is connected or tries to be, and no longer."""
    monkeypatch.setattr("amqtt._client.session_file.store._PATIENCE", 0.01)
    async with ScriptedBroker(serve_all) as broker:
        one, other = client(file), client(file)
        async with connected(one, broker.uri):
            with pytest.raises(SessionFileError, match=f"'{file}' is in use by another client"):
                await other.connect(broker.uri)
            with pytest.raises(ClientError, match="Will not reconnect"):
                await other.publish("t", b"x", qos=1)
        async with connected(other, broker.uri):
            await lose(other)
            await until(lambda: other._no_more_connections.is_set() and other._journal is None)
            async with connected(one, broker.uri):
                pass


async def test_a_connect_that_fails_lets_go_of_the_file(file: Path) -> None:
    for auto_reconnect in (False, True):
        one = client(file, auto_reconnect=auto_reconnect, reconnect_retries=0)
        with pytest.raises(ConnectError):
            await one.connect("mqtt://127.0.0.1:1")
        calls = [asyncio.ensure_future(one.connect("mqtt://127.0.0.1:1"))]
        await asyncio.sleep(0)
        calls[0].cancel()
        with pytest.raises(ConnectError):
            await calls[0]
    assert rows(file) == []  # nobody has locked it


async def test_a_publish_beside_a_connect_that_fails(file: Path) -> None:
    """Its message waits in the file."""

    async def refuse(peer: ScriptedPeer) -> None:
        await peer.expect(CONNECT)
        await published
        peer.close()

    published = asyncio.get_running_loop().create_future()
    async with ScriptedBroker(refuse) as broker:
        one = client(file)
        connecting = asyncio.ensure_future(one.connect(broker.uri))
        await until(lambda: bool(broker.peers))
        call = asyncio.ensure_future(one.publish("t", b"x", qos=1))
        await until(lambda: one._journal is not None and one._journal._stored == 1)
        published.set_result(None)
        with pytest.raises(ClientError, match=f"is kept in '{file}'"):
            await call
        with pytest.raises(ConnectError):
            await connecting
    assert rows(file) == [("t", b"x")]


async def test_a_file_that_cannot_be_used(file: Path) -> None:
    file.write_text("no database" * 100)
    with pytest.raises(SessionFileError, match=f"'{file}' is damaged, or no session file"):
        await client(file, auto_reconnect=True).connect("mqtt://127.0.0.1:1")


@pytest.mark.parametrize(
    "error",
    [
        sqlite3.OperationalError("database or disk is full"),
        OverflowError("too large"),
        MemoryError(),
    ],
    ids=lambda each: type(each).__name__,
)
async def test_a_file_that_cannot_be_written(
    file: Path,
    error: Exception,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The message leaves when it is stored at last, and not before."""
    monkeypatch.setattr("amqtt._client.session_file.journal._PAUSE", 0.01)
    fails = True
    shown = str(error) if isinstance(error, sqlite3.Error) else repr(error)

    async def serve(peer: ScriptedPeer) -> None:
        await peer.login()
        got = await peer.expect(PUBLISH)
        assert not fails
        peer.send(acknowledge(PUBACK, got.packet_id))
        await peer.expect_close()

    async with (
        ScriptedBroker(serve) as broker,
        connected(client(file), broker.uri) as one,
    ):
        assert one._journal is not None
        store = one._journal._store
        assert store is not None
        write = store.write

        def failing(changes: Any) -> None:
            if fails:
                raise error
            write(changes)

        monkeypatch.setattr(store, "write", failing)
        call = asyncio.ensure_future(one.publish("t", b"x", qos=1))
        await until(lambda: f"cannot be written: {shown}" in caplog.text)
        await one.ping()
        fails = False
        await asyncio.wait_for(call, LIMIT)


def test_it_needs_a_client_identifier(file: Path) -> None:
    for client_id in (None, ""):
        with pytest.raises(ClientError, match="session_file needs a client_id"):
            make_client(V3, client_id, session_file=str(file), cleansession=False)
