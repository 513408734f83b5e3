"""What programs and tests of aMQTT do with the plugin and its tables, without a broker's engine."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from alembic.config import Config as AlembicConfig
from alembic.script import ScriptDirectory
from sqlalchemy import create_mock_engine
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.schema import CreateTable
from support.client import make_client
from support.session_db import take, uri_of

import amqtt.contrib.persistence as package
from amqtt.broker import Broker, BrokerContext
from amqtt.contexts import BrokerConfig
from amqtt.contrib.persistence import Base, SessionDBPlugin, StoredMessage, StoredSession, schema
from amqtt.errors import PluginError
from amqtt.session import RetainedApplicationMessage, Session

SESSION_COLUMNS = [
    "id", "client_id", "clean_session", "will_flag", "will_message", "will_qos", "will_retain",
    "will_topic", "keep_alive", "retained", "subscriptions",
]  # fmt: skip


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "amqtt.db"


@pytest.fixture
async def plugin(file: Path) -> Any:
    broker = Broker(BrokerConfig(plugins={}))
    context = BrokerContext(broker)
    context.config = SessionDBPlugin.Config(connection=f"sqlite+aiosqlite:///{file}")
    made = SessionDBPlugin(context)
    made.broker = broker  # the context holds it weakly
    await made.on_broker_pre_start()
    yield made
    await made.close()


def rows(file: Path, statement: str) -> list[tuple[Any, ...]]:
    connection = sqlite3.connect(file)
    try:
        return connection.execute(statement).fetchall()
    finally:
        connection.close()


@pytest.mark.usefixtures("plugin")
async def test_the_tables_have_their_columns_in_their_order(file: Path) -> None:
    assert [row[1] for row in rows(file, "PRAGMA table_info(stored_sessions)")] == SESSION_COLUMNS
    names = [row[1] for row in rows(file, "PRAGMA table_info(stored_messages)")]
    assert names == ["id", "topic", "data", "qos"]
    types = {row[1]: row[2] for row in rows(file, "PRAGMA table_info(stored_sessions)")}
    assert types["id"] == "INTEGER"
    assert types["client_id"] == "TEXT"


@pytest.mark.usefixtures("plugin")
async def test_the_migrations_make_what_the_models_say(file: Path) -> None:
    for table in Base.metadata.sorted_tables:
        found = {row[1]: row for row in rows(file, f"PRAGMA table_info({table.name})")}
        assert list(found) == [column.name for column in table.columns]
        for column in table.columns:
            kind = column.type.compile(sqlite.dialect())  # type: ignore[no-untyped-call]
            assert found[column.name][2] == kind, column
            assert bool(found[column.name][3]) == (not column.nullable), column


def test_the_newest_migration_is_the_one_that_is_asked_for() -> None:
    config = AlembicConfig()
    config.set_main_option("script_location", str(Path(package.__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    assert ScriptDirectory.from_config(config).get_current_head() == schema.NEWEST


@pytest.mark.parametrize("dialect", [sqlite, postgresql, mysql])
def test_the_models_compile_for_each_database(dialect: Any) -> None:
    for model in (StoredSession, StoredMessage):
        table: Any = model.__table__
        assert "CREATE TABLE" in str(CreateTable(table).compile(dialect=dialect.dialect()))
    create_mock_engine(f"{dialect.dialect.name}://", lambda *_: None)


async def test_a_session_is_made_once(plugin: Any, file: Path) -> None:
    for _ in range(2):
        async with plugin._db_session_maker() as db_session, db_session.begin():
            stored = await plugin._get_or_create_session(db_session, "one")
            assert stored.client_id == "one"
    assert [row[1] for row in rows(file, "SELECT * FROM stored_sessions")] == ["one"]


def session_of(client_id: str, clean: bool | None) -> Session:
    session = Session()
    session.client_id = client_id
    session.clean_session = clean
    session.will_flag = True
    session.will_topic = "will/topic"
    session.will_message = b"last"
    session.will_qos = 1
    session.will_retain = True
    session.keep_alive = 30
    return session


async def test_a_connected_client(plugin: Any, file: Path) -> None:
    await plugin.on_broker_client_connected(client_id="a", client_session=session_of("a", False))
    await plugin.on_broker_client_connected(client_id="b", client_session=session_of("b", True))
    await plugin.on_broker_client_connected(client_id="c", client_session=session_of("c", None))
    anonymous = session_of("d", False)
    anonymous.is_anonymous = True
    await plugin.on_broker_client_connected(client_id="d", client_session=anonymous)
    assert rows(file, "SELECT * FROM stored_sessions") == [
        (1, "a", 0, 1, b"last", 1, 1, "will/topic", 30, "[]", "[]")
    ]


async def test_subscriptions(plugin: Any, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    session = session_of("a", False)
    monkeypatch.setattr(plugin.context, "get_session", lambda _: session)
    for topic, qos in (("sensors/#", 0), ("my/topic", 2), ("gone", 1), ("sensors/#", 1)):
        await plugin.on_broker_client_subscribed(client_id="a", topic=topic, qos=qos)
    await plugin.on_broker_client_unsubscribed(client_id="a", topic="gone")
    row = rows(file, "SELECT * FROM stored_sessions")[0]
    assert row[-1] == '[{"topic": "my/topic", "qos": 2}, {"topic": "sensors/#", "qos": 1}]'


async def test_a_stranger_cannot_subscribe(
    plugin: Any, file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await plugin.on_broker_client_subscribed(client_id="nobody", topic="t", qos=0)
    assert rows(file, "SELECT * FROM stored_sessions") == []
    assert "nobody" in caplog.text


async def test_messages_that_wait_for_a_client(plugin: Any, file: Path) -> None:
    for data in (b"text", b"\xff\x00"):
        await plugin.on_broker_retained_message(
            client_id="a", retained_message=RetainedApplicationMessage(None, "t", data, 1)
        )
    stored = json.loads(rows(file, "SELECT * FROM stored_sessions")[0][-2])
    assert stored == [
        {"topic": "t", "data": "text", "qos": 1},
        {"topic": "t", "data": "/wA=", "qos": 1, "encoding": "base64"},
    ]


async def test_retained_messages(plugin: Any, file: Path) -> None:
    for topic, data in (("a", b"1"), ("b", b"2"), ("a", b"3"), ("b", b"")):
        await plugin.on_broker_retained_message(
            client_id=None, retained_message=RetainedApplicationMessage(None, topic, data, 2)
        )
    assert rows(file, "SELECT * FROM stored_messages") == [(1, "a", b"3", 2)]


async def test_rows_that_somebody_has_inserted(plugin: Any, file: Path) -> None:
    connection = sqlite3.connect(file)
    listed = json.dumps([{"topic": "sensors/#", "qos": 1}, {"topic": "my/topic", "qos": 2}])
    connection.execute(
        "INSERT INTO stored_sessions VALUES(?, ?, 0, 0, NULL, NULL, NULL, NULL, 10, ?, ?)",
        (7, "client", '[{"topic": "my/topic", "data": "waits", "qos": 2}]', listed),
    )
    connection.execute("INSERT INTO stored_messages VALUES(3, 'one', x'31', 0)")
    connection.execute("INSERT INTO stored_messages VALUES(4, 'two', x'32', 1)")
    connection.execute("INSERT INTO stored_messages VALUES(5, 'two', x'33', 1)")
    connection.commit()
    connection.close()
    await plugin.close()
    config = {
        "listeners": {"default": {"type": "tcp", "bind": "127.0.0.1:0"}},
        "plugins": {
            "amqtt.plugins.persistence.SessionDBPlugin": {
                "connection": f"sqlite+aiosqlite:///{file}", "clear_on_shutdown": False,
            }
        },
    }  # fmt: skip
    async with Broker(config) as broker:
        session = broker.context.get_session("client")
        assert session is not None
        assert session.retained_messages_count == 1
        assert set(broker.subscriptions) == {"sensors/#", "my/topic"}
        retained = {topic: bytes(m.data) for topic, m in broker.retained_messages.items()}
        assert retained == {"one": b"1", "two": b"3"}
    assert len(rows(file, "SELECT * FROM stored_messages")) == 2


async def test_the_default_is_a_file_in_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    config = SessionDBPlugin.Config()
    assert config.file == Path("amqtt.db")
    assert config.clear_on_shutdown is True


async def test_a_missing_driver_is_named() -> None:
    context = BrokerContext(Broker(BrokerConfig(plugins={})))
    context.config = SessionDBPlugin.Config(connection="sqlite+nodriver:///x.db")
    with pytest.raises(Exception, match="nodriver"):
        SessionDBPlugin(context)


async def test_post_start_restores_where_no_engine_has(plugin: Any, file: Path) -> None:
    connection = sqlite3.connect(file)
    connection.execute(
        "INSERT INTO stored_sessions VALUES(1, 'c', 0, 1, x'ff', 1, 0, 'will/c', 10, ?, ?)",
        (
            '[{"topic": "a", "data": "x", "qos": 1},'
            ' {"topic": "b", "data": "/w==", "qos": 1, "encoding": "base64"}]',
            '[{"topic": "sensors/#", "qos": 1}]',
        ),
    )
    connection.execute("INSERT INTO stored_messages VALUES(1, 'one', x'31', 0)")
    connection.commit()
    connection.close()
    config = {
        "listeners": {"default": {"type": "tcp", "bind": "127.0.0.1:0"}},
        "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {}},
    }
    async with Broker(config) as broker:
        context = BrokerContext(broker)
        context.config = plugin.config
        late = SessionDBPlugin(context)
        await late.on_broker_pre_start()
        await late.on_broker_post_start()
        assert list(broker.subscriptions) == ["sensors/#"]
        assert list(broker.retained_messages) == ["one"]
        session = context.get_session("c")
        assert session is not None
        assert session.retained_messages.qsize() == 2
        assert (session.will_topic, session.will_message, session.will_qos) == (
            "will/c",
            b"\xff",
            1,
        )
        assert (session.clean_session, session.keep_alive) == (False, 10)
        client = make_client(4, "c")
        await client.connect(uri_of(broker), cleansession=False)
        assert await take(client, 2) == [("a", b"x", 1), ("b", b"\xff", 1)]
        await client.disconnect()
        with pytest.raises(PluginError, match="any sessions or subscriptions"):
            await late.on_broker_post_start()
        await late.close()
