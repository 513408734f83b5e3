"""How batches get into databases: pragmas, limits of servers, connections that are lost."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from support.client import make_client, until
from support.databases import DatabaseServer
from support.session_db import check_waiting, config_of, leave_subscriber, running

from amqtt.broker import Broker
from amqtt.contrib.persistence import SessionDBPlugin, server_writer
from amqtt.contrib.persistence.schema import upgrade
from amqtt.contrib.persistence.server_writer import ServerWriter
from amqtt.plugins.storage import DeliveryRow, StateChanges


@pytest.mark.parametrize(("option", "value"), [("FULL", 2), ("normal", 1), ("off", 0)])
async def test_sqlite_has_a_log_ahead_and_is_as_synchronous_as_it_is_told(
    sqlite_url: str, option: str, value: int
) -> None:
    async with Broker(config_of(sqlite_url, synchronous=option)) as broker:
        plugin: Any = broker.plugins_manager.get_plugin("SessionDBPlugin")
        connection = plugin._writer._connection
        assert connection.execute("PRAGMA synchronous").fetchone() == (value,)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


@pytest.mark.parametrize(
    "options",
    [{"synchronous": "maybe"}, {"on_corruption": "ignore"}, {"commit_delay": -1}],
)
def test_options_that_make_no_sense(options: dict[str, Any]) -> None:
    value = next(iter(options.values()))
    with pytest.raises(ValueError, match=str(value)):
        SessionDBPlugin.Config(connection="sqlite+aiosqlite:///x.db", **options)


@pytest.fixture
async def writer(server: DatabaseServer) -> AsyncIterator[ServerWriter]:
    """A writer to an empty database of each kind of server."""
    engine = create_async_engine(await asyncio.to_thread(server.new_database))
    async with engine.begin() as connection:
        await connection.run_sync(upgrade)
    made = ServerWriter(engine)
    await made.lock()
    await made.open()
    yield made
    await made.close()
    await engine.dispose()


async def connection_number(writer: Any) -> int:
    async with writer._busy:
        connection = writer._connection
        function = (
            "pg_backend_pid()" if connection.dialect.name == "postgresql" else "CONNECTION_ID()"
        )
        number = int(await connection.scalar(text(f"SELECT {function}")))
        await connection.commit()
    return number


async def end_connection(writer: Any, number: int) -> None:
    async with writer._engine.connect() as other:
        is_postgresql = other.dialect.name == "postgresql"
        await other.execute(
            text(f"SELECT pg_terminate_backend({number})" if is_postgresql else f"KILL {number}")
        )


async def test_a_lost_connection_is_noticed_without_a_batch(
    server: DatabaseServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_writer, "_PULSE", 1)
    engine = create_async_engine(await asyncio.to_thread(server.new_database))
    async with engine.begin() as connection:
        await connection.run_sync(upgrade)
    writer: Any = ServerWriter(engine)
    await writer.lock()
    await writer.open()
    first = writer._connection
    await end_connection(writer, await connection_number(writer))
    await until(lambda: writer._connection not in (None, first))
    await writer.write(StateChanges(number=1))
    await writer.close()
    await engine.dispose()


async def test_the_system_watches_over_the_connection(writer: Any) -> None:
    """Or a server that has vanished would hold up commits for a quarter of an hour."""
    raw = (await writer._connection.get_raw_connection()).driver_connection
    await writer._connection.rollback()
    transport = getattr(raw, "_transport", None) or raw._writer.transport
    connected = transport.get_extra_info("socket")
    assert connected.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        assert connected.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 30_000


async def test_a_batch_that_was_committed_already_is_left_alone(writer: Any) -> None:
    """As when the connection is lost before the answer to COMMIT comes."""
    row = DeliveryRow(1, 1, 1, 1, False, "", None, 0, 0)
    await writer.write(StateChanges(number=1, deliveries=[row]))
    await end_connection(writer, await connection_number(writer))
    writer._is_uncertain = True
    for _ in range(2):
        try:
            await writer.write(StateChanges(number=1, deliveries=[row]))
        except Exception:
            continue
        break
    else:
        pytest.fail("the batch is not accepted")
    await writer.write(StateChanges(number=2, removed_deliveries=[1]))


async def test_a_message_for_a_thousand_subscriptions(writer: Any) -> None:
    """Its Subscription Identifiers are longer than a TEXT of MySQL."""
    identifiers = ",".join(str(268_435_455 - i) for i in range(10_000))
    row = DeliveryRow(1, 1, 1, 1, False, identifiers, None, 0, 0)
    await writer.write(StateChanges(number=1, deliveries=[row]))


async def test_a_message_that_is_too_large_for_mysql(
    mariadb: DatabaseServer, caplog: pytest.LogCaptureFixture
) -> None:
    """Some bytes take twice their size there; nothing else may be held up by it."""
    url = await asyncio.to_thread(mariadb.new_database)
    async with running(url) as uri:
        await leave_subscriber(uri)
        client = make_client(4, "c")
        await client.connect(uri)
        for payload in (bytes(7_000_000), bytes(9_000_000), b"small"):
            await asyncio.wait_for(client.publish("t", payload, qos=1), 30)
        await client.disconnect()
    assert "with 9000000 bytes is not stored" in caplog.text
    await check_waiting(url, [bytes(7_000_000), b"small"])
