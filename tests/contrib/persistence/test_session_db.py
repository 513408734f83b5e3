"""`SessionDBPlugin` in brokers on real databases: what comes back, and what is refused."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import create_async_engine
from support.client import make_client
from support.databases import DatabaseServer
from support.session_db import PLUGIN, config_of, count, file_of, running, take, uri_of

from amqtt.broker import Broker
from amqtt.contrib.persistence import SessionDBPlugin, models
from amqtt.errors import BrokerError, PluginInitError

OLD = Path(__file__).with_name("amqtt-0.11.3.db")


async def test_a_session_comes_back_with_everything(url: str) -> None:
    async with running(url) as uri:
        away = make_client(5, "away", connect_properties={"session_expiry_interval": 600})
        await away.connect(uri, cleansession=True)
        await away.subscribe([("a/#", 1)], properties={"subscription_identifier": 77})
        await away.subscribe([("b", 2), ("$share/group/c", 1), ("gone", 1)])
        await away.unsubscribe(["gone"])
        await away.disconnect()
        other = make_client(5, "other")
        await other.connect(uri)
        await other.publish("a/1", b"\xff\x00", qos=1, properties={"content_type": "x/y"})
        await other.publish("b", b"two", qos=2)
        await other.publish("c", b"shared", qos=1)
        await other.publish("gone", b"nobody", qos=1)
        await other.publish("r/1", b"kept", qos=1, retain=True, properties={"content_type": "z"})
        await other.publish("r/2", b"old", qos=1, retain=True)
        await other.publish("r/2", b"new", qos=1, retain=True)
        await other.publish("r/3", b"removed", qos=1, retain=True)
        await other.publish("r/3", b"", qos=1, retain=True)
        await other.disconnect()
    async with running(url) as uri:
        away = make_client(5, "away", connect_properties={"session_expiry_interval": 600})
        await away.connect(uri, cleansession=False)
        first = await away.deliver_message(timeout_duration=10)
        assert first is not None
        assert (first.topic, bytes(first.data)) == ("a/1", b"\xff\x00")
        assert first.properties is not None
        assert first.properties["content_type"] == "x/y"
        assert first.properties["subscription_identifier"] == [77]
        assert await take(away, 2) == [("b", b"two", 2), ("c", b"shared", 1)]
        await away.subscribe([("r/+", 1)])
        kept = [await away.deliver_message(timeout_duration=10) for _ in range(2)]
        assert {m.topic: bytes(m.data) for m in kept if m} == {"r/1": b"kept", "r/2": b"new"}
        # What was on its way when the broker stops would come again.
        await asyncio.wait_for(_no_rows(url, models.deliveries), 10)
        await away.disconnect()
    assert await count(url, models.messages) == 0


async def _no_rows(url: str, table: Any) -> None:
    while await count(url, table) > 0:
        await asyncio.sleep(0.01)


async def test_a_clean_start_leaves_nothing_behind(url: str) -> None:
    async with running(url) as uri:
        client = make_client(4, "c")
        await client.connect(uri, cleansession=False)
        await client.subscribe([("t", 1)])
        await client.disconnect()
        other = make_client(4, "other")
        await other.connect(uri)
        await other.publish("t", b"x", qos=1)
        await other.disconnect()
        await client.connect(uri, cleansession=True)
        await client.disconnect()
    for table in (models.stored_sessions, models.subscriptions, models.deliveries, models.messages):
        assert await count(url, table) == 0


async def test_what_has_expired_meanwhile_is_gone(url: str) -> None:
    async with running(url) as uri:
        brief = make_client(5, "brief", connect_properties={"session_expiry_interval": 1})
        await brief.connect(uri, cleansession=True)
        await brief.disconnect()
        other = make_client(5, "other")
        await other.connect(uri)
        properties = {"message_expiry_interval": 1}
        await other.publish("r/1", b"brief", qos=1, retain=True, properties=properties)
        await other.publish("r/2", b"lasting", qos=1, retain=True)
        await other.disconnect()
    await asyncio.sleep(1.1)  # the time itself is what is tested
    async with Broker(config_of(url)) as broker:
        await asyncio.wait_for(_no_sessions(broker), 10)
        assert list(broker.retained_messages) == ["r/2"]
    assert await count(url, models.stored_sessions) == 0
    assert await count(url, models.stored_messages) == 1


async def test_the_clock_is_set_back_before_a_restart(url: str) -> None:
    """By an hour: neither messages nor sessions live longer than they were to."""
    async with running(url) as uri:
        for name, expiry in (("away", 600), ("brief", 1)):
            client = make_client(5, name, connect_properties={"session_expiry_interval": expiry})
            await client.connect(uri, cleansession=True)
            await client.subscribe([("t", 1)])
            await client.disconnect()
        other = make_client(5, "other")
        await other.connect(uri)
        properties = {"message_expiry_interval": 30, "content_type": "x"}
        await other.publish("t", b"x", qos=1, properties=properties)
        await other.publish("r", b"x", qos=1, retain=True, properties=properties)
        await other.disconnect()
    engine = create_async_engine(url)
    async with engine.begin() as connection:
        for table, column in (
            (models.session_details, "disconnected_at"),
            (models.messages, "expires_at"),
            (models.retained_details, "expires_at"),
        ):
            later = {column: table.c[column] + 3600}
            await connection.execute(table.update().values(later))
    await engine.dispose()
    async with Broker(config_of(url)) as broker:
        away = make_client(5, "away", connect_properties={"session_expiry_interval": 600})
        await away.connect(uri_of(broker), cleansession=False)
        await away.subscribe([("r", 1)])
        for _ in range(2):
            message = await away.deliver_message(timeout_duration=10)
            assert message is not None
            assert message.properties is not None
            assert 0 < message.properties["message_expiry_interval"] <= 30
            assert message.properties["content_type"] == "x"
        await asyncio.wait_for(_only(broker, "away"), 10)
        await away.disconnect()


async def _only(broker: Broker, client_id: str) -> None:
    while list(broker.sessions) != [client_id]:
        await asyncio.sleep(0.01)


async def _no_sessions(broker: Broker) -> None:
    while len(broker.sessions):
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("clears", [True, False])
async def test_clear_on_shutdown(url: str, clears: bool) -> None:
    async with running(url, clear_on_shutdown=clears) as uri:
        client = make_client(4, "c")
        await client.connect(uri, cleansession=False)
        await client.publish("t", b"x", qos=1, retain=True)
        await client.disconnect()
    assert await count(url, models.stored_sessions) == (0 if clears else 1)
    assert await count(url, models.stored_messages) == (0 if clears else 1)


async def test_a_file_is_deleted_when_it_is_to_be_cleared(tmp_path: Path) -> None:
    config = config_of("unused")
    config["plugins"][PLUGIN] = {"file": str(tmp_path / "a.db")}
    with pytest.warns(DeprecationWarning, match="`file` option is now deprecated"):
        broker = Broker(config)
    async with broker:
        assert (tmp_path / "a.db").exists()
    assert list(tmp_path.iterdir()) == []


def test_file_and_connection_exclude_each_other() -> None:
    with pytest.raises(PluginInitError):
        SessionDBPlugin.Config(connection="sqlite+aiosqlite://", file="x.db")


async def test_two_storage_plugins_are_refused(sqlite_url: str) -> None:
    config = config_of(sqlite_url)
    config["plugins"][f"{__name__}.AnotherPlugin"] = {"connection": sqlite_url}
    with pytest.raises(BrokerError, match="several storage plugins"):
        await Broker(config).start()


class AnotherPlugin(SessionDBPlugin):
    """One too many."""


# -- databases of aMQTT


async def test_a_database_of_amqtt_is_taken_over(tmp_path: Path) -> None:
    """It was written by aMQTT 0.11.3, which has stored one client in several rows."""
    shutil.copy(OLD, tmp_path / "old.db")
    url = f"sqlite+aiosqlite:///{tmp_path}/old.db"
    for _ in range(2):  # once from its format, once from ours
        async with Broker(config_of(url)) as broker:
            filters = {name: len(found) for name, found in broker.subscriptions.items()}
            assert filters == {"sensors/#": 1, "orders/+/new": 1, "other/topic": 1}
            assert len(broker.sessions) == 2
            retained = {topic: bytes(m.data) for topic, m in broker.retained_messages.items()}
            assert retained == {"state/a": b"on", "state/b": b"\xff\x00binary"}
    async with running(url) as uri:
        keeper = make_client(4, "keeper")
        await keeper.connect(uri, cleansession=False)
        assert await take(keeper, 2) == [
            ("sensors/1/temperature", b"20.5", 1),
            ("orders/7/new", b'{"id": 7}', 2),
        ]
        await keeper.disconnect()
    assert await count(url, models.stored_sessions) == 2


# What aMQTT 0.11.3 makes of its models there.
OLD_POSTGRESQL = (
    "CREATE TABLE stored_sessions (id SERIAL NOT NULL, client_id VARCHAR NOT NULL,"
    " clean_session BOOLEAN, will_flag BOOLEAN DEFAULT 'false' NOT NULL, will_message BYTEA,"
    " will_qos INTEGER, will_retain BOOLEAN, will_topic VARCHAR, keep_alive INTEGER NOT NULL,"
    " retained JSON NOT NULL, subscriptions JSON NOT NULL, PRIMARY KEY (id))",
    "CREATE TABLE stored_messages (id SERIAL NOT NULL, topic VARCHAR NOT NULL, data BYTEA,"
    " qos INTEGER NOT NULL, PRIMARY KEY (id))",
    "INSERT INTO stored_sessions (client_id, clean_session, keep_alive, retained, subscriptions)"
    ' VALUES (\'keeper\', false, 60, \'[{"topic": "a/1", "data": "x", "qos": 1}]\','
    ' \'[{"topic": "a/#", "qos": 1}]\')',
    "INSERT INTO stored_messages (topic, data, qos) VALUES ('r', '\\xff00', 1)",
)


async def test_a_postgresql_database_of_amqtt_is_taken_over(postgresql: DatabaseServer) -> None:
    url = await asyncio.to_thread(postgresql.new_database)
    engine = create_async_engine(url)
    async with engine.begin() as connection:
        for statement in OLD_POSTGRESQL:
            await connection.exec_driver_sql(statement)
    await engine.dispose()
    for _ in range(2):
        async with Broker(config_of(url)) as broker:
            assert list(broker.subscriptions) == ["a/#"]
            assert bytes(broker.retained_messages["r"].data) == b"\xff\x00"
    async with running(url) as uri:
        keeper = make_client(4, "keeper")
        await keeper.connect(uri, cleansession=False)
        assert await take(keeper, 1) == [("a/1", b"x", 1)]
        await keeper.disconnect()
    engine = create_async_engine(url)
    async with engine.connect() as connection:
        kinds = await connection.exec_driver_sql(
            "SELECT data_type FROM information_schema.columns WHERE column_name = 'id'"
        )
        assert {row[0] for row in kinds} == {"bigint"}
    await engine.dispose()


async def test_a_database_of_a_newer_version_is_refused(sqlite_url: str) -> None:
    async with running(sqlite_url):
        pass
    connection = sqlite3.connect(file_of(sqlite_url))
    connection.execute("UPDATE stored_version SET version_num = '9999'")
    connection.commit()
    connection.close()
    with pytest.raises(BrokerError, match="9999"):
        await Broker(config_of(sqlite_url)).start()
