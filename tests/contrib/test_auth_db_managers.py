"""Users and topics in real databases."""

from __future__ import annotations

import asyncio
import sqlite3

import argon2
import pytest
from passlib.hash import pbkdf2_sha256
from sqlalchemy import text

from amqtt.contexts import Action
from amqtt.contrib.auth_db._database import Database
from amqtt.contrib.auth_db._hashing import HashSchemes
from amqtt.contrib.auth_db.managers import TopicManager, UserManager
from amqtt.contrib.auth_db.models import AllowedTopic, UserAuth
from amqtt.errors import MQTTError


def quick_schemes() -> HashSchemes:
    """Hash by Argon2 with the least effort; these tests are about what is stored."""
    schemes = HashSchemes()
    schemes.hashers[0]._hasher = argon2.PasswordHasher(1, 8, 1)
    return schemes


@pytest.fixture
async def users(url: str) -> UserManager:
    manager = UserManager(url, schemes=quick_schemes())
    await manager.db_sync()
    return manager


@pytest.fixture
async def topics(url: str) -> TopicManager:
    manager = TopicManager(url)
    await manager.db_sync()
    return manager


async def test_the_life_of_a_user(users: UserManager) -> None:
    assert list(await users.list_user_auths()) == []
    made = await users.create_user_auth("bob", "secret")
    assert str(made).startswith("'bob' with password hash: $argon2id$")
    await users.create_user_auth("alice", "other")
    assert [each.username for each in await users.list_user_auths()] == ["alice", "bob"]
    assert await users.verify_user_auth_password("bob", "secret")
    assert not await users.verify_user_auth_password("bob", "other")
    assert not await users.verify_user_auth_password("nobody", "secret")
    await users.update_user_auth_password("bob", "new")
    assert await users.verify_user_auth_password("bob", "new")
    assert not await users.verify_user_auth_password("bob", "secret")
    removed = await users.delete_user_auth("bob")
    assert removed is not None
    assert removed.username == "bob"
    assert await users.get_user_auth("bob") is None
    assert await users.delete_user_auth("bob") is None


async def test_what_cannot_be_done_to_a_user_is_said(users: UserManager) -> None:
    await users.create_user_auth("bob", "secret")
    with pytest.raises(MQTTError, match="'bob' already exists"):
        await users.create_user_auth("bob", "again")
    with pytest.raises(MQTTError, match="'eve' does not exist"):
        await users.update_user_auth_password("eve", "x")
    with pytest.raises(MQTTError, match="more than 255"):
        await users.create_user_auth("x" * 256, "x")
    for name in ("eve\u2028root", "root\u00a0", "root ", "eve\x85", "eve\n"):
        with pytest.raises(MQTTError, match="cannot be the name of a user"):
            await users.create_user_auth(name, "x")
    with pytest.raises(MQTTError, match="empty"):
        await users.create_user_auth("", "x")


async def test_two_who_add_the_same_user_get_one(users: UserManager) -> None:
    results = await asyncio.gather(
        *(users.create_user_auth("bob", str(n)) for n in range(3)), return_exceptions=True
    )
    refused = [type(each) for each in results if not isinstance(each, UserAuth)]
    assert refused == [MQTTError, MQTTError]


async def test_names_are_compared_exactly(users: UserManager) -> None:
    await users.create_user_auth("bob", "secret")
    for other in ("BOB", "bob ", " bob", "bób"):
        assert await users.get_user_auth(other) is None, other
        assert not await users.verify_user_auth_password(other, "secret"), other
    await users.create_user_auth("BOB", "different")
    assert await users.verify_user_auth_password("BOB", "different")
    assert await users.verify_user_auth_password("bob", "secret")


async def test_any_text_is_a_name(users: UserManager) -> None:
    for name in ("'; DROP TABLE user_auth; --", "Ünï ☃ 😀", "a%_\\b", "x" * 255):
        await users.create_user_auth(name, "secret")
        assert await users.verify_user_auth_password(name, "secret")


async def test_an_older_hash_is_replaced_when_the_password_was_right(url: str) -> None:
    with pytest.warns(DeprecationWarning, match="pbkdf2_sha256"):
        users = UserManager(url, schemes=HashSchemes(["pbkdf2_sha256"]))
    await users.db_sync()
    await users.create_user_auth("bob", "x")
    old = pbkdf2_sha256.hash("secret")
    bob = await users.get_user_auth("bob")
    assert bob is not None
    await users.replace_hash(bob, old)
    assert not await users.verify_user_auth_password("bob", "wrong")
    unchanged = await users.get_user_auth("bob")
    assert unchanged is not None
    assert unchanged._password_hash == old
    assert await users.verify_user_auth_password("bob", "secret")
    replaced = await users.get_user_auth("bob")
    assert replaced is not None
    assert replaced._password_hash.startswith("$argon2id$")
    assert await users.verify_user_auth_password("bob", "secret")


