"""Databases that are slow, restart or are gone, under a broker that goes on."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from support.databases import DatabaseServer
from support.embedded import Peer, config_of, until
from support.wire import PINGREQ, PINGRESP, suback, subscribe

from amqtt.broker import Broker
from amqtt.contexts import Action
from amqtt.contrib.auth_db._database import DatabaseGuard, DatabaseUnavailableError
from amqtt.contrib.auth_db.managers import TopicManager

TOPICS = "amqtt.contrib.auth_db.TopicAuthDBPlugin"
ANYBODY = {"amqtt.plugins.authentication.AnonymousAuthPlugin": {}}
QUICK = {"verdict_ttl": 0, "timeout": 0.5, "retry_interval": 0.05}
LIMIT = 20.0


async def allow(url: str) -> None:
    manager = TopicManager(url)
    await manager.db_sync()
    await manager.create_topic_auth("bob")
    await manager.add_allowed_topic("bob", "#", Action.SUBSCRIBE)


def config(url: str, **options: Any) -> dict[str, Any]:
    return config_of({**ANYBODY, TOPICS: {"connection": url, **QUICK, **options}})


class Asker:
    """Subscribes again and again as the user bob."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.count = 0

    @classmethod
    async def login(cls, broker: Broker) -> Asker:
        return cls(await Peer.login(broker, "asker", username="bob"))

    async def allowed(self) -> bool:
        self.count += 1
        self.peer.send(subscribe(self.count, ("a", 0)))
        answer = await self.peer.packet()
        assert answer in (suback(self.count, 0), suback(self.count, 0x80))
        return answer == suback(self.count, 0)

    async def until_allowed(self) -> None:
        async def ask() -> None:
            while not await self.allowed():
                await asyncio.sleep(0.02)

        await asyncio.wait_for(ask(), LIMIT)


async def check_others(broker: Broker) -> None:
    """Others, whom the database is not asked about, are served."""
    peer = await Peer.login(broker, "other")
    peer.send(PINGREQ)
    await peer.expect(PINGRESP)
    await peer.close()


async def in_thread(call: Any) -> None:
    await asyncio.get_running_loop().run_in_executor(None, call)


async def test_a_restart_goes_unnoticed(server: DatabaseServer) -> None:
    url = await asyncio.to_thread(server.new_database)
    await allow(url)
    async with Broker(config(url)) as broker:
        asker = await Asker.login(broker)
        assert await asker.allowed()
        server.stop()
        await in_thread(server.start)
        # The connection that was kept is dead; the question is asked again on a new one.
        await asker.until_allowed()
        await asker.peer.close()


async def test_a_database_that_is_gone_denies_and_comes_back(
    server: DatabaseServer, caplog: pytest.LogCaptureFixture
) -> None:
    url = await asyncio.to_thread(server.new_database)
    await allow(url)
    async with Broker(config(url)) as broker:
        asker = await Asker.login(broker)
        assert await asker.allowed()
        server.stop()
        try:
            for _ in range(20):
                assert not await asker.allowed()
            await check_others(broker)
        finally:
            await in_thread(server.start)
        await asker.until_allowed()
        await asker.peer.close()
    assert caplog.text.count("The database does not answer; until it does") == 1
    assert caplog.text.count("The database answers again") == 1


async def test_a_database_that_hangs_denies_within_the_time_limit_and_comes_back(
    server: DatabaseServer,
) -> None:
    url = await asyncio.to_thread(server.new_database)
    await allow(url)
    async with Broker(config(url, pool_size=2)) as broker:
        asker = await Asker.login(broker)
        assert await asker.allowed()
        server.freeze()
        try:
            for _ in range(6):  # more than there are connections
                assert not await asyncio.wait_for(asker.allowed(), LIMIT)
            await check_others(broker)
        finally:
            server.thaw()
        await asker.until_allowed()
        await asker.peer.close()


async def test_a_file_that_is_locked_denies_and_comes_back(sqlite_url: str) -> None:
    await allow(sqlite_url)
    async with Broker(config(sqlite_url)) as broker:
        asker = await Asker.login(broker)
        assert await asker.allowed()
        other = sqlite3.connect(sqlite_url.removeprefix("sqlite+aiosqlite:///"))
        other.execute("BEGIN EXCLUSIVE")
        assert not await asker.allowed()
        await check_others(broker)
        other.rollback()
        other.close()
        await asker.until_allowed()
        await asker.peer.close()


async def test_a_broker_starts_without_its_database_and_makes_the_tables_later(
    server: DatabaseServer,
) -> None:
    url = await asyncio.to_thread(server.new_database)
    server.stop()
    try:
        broker = Broker(config(url, sync_schema=True))
        await broker.start()
        asker = await Asker.login(broker)
        assert not await asker.allowed()
    finally:
        await in_thread(server.start)
    try:
        guard = broker.plugins_manager.get_plugin("TopicAuthDBPlugin")._asking.guard

        async def back() -> None:
            while guard.is_away:
                assert not await asker.allowed()
                await asyncio.sleep(0.02)

        await asyncio.wait_for(back(), LIMIT)
        await TopicManager(url).create_topic_auth("bob")  # the tables are there
        await TopicManager(url).add_allowed_topic("bob", "#", Action.SUBSCRIBE)
        await asker.until_allowed()
        await asker.peer.close()
    finally:
        await broker.shutdown()


