"""Whose a session is, and what it may, after the broker has started again."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from support.client import make_client
from support.embedded import config_of as plain_config
from support.session_db import PLUGIN, running, take, uri_of

from amqtt.broker import Broker
from amqtt.client import ConnectError, MQTTClient

ANONYMOUS = "amqtt.plugins.authentication.AnonymousAuthPlugin"
LISTS = "amqtt.plugins.topic_checking.TopicAccessControlListPlugin"


def as_user(uri: str, user: str | None) -> str:
    return uri.replace("//", f"//{user}:secret@") if user else uri


async def resume(uri: str, user: str | None, client_id: str = "away") -> MQTTClient:
    client = make_client(4, client_id)
    await client.connect(as_user(uri, user), cleansession=False)
    return client


async def leave_messages(uri: str, user: str | None, *topics: str) -> None:
    """Make a session that is away, with a message of each topic that waits."""
    away = await resume(uri, user)
    await away.subscribe([(topic, 1) for topic in topics])
    await away.disconnect()
    publisher = make_client(4, "publisher")
    await publisher.connect(as_user(uri, user))
    for topic in topics:
        await publisher.publish(topic, topic.encode(), qos=1)
    await publisher.disconnect()


@pytest.mark.parametrize("owner", ["alice", None])
async def test_a_session_stays_its_owners(url: str, owner: str | None) -> None:
    async with running(url) as uri:
        await leave_messages(uri, owner, "t")
    async with running(url) as uri:
        for user in {"alice", "bob", None} - {owner}:
            with pytest.raises(ConnectError):
                await resume(uri, user)
        client = await resume(uri, owner)
        assert await take(client, 1) == [("t", b"t", 1)]
        await client.disconnect()


async def test_a_session_of_amqtt_is_for_who_comes_first(tmp_path: Path) -> None:
    file = tmp_path / "amqtt.db"
    shutil.copy(Path(__file__).parent / "amqtt-0.11.3.db", file)
    with closing(sqlite3.connect(file)) as connection:
        client_id = connection.execute("SELECT client_id FROM stored_sessions").fetchone()[0]
    url = f"sqlite+aiosqlite:///{file}"
    async with running(url):
        pass  # the tables are taken over, and nobody comes
    async with running(url) as uri:
        client = await resume(uri, "bob", client_id)
        await client.disconnect()
    async with running(url) as uri:
        with pytest.raises(ConnectError):
            await resume(uri, "alice", client_id)


async def test_a_table_that_was_narrowed_holds_for_stored_sessions(sqlite_url: str) -> None:
    def config(*filters: str) -> dict[str, Any]:
        return plain_config(
            {
                ANONYMOUS: {},
                LISTS: {"subscribe_acl": {"alice": list(filters)}},
                PLUGIN: {"connection": sqlite_url, "clear_on_shutdown": False},
            }
        )

    async with Broker(config("a", "b")) as broker:
        await leave_messages(uri_of(broker), "alice", "a", "b")
    async with Broker(config("b")) as broker:
        client = await resume(uri_of(broker), "alice")
        assert await take(client, 1) == [("b", b"b", 1)]
        assert list(broker.subscriptions) == ["b"]
        await broker.publish("a", b"again", 1)
        await broker.publish("b", b"again", 1)
        assert await take(client, 1) == [("b", b"again", 1)]
        await client.disconnect()
    async with Broker(config("a", "b")) as broker:
        client = await resume(uri_of(broker), "alice")
        assert list(broker.subscriptions) == ["b"], "it was removed from the database as well"
        await client.disconnect()
