"""What brokers do when their session database has trouble: on real databases."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import resource
import signal
import sqlite3
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from support.client import make_client, until
from support.databases import DatabaseServer
from support.restarting import RestartingBroker
from support.session_db import (
    PLUGIN,
    bystander,
    check_waiting,
    config_of,
    file_of,
    leave_subscriber,
    publish_while,
    running,
    uri_of,
)

from amqtt.broker import Broker
from amqtt.errors import BrokerError

# What makes a server say that it is full, as it does when it is.
FULL = {
    "postgresql": (
        "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE EXCEPTION 'No space left on device' USING ERRCODE = '53100'; END $$",
        "CREATE TRIGGER full_disk BEFORE INSERT ON stored_payloads"
        " FOR EACH ROW EXECUTE FUNCTION full_disk()",
    ),
    "mysql": (
        "CREATE TRIGGER full_disk BEFORE INSERT ON stored_payloads FOR EACH ROW"
        " SIGNAL SQLSTATE 'HY000'"
        " SET MYSQL_ERRNO = 1114, MESSAGE_TEXT = 'The table is full'",
    ),
}
NOT_FULL = {
    "postgresql": "DROP TRIGGER full_disk ON stored_payloads",
    "mysql": "DROP TRIGGER full_disk",
}
LOCK = {
    "postgresql": "LOCK TABLE stored_payloads IN ACCESS EXCLUSIVE MODE",
    "mysql": "LOCK TABLES stored_payloads WRITE",
}
END_CONNECTIONS = {
    "postgresql": "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid()",
    "mysql": "SELECT id FROM information_schema.processlist"
    " WHERE db = DATABASE() AND id <> CONNECTION_ID()",
}


def kind_of(url: str) -> str:
    return url.split("+")[0]


@contextlib.asynccontextmanager
async def intruder(url: str) -> AsyncIterator[Any]:
    """Somebody else who uses the database, outside of transactions."""
    engine = create_async_engine(url)
    async with engine.connect() as connection:
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        yield connection
    await engine.dispose()


@pytest.fixture
async def server_url(server: DatabaseServer) -> str:
    return await asyncio.to_thread(server.new_database)


# -- locked


async def test_a_file_that_somebody_locks(sqlite_url: str) -> None:
    async with running(sqlite_url, busy_timeout=0.1) as uri, bystander(uri) as goes_on:
        await leave_subscriber(uri)
        client = make_client(4, "c")
        await client.connect(uri)
        other = sqlite3.connect(file_of(sqlite_url), isolation_level=None)

        async def lock() -> None:
            other.execute("BEGIN IMMEDIATE")

        async def unlock() -> None:
            await goes_on()
            other.execute("ROLLBACK")

        await publish_while(client, lock, unlock)
        other.close()
        await client.disconnect()
    await check_waiting(sqlite_url, [b"meanwhile"])


async def test_a_table_that_somebody_locks(server_url: str) -> None:
    async with (
        running(server_url) as uri,
        bystander(uri) as goes_on,
        intruder(server_url) as other,
    ):
        await leave_subscriber(uri)
        client = make_client(4, "c")
        await client.connect(uri)

        async def lock() -> None:
            if kind_of(server_url) == "postgresql":
                await other.execute(text("BEGIN"))
            await other.execute(text(LOCK[kind_of(server_url)]))

        async def unlock() -> None:
            await goes_on()
            released = "ROLLBACK" if kind_of(server_url) == "postgresql" else "UNLOCK TABLES"
            await other.execute(text(released))

        await publish_while(client, lock, unlock)
        await client.disconnect()
    await check_waiting(server_url, [b"meanwhile"])


async def test_without_durability_nobody_waits(sqlite_url: str) -> None:
    async with running(sqlite_url, durable=False, busy_timeout=0.1) as uri:
        await leave_subscriber(uri)
        client = make_client(4, "c")
        await client.connect(uri)
        other = sqlite3.connect(file_of(sqlite_url), isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        await asyncio.wait_for(client.publish("t", b"meanwhile", qos=1), 10)
        other.execute("ROLLBACK")
        other.close()
        await client.disconnect()
    await check_waiting(sqlite_url, [b"meanwhile"])


# -- full


@pytest.fixture
def broker(tmp_path: Path, sqlite_url: str) -> Iterator[RestartingBroker]:
    options = {"connection": sqlite_url, "clear_on_shutdown": False}
    process = RestartingBroker(tmp_path, {PLUGIN: options})
    process.start()
    yield process
    process.kill()


async def test_a_disk_that_is_full(broker: RestartingBroker, sqlite_url: str) -> None:
    """No file of the broker may grow: SQLite takes that as it takes a full disk."""
    await leave_subscriber(broker.uri)
    client = make_client(4, "c")
    await client.connect(broker.uri)

    async def fill() -> None:
        resource.prlimit(broker.pid, resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))

    async def make_room() -> None:
        unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
        resource.prlimit(broker.pid, resource.RLIMIT_FSIZE, unlimited)

    await publish_while(client, fill, make_room)
    await client.disconnect()
    assert "cannot store changes" in broker.log()
    await asyncio.to_thread(broker.stop)
    await check_waiting(sqlite_url, [b"meanwhile"])


async def test_a_file_that_may_not_grow(sqlite_url: str, caplog: pytest.LogCaptureFixture) -> None:
    """SQLite says the same as on a full disk: `database or disk is full`."""
    async with Broker(config_of(sqlite_url)) as broker:
        uri = uri_of(broker)
        await leave_subscriber(uri)
        client = make_client(4, "c")
        await client.connect(uri)
        plugin: Any = broker.plugins_manager.get_plugin("SessionDBPlugin")
        connection = plugin._writer._connection

        async def fill() -> None:
            connection.execute("CREATE TABLE filler (content)")
            (pages,) = connection.execute("PRAGMA page_count").fetchone()
            connection.execute(f"PRAGMA max_page_count = {pages}")
            with contextlib.suppress(sqlite3.OperationalError):
                while True:
                    connection.execute("INSERT INTO filler VALUES (zeroblob(200))")
            # The pages that the tables have already have room for a short one.
            large = client.publish("t", bytes(100_000), qos=1)
            self_filling.append(asyncio.ensure_future(large))

        async def make_room() -> None:
            connection.execute("PRAGMA max_page_count = 1000000")

        self_filling: list[asyncio.Future[Any]] = []
        await publish_while(client, fill, make_room)
        await asyncio.wait_for(self_filling[0], 30)
        await client.disconnect()
    assert "full" in caplog.text
    await check_waiting(sqlite_url, [bytes(100_000), b"meanwhile"])


async def test_a_server_that_is_full(server_url: str, caplog: pytest.LogCaptureFixture) -> None:
    async with (
        running(server_url) as uri,
        bystander(uri) as goes_on,
        intruder(server_url) as other,
    ):
        await leave_subscriber(uri)
        client = make_client(4, "c")
        await client.connect(uri)

        async def fill() -> None:
            for statement in FULL[kind_of(server_url)]:
                await other.execute(text(statement))

        async def make_room() -> None:
            await goes_on()
            await other.execute(text(NOT_FULL[kind_of(server_url)]))

        await publish_while(client, fill, make_room)
        await client.disconnect()
    assert "cannot store changes" in caplog.text
    await check_waiting(server_url, [b"meanwhile"])


# -- restarted, slow and gone


async def test_a_server_that_restarts_slows_but_loses_nothing(
    server: DatabaseServer, server_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    async with running(server_url) as uri:
        await leave_subscriber(uri)
        client = make_client(4, "c")
        await client.connect(uri)
        await client.publish("t", b"before", qos=1)
        await publish_while(
            client,
            lambda: asyncio.to_thread(server.stop),
            lambda: asyncio.to_thread(server.start),
        )
        await client.publish("t", b"after", qos=1)
        await client.disconnect()
    assert "cannot store changes" in caplog.text
    assert "stores changes again" in caplog.text
    await check_waiting(server_url, [b"before", b"meanwhile", b"after"])


async def test_a_server_that_hangs_stalls_nobody_else(
    server: DatabaseServer, server_url: str
) -> None:
    async with running(server_url) as uri, bystander(uri) as goes_on:
        await leave_subscriber(uri)
        client = make_client(4, "c")
        await client.connect(uri)

        async def freeze() -> None:
            server.freeze()

        async def thaw() -> None:
            await goes_on()
            server.thaw()

        await publish_while(client, freeze, thaw)
        await client.disconnect()
    await check_waiting(server_url, [b"meanwhile"])


async def test_a_server_that_is_not_there_at_the_start(
    server: DatabaseServer, server_url: str
) -> None:
    await asyncio.to_thread(server.stop)
    try:
        with pytest.raises(BrokerError, match=r"session database .* cannot be opened"):
            await Broker(config_of(server_url)).start()
    finally:
        await asyncio.to_thread(server.start)
    async with running(server_url):
        pass


async def test_a_server_that_is_not_there_at_the_end(
    server: DatabaseServer,
    server_url: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    try:
        async with running(server_url, shutdown_timeout=0.5) as uri:
            await leave_subscriber(uri)
            client = make_client(4, "c")
            await client.connect(uri)
            await client.publish("t", b"before", qos=1)
            await asyncio.to_thread(server.stop)
            lost = asyncio.ensure_future(client.publish("t", b"lost", qos=1))
            await asyncio.wait([lost], timeout=0.2)
            assert not lost.done()
        lost.cancel()
        await asyncio.gather(lost, return_exceptions=True)
        await client.disconnect()
    finally:
        await asyncio.to_thread(server.start)
    assert "could not store the last changes" in caplog.text
    await check_waiting(server_url, [b"before"])


async def test_a_file_that_is_moved_away(
    sqlite_url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """SQLite would go on writing to it, and a restart would find nothing."""
    file = file_of(sqlite_url)
    async with running(sqlite_url) as uri:
        await leave_subscriber(uri)
        client = make_client(4, "c")
        await client.connect(uri)

        async def move() -> None:
            file.rename(tmp_path / "elsewhere")

        async def move_back() -> None:
            (tmp_path / "elsewhere").rename(file)

        await publish_while(client, move, move_back)
        await client.disconnect()
    assert "was removed, renamed or replaced" in caplog.text
    await check_waiting(sqlite_url, [b"meanwhile"])


# -- two brokers


async def test_a_second_broker_is_refused(url: str) -> None:
    async with running(url):
        with pytest.raises(BrokerError, match="another broker keeps its sessions in"):
            await asyncio.wait_for(Broker(config_of(url)).start(), 30)
    async with running(url):
        pass  # and not for ever


async def test_the_lock_of_a_broker_that_hangs_or_was_killed(url: str, tmp_path: Path) -> None:
    first = RestartingBroker(tmp_path, {PLUGIN: {"connection": url, "clear_on_shutdown": False}})
    await asyncio.to_thread(first.start)
    try:
        await leave_subscriber(first.uri)
        first.send_signal(signal.SIGSTOP)
        with pytest.raises(BrokerError, match="another broker keeps its sessions in"):
            await asyncio.wait_for(Broker(config_of(url)).start(), 30)
    finally:
        first.kill()
    async with Broker(config_of(url)) as second:
        assert list(second.sessions) == ["away"]


async def test_a_broker_that_was_cut_off_leaves_the_database_to_another(
    server_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with running(server_url, shutdown_timeout=0.5) as uri:
        await leave_subscriber(uri)
        client = make_client(4, "c")
        await client.connect(uri)
        await client.publish("t", b"first", qos=1)
        async with intruder(server_url) as other:
            found = (await other.execute(text(END_CONNECTIONS[kind_of(server_url)]))).all()
            for row in found if kind_of(server_url) == "mysql" else []:
                await other.execute(text(f"KILL {row[0]}"))
        async with running(server_url) as second:
            late = make_client(4, "late")
            await late.connect(second)
            await late.publish("t", b"second", qos=1)
            await late.disconnect()
        waiting = asyncio.ensure_future(client.publish("t", b"never", qos=1))
        await until(lambda: "another broker has written to" in caplog.text)
        assert not waiting.done()
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    await client.disconnect()
    await check_waiting(server_url, [b"first", b"second"])


# -- damaged


def _damage(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[4096 : 4096 + 8192] = b"\xa5" * 8192
    file.write_bytes(content)


@pytest.mark.parametrize("how", ["pages", "no database"])
async def test_a_damaged_file_is_refused_or_set_aside(
    tmp_path: Path, sqlite_url: str, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    file = file_of(sqlite_url)
    async with running(sqlite_url) as uri:
        await leave_subscriber(uri)
    if how == "pages":
        _damage(file)
    else:
        file.write_bytes(b"this is no database" * 1000)
    before = file.read_bytes()
    with pytest.raises(BrokerError, match=r"is damaged .* set 'on_corruption: set_aside'"):
        await Broker(config_of(sqlite_url)).start()
    assert file.read_bytes() == before
    async with running(sqlite_url, on_corruption="set_aside") as uri:
        await leave_subscriber(uri)
    aside = [each for each in tmp_path.iterdir() if ".corrupt-" in each.name]
    assert [each.read_bytes() for each in aside] == [before]
    assert "was set aside as" in caplog.text


async def test_a_damaged_file_is_not_taken_away_from_a_broker(
    sqlite_url: str, tmp_path: Path
) -> None:
    async with running(sqlite_url) as uri:
        await leave_subscriber(uri)
        _damage(file_of(sqlite_url))
        with pytest.raises(BrokerError, match="another broker keeps its sessions in"):
            await Broker(config_of(sqlite_url, on_corruption="set_aside")).start()
    assert not [each for each in tmp_path.iterdir() if ".corrupt-" in each.name]


async def test_tables_that_were_being_made_when_the_broker_was_killed(url: str) -> None:
    """Not every database takes the making of all tables back; it goes on where it was."""
    async with running(url):
        pass
    async with intruder(url) as other:
        for table in ("stored_commit", "stored_received", "stored_version"):
            await other.execute(text(f"DROP TABLE {table}"))
        name = "ix_stored_deliveries_session"
        on = " ON stored_deliveries" if kind_of(url) == "mysql" else ""
        await other.execute(text(f"DROP INDEX {name}{on}"))
    async with running(url) as uri:
        await leave_subscriber(uri)
        client = make_client(4, "c")
        await client.connect(uri)
        await client.publish("t", b"x", qos=1)
        await client.disconnect()
    await check_waiting(url, [b"x"])