async def test_deferring_leaves_the_decision_to_other_plugins(sqlite_url: str) -> None:
    # There are no tables: that is no answer either.
    taboo = {"amqtt.plugins.topic_checking.TopicTabooPlugin": {}}
    for on_error, allowed in (("defer", True), ("deny", False)):
        plugins = {**ANYBODY, **taboo, TOPICS: {"connection": sqlite_url, "on_error": on_error}}
        async with Broker(config_of(plugins)) as broker:
            asker = await Asker.login(broker)
            assert await asker.allowed() is allowed
            await asker.peer.close()


async def test_a_denial_without_the_database_is_not_remembered(sqlite_url: str) -> None:
    async with Broker(config(sqlite_url, verdict_ttl=3600)) as broker:
        asker = await Asker.login(broker)
        assert not await asker.allowed()
        await allow(sqlite_url)
        await asker.until_allowed()
        await asker.peer.close()


# -- the guard by itself


def make_guard(**options: Any) -> DatabaseGuard:
    settings = {"timeout": 5.0, "retry_interval": 0.0, "recovered": lambda: None} | options
    return DatabaseGuard(logging.getLogger("guard"), **settings)


async def failing() -> None:
    msg = "gone"
    raise OSError(msg)


async def succeeding() -> str:
    return "answer"


async def test_while_the_database_is_away_one_question_at_a_time_goes_to_it() -> None:
    guard = make_guard(timeout=60.0)
    with pytest.raises(DatabaseUnavailableError, match="OSError: gone"):
        await guard.ask(failing)
    gate = asyncio.Event()
    asked: list[int] = []

    async def waiting() -> str:
        asked.append(1)
        await gate.wait()
        return "answer"

    probe = asyncio.ensure_future(guard.ask(waiting))
    await until(lambda: asked)
    for _ in range(3):
        with pytest.raises(DatabaseUnavailableError, match="lately"):
            await guard.ask(waiting)
    gate.set()
    assert await probe == "answer"
    assert len(asked) == 1
    assert await guard.ask(succeeding) == "answer"


async def test_a_probe_that_is_cancelled_makes_room_for_another() -> None:
    guard = make_guard(timeout=60.0)
    with pytest.raises(DatabaseUnavailableError):
        await guard.ask(failing)
    probe = asyncio.ensure_future(guard.ask(asyncio.Event().wait))
    await asyncio.sleep(0)
    probe.cancel()
    with pytest.raises(asyncio.CancelledError):
        await probe
    assert await guard.ask(succeeding) == "answer"


async def test_no_question_waits_until_a_cancelled_one_has_ended() -> None:
    guard = make_guard(timeout=0.01)
    release = asyncio.Event()

    async def stubborn() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await release.wait()  # as a driver that closes a connection which hangs

    with pytest.raises(DatabaseUnavailableError, match=r"within 0\.01 seconds"):
        await asyncio.wait_for(guard.ask(stubborn), LIMIT)
    assert await guard.ask(succeeding) == "answer"
    release.set()
    await guard.close()


async def test_recovery_is_told_once() -> None:
    told: list[None] = []
    guard = make_guard(recovered=lambda: told.append(None))
    await guard.ask(succeeding)
    assert not told
    with pytest.raises(DatabaseUnavailableError):
        await guard.ask(failing)
    await guard.ask(succeeding)
    await guard.ask(succeeding)
    assert len(told) == 1


async def test_one_slow_question_is_no_outage_while_others_are_answered() -> None:
    guard = make_guard(timeout=0.05, retry_interval=60.0)
    slow = asyncio.ensure_future(guard.ask(asyncio.Event().wait))
    await asyncio.sleep(0)
    await guard.ask(succeeding)
    with pytest.raises(DatabaseUnavailableError):
        await slow
    assert not guard.is_away
    assert await guard.ask(succeeding) == "answer"


async def test_connections_are_bounded(mariadb: DatabaseServer) -> None:
    url = await asyncio.to_thread(mariadb.new_database)
    topics = TopicManager(url)
    await topics.db_sync()
    names = [f"user{number}" for number in range(30)]
    for name in names:
        await topics.create_topic_auth(name)
        await topics.add_allowed_topic(name, "a", Action.SUBSCRIBE)
    await topics.close()
    engine = create_async_engine(url)
    async with (
        engine.connect() as connection,
        Broker(config(url, pool_size=3, timeout=20)) as broker,
    ):
        peers = [await Peer.login(broker, name, username=name) for name in names]
        await connection.execute(text("FLUSH STATUS"))
        for peer in peers:
            peer.send(subscribe(1, ("a", 0)))
        for peer in peers:  # all are answered, one after the other
            await peer.expect(suback(1, 0))
            await peer.close()
        found = await connection.execute(text("SHOW STATUS LIKE 'Max_used_connections'"))
        _, most = found.one()
    await engine.dispose()
    assert 2 <= int(most) <= 3 + 1  # and the one that asks here
