"""`SessionDBPlugin` in brokers on real databases: what comes back, and what is refused."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import resource
import shutil
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import create_async_engine
from support.client import make_client
from support.databases import DatabaseServer
from support.restarting import RestartingBroker

from amqtt.broker import Broker
from amqtt.contrib.persistence import models
from amqtt.errors import BrokerError, PluginInitError

PLUGIN = "amqtt.contrib.persistence.SessionDBPlugin"
OLD = Path(__file__).with_name("amqtt-0.11.3.db")


def config_of(url: str, **options: Any) -> dict[str, Any]:
    return {
        "listeners": {"default": {"type": "tcp", "bind": "127.0.0.1:0"}},
        "plugins": {
            "amqtt.plugins.authentication.AnonymousAuthPlugin": {},
            PLUGIN: {"connection": url, "clear_on_shutdown": False, **options},
        },
    }


@contextlib.asynccontextmanager
async def running(url: str, **options: Any) -> AsyncIterator[str]:
    """A broker that keeps its sessions; gives its URI."""
    async with Broker(config_of(url, **options)) as broker:
        yield f"mqtt://127.0.0.1:{broker.addresses['default'][0][1]}"


async def count(url: str, table: Any) -> int:
    engine = create_async_engine(url)
    try:
        async with engine.connect() as connection:
            return int(await connection.scalar(select(func.count()).select_from(table)) or 0)
    finally:
        await engine.dispose()


async def take(client: Any, number: int) -> list[tuple[str, bytes, int]]:
    """Take messages of a client: topic, payload and QoS."""
    taken = []
    for _ in range(number):
        message = await client.deliver_message(timeout_duration=10)
        assert message is not None
        taken.append((message.topic, bytes(message.data), message.qos))
    return taken


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
        await away.disconnect()
    assert await count(url, models.deliveries) == 0
    assert await count(url, models.messages) == 0


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
    from amqtt.contrib.persistence import SessionDBPlugin

    with pytest.raises(PluginInitError):
        SessionDBPlugin.Config(connection="sqlite+aiosqlite://", file="x.db")


async def test_a_second_broker_is_refused(url: str) -> None:
    async with running(url):
        with pytest.raises(BrokerError, match="another broker keeps its sessions in"):
            await asyncio.wait_for(Broker(config_of(url)).start(), 30)
    async with running(url):
        pass  # and not for ever


async def test_two_storage_plugins_are_refused(sqlite_url: str) -> None:
    config = config_of(sqlite_url)
    config["plugins"][f"{__name__}.AnotherPlugin"] = {"connection": sqlite_url}
    with pytest.raises(BrokerError, match="several storage plugins"):
        await Broker(config).start()


from amqtt.contrib.persistence import SessionDBPlugin  # noqa: E402


class AnotherPlugin(SessionDBPlugin):
    """One too many."""


# -- faults


async def _publish_while(
    client: Any, trouble: Callable[[], Awaitable[None]], repair: Callable[[], Awaitable[None]]
) -> None:
    """A message that is published meanwhile is acknowledged afterwards, and not before."""
    await trouble()
    waiting = asyncio.ensure_future(client.publish("t", b"meanwhile", qos=1))
    done, _ = await asyncio.wait([waiting], timeout=0.5)
    assert not done, "acknowledged, though it cannot have been stored"
    await repair()
    await asyncio.wait_for(waiting, 30)


async def _subscriber_is_away(uri: str) -> None:
    away = make_client(4, "away")
    await away.connect(uri, cleansession=False)
    await away.subscribe([("t", 1)])
    await away.disconnect()


async def _check_after_trouble(url: str, expected: list[bytes]) -> None:
    async with running(url) as uri:
        away = make_client(4, "away")
        await away.connect(uri, cleansession=False)
        assert [payload for _, payload, _ in await take(away, len(expected))] == expected
        await away.disconnect()


async def test_a_server_that_restarts_slows_but_loses_nothing(
    server: DatabaseServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    url = await asyncio.to_thread(server.new_database)
    async with running(url) as uri:
        await _subscriber_is_away(uri)
        client = make_client(4, "c")
        await client.connect(uri)
        await client.publish("t", b"before", qos=1)
        await _publish_while(
            client,
            lambda: asyncio.to_thread(server.stop),
            lambda: asyncio.to_thread(server.start),
        )
        await client.publish("t", b"after", qos=1)
        await client.disconnect()
    assert "cannot store changes" in caplog.text
    assert "stores changes again" in caplog.text
    await _check_after_trouble(url, [b"before", b"meanwhile", b"after"])


async def test_a_server_that_hangs_stalls_nobody_else(server: DatabaseServer) -> None:
    url = await asyncio.to_thread(server.new_database)
    async with running(url) as uri:
        await _subscriber_is_away(uri)
        client, bystander = make_client(4, "c"), make_client(4, "bystander")
        await client.connect(uri)
        await bystander.connect(uri)
        await bystander.subscribe([("free", 1)])

        async def freeze() -> None:
            server.freeze()

        async def thaw() -> None:
            # Traffic that needs no store goes on.
            await bystander.publish("free", b"x", qos=1)
            assert await take(bystander, 1) == [("free", b"x", 1)]
            server.thaw()

        await _publish_while(client, freeze, thaw)
        await client.disconnect()
        await bystander.disconnect()
    await _check_after_trouble(url, [b"meanwhile"])


async def test_a_file_that_somebody_locks(sqlite_url: str) -> None:
    file = sqlite_url.removeprefix("sqlite+aiosqlite:///")
    async with running(sqlite_url, busy_timeout=0.1) as uri:
        await _subscriber_is_away(uri)
        client = make_client(4, "c")
        await client.connect(uri)
        intruder = sqlite3.connect(file, isolation_level=None)

        async def lock() -> None:
            intruder.execute("BEGIN IMMEDIATE")

        async def unlock() -> None:
            intruder.execute("ROLLBACK")

        await _publish_while(client, lock, unlock)
        intruder.close()
        await client.disconnect()
    await _check_after_trouble(sqlite_url, [b"meanwhile"])


@pytest.fixture
def broker(tmp_path: Path, sqlite_url: str) -> Iterator[RestartingBroker]:
    options = {"connection": sqlite_url, "clear_on_shutdown": False}
    process = RestartingBroker(tmp_path, {PLUGIN: options})
    process.start()
    yield process
    process.kill()


async def test_a_disk_that_is_full(broker: RestartingBroker, sqlite_url: str) -> None:
    """No file of the broker may grow: SQLite takes that as it takes a full disk."""
    await _subscriber_is_away(broker.uri)
    client = make_client(4, "c")
    await client.connect(broker.uri)

    async def fill() -> None:
        resource.prlimit(broker.pid, resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))

    async def make_room() -> None:
        unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
        resource.prlimit(broker.pid, resource.RLIMIT_FSIZE, unlimited)

    await _publish_while(client, fill, make_room)
    await client.disconnect()
    assert "cannot store changes" in broker.log()
    await asyncio.to_thread(broker.stop)
    await _check_after_trouble(sqlite_url, [b"meanwhile"])


def _damage(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[4096 : 4096 + 8192] = b"\xa5" * 8192
    file.write_bytes(content)


@pytest.mark.parametrize("how", ["pages", "no database"])
async def test_a_damaged_file_is_refused_or_set_aside(
    tmp_path: Path, sqlite_url: str, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    file = Path(sqlite_url.removeprefix("sqlite+aiosqlite:///"))
    async with running(sqlite_url) as uri:
        await _subscriber_is_away(uri)
    if how == "pages":
        _damage(file)
    else:
        file.write_bytes(b"this is no database" * 1000)
    before = file.read_bytes()
    with pytest.raises(BrokerError, match=r"is damaged .* set 'on_corruption: set_aside'"):
        await Broker(config_of(sqlite_url)).start()
    assert file.read_bytes() == before
    async with running(sqlite_url, on_corruption="set_aside") as uri:
        await _subscriber_is_away(uri)
    aside = [each for each in tmp_path.iterdir() if ".corrupt-" in each.name]
    assert [each.read_bytes() for each in aside] == [before]
    assert "was set aside as" in caplog.text


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


async def test_a_database_of_a_newer_version_is_refused(sqlite_url: str) -> None:
    async with running(sqlite_url):
        pass
    connection = sqlite3.connect(sqlite_url.removeprefix("sqlite+aiosqlite:///"))
    connection.execute("UPDATE stored_version SET version_num = '9999'")
    connection.commit()
    connection.close()
    with pytest.raises(BrokerError, match="9999"):
        await Broker(config_of(sqlite_url)).start()