async def test_a_password_changed_meanwhile_is_not_put_back(users: UserManager) -> None:
    before = await users.create_user_auth("bob", "old")
    await users.update_user_auth_password("bob", "new")
    await users.replace_hash(before, before._password_hash)
    assert await users.verify_user_auth_password("bob", "new")


async def test_the_life_of_topics(topics: TopicManager) -> None:
    made = await topics.create_topic_auth("bob")
    assert made.get_topic_list(Action.PUBLISH) == []
    assert await topics.add_allowed_topic("bob", "a/#", Action.PUBLISH) == [AllowedTopic("a/#")]
    listed = await topics.add_allowed_topic("bob", "a/b", Action.PUBLISH)
    assert [each.topic for each in listed] == ["a/#", "a/b"]
    assert len(await topics.add_allowed_topic("bob", "a/b", Action.PUBLISH)) == 2
    await topics.add_allowed_topic("bob", "$SYS/#", Action.SUBSCRIBE)
    await topics.create_topic_auth("alice")
    rows = list(await topics.list_topic_auths())
    assert [each.username for each in rows] == ["alice", "bob"]
    assert str(rows[1]) == "'bob':\n\tpublish: [a/#, a/b], subscribe: [$SYS/#], receive: []\n"
    left = await topics.remove_allowed_topic("bob", "a/#", Action.PUBLISH)
    assert [each.topic for each in left] == ["a/b"]
    found = await topics.get_topic_auth("bob")
    assert found is not None
    assert [each.topic for each in found.publish_acl] == ["a/b"]


async def test_what_cannot_be_done_to_topics_is_said(topics: TopicManager) -> None:
    with pytest.raises(MQTTError, match="'bob' does not exist"):
        await topics.add_allowed_topic("bob", "a", Action.PUBLISH)
    await topics.create_topic_auth("bob")
    with pytest.raises(MQTTError, match="'bob' already exists"):
        await topics.create_topic_auth("bob")
    with pytest.raises(MQTTError, match="'a' is not in the receive list of 'bob'"):
        await topics.remove_allowed_topic("bob", "a", Action.RECEIVE)
    with pytest.raises(MQTTError, match=r"start with '\$'"):
        await topics.add_allowed_topic("bob", "$SYS/x", Action.PUBLISH)
    for wrong in ("", "a/#/b", "a+", "a\0b"):
        with pytest.raises(MQTTError, match="no topic filter"):
            await topics.add_allowed_topic("bob", wrong, Action.SUBSCRIBE)


async def test_changes_at_the_same_time_are_all_kept(topics: TopicManager) -> None:
    await topics.create_topic_auth("bob")
    await asyncio.gather(
        *(topics.add_allowed_topic("bob", f"t/{n}", Action.PUBLISH) for n in range(8))
    )
    found = await topics.get_topic_auth("bob")
    assert found is not None
    assert sorted(each.topic for each in found.publish_acl) == [f"t/{n}" for n in range(8)]


async def test_tables_may_be_made_again_and_by_two_at_once(url: str) -> None:
    managers = [UserManager(url), TopicManager(url)]
    await asyncio.gather(*(each.db_sync() for each in managers))
    await managers[0].db_sync()
    await UserManager(url).create_user_auth("bob", "x")


async def test_a_database_of_other_versions_is_read(sqlite_url: str) -> None:
    connection = sqlite3.connect(sqlite_url.removeprefix("sqlite+aiosqlite:///"))
    connection.executescript(
        """
        CREATE TABLE topic_auth (
            id INTEGER NOT NULL, username VARCHAR NOT NULL, publish_acl JSON NOT NULL,
            subscribe_acl JSON NOT NULL, receive_acl JSON NOT NULL,
            PRIMARY KEY (id), UNIQUE (username));
        INSERT INTO topic_auth VALUES (1, 'bob', '[{"topic": "a/#"}]', '[]', '[]');
        """
    )
    connection.close()
    topics = TopicManager(sqlite_url)
    bob = await topics.get_topic_auth("bob")
    assert bob is not None
    assert "a/b" in bob.publish_acl
    await topics.add_allowed_topic("bob", "b", Action.PUBLISH)
    connection = sqlite3.connect(sqlite_url.removeprefix("sqlite+aiosqlite:///"))
    stored = connection.execute("SELECT publish_acl FROM topic_auth").fetchone()[0]
    connection.close()
    assert stored == '[{"topic": "a/#"}, {"topic": "b"}]'


async def test_the_columns_are_those_of_other_versions(url: str) -> None:
    database = Database(url)
    await database.sync_schema()
    async with database.session() as session:
        users = await session.execute(text("SELECT * FROM user_auth"))
        rights = await session.execute(text("SELECT * FROM topic_auth"))
        acls = ["publish_acl", "subscribe_acl", "receive_acl"]
        assert list(users.keys()) == ["id", "username", "password_hash", *acls]
        assert list(rights.keys()) == ["id", "username", *acls]
    await database.close()
