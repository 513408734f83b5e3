"""Brokers that ask a database who may connect and what clients may do with topics."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from support.embedded import Peer, client_of, config_of, port_of
from support.wire import DISCONNECT, ack, connect, packet, publish, string, suback, subscribe

from amqtt.broker import Broker
from amqtt.client import ConnectError, MQTTClient
from amqtt.contexts import Action
from amqtt.contrib.auth_db.managers import TopicManager, UserManager

USERS = "amqtt.contrib.auth_db.UserAuthDBPlugin"
TOPICS = "amqtt.contrib.auth_db.TopicAuthDBPlugin"
ANYBODY = {"amqtt.plugins.authentication.AnonymousAuthPlugin": {}}


@pytest.fixture
async def topics(sqlite_url: str) -> TopicManager:
    manager = TopicManager(sqlite_url)
    await manager.db_sync()
    await manager.create_topic_auth("bob")
    return manager


@asynccontextmanager
async def checking_topics(url: str, **options: Any) -> AsyncIterator[Broker]:
    """Run a broker that admits everybody and looks topics up."""
    options = {"connection": url, "verdict_ttl": 0} | options
    async with Broker(config_of({**ANYBODY, TOPICS: options})) as broker:
        yield broker


async def login(broker: Broker, user: str, password: str) -> None:
    client = MQTTClient(config={"auto_reconnect": False})
    await client.connect(f"mqtt://{user}:{password}@127.0.0.1:{port_of(broker)}")
    await client.disconnect()


async def test_users_and_topics_of_every_database(url: str) -> None:
    config = config_of(
        {USERS: {"connection": url, "sync_schema": True}, TOPICS: {"connection": url}}
    )
    async with Broker(config) as broker:
        with pytest.raises(ConnectError):
            await login(broker, "bob", "secret")
        await UserManager(url).create_user_auth("bob", "secret")
        topics = TopicManager(url)
        await topics.create_topic_auth("bob")
        await topics.add_allowed_topic("bob", "home/%u/#", Action.PUBLISH)
        with pytest.raises(ConnectError):
            await login(broker, "bob", "guess")
        messages = broker.subscribe("#")
        async with client_of(broker, "c", user="bob") as client:
            await client.publish("home/eve/door", b"open", qos=1)
            await client.publish("home/bob/door", b"closed", qos=1)
            assert await client.subscribe([("home/bob/#", 0)]) == [0x80]
        assert (await anext(messages)).topic == "home/bob/door"


async def test_older_names_of_the_plugins(sqlite_url: str) -> None:
    await UserManager(sqlite_url).db_sync()
    await UserManager(sqlite_url).create_user_auth("bob", "secret")
    for name in ("AuthTopicDBPlugin", "AuthTopicDBPlugine"):
        options = {"connection": sqlite_url}
        plugins = {
            "amqtt.contrib.auth_db.AuthUserDBPlugin": options,
            f"amqtt.contrib.auth_db.{name}": options,
        }
        async with (
            Broker(config_of(plugins)) as broker,
            client_of(broker, "c", user="bob") as client,
        ):
            assert await client.subscribe([("a", 0)]) == [0x80]


async def test_whoever_sends_no_name_or_no_password_is_refused(sqlite_url: str) -> None:
    config = config_of({USERS: {"connection": sqlite_url, "sync_schema": True}})
    async with Broker(config) as broker:
        for peer_options in ({}, {"username": "bob"}, {"username": ""}):
            peer = await Peer.open(broker)
            peer.send(connect("c", **peer_options))  # type: ignore[arg-type]
            assert (await peer.packet())[3] != 0
            await peer.close()


async def test_passwords_and_hashes_are_not_logged(
    sqlite_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    manager = UserManager(sqlite_url)
    await manager.db_sync()
    await manager.create_user_auth("bob", "Tr0ub4dor")
    async with Broker(config_of({USERS: {"connection": sqlite_url}})) as broker:
        await login(broker, "bob", "Tr0ub4dor")
        for user, password in (("bob", "wr0ngOne"), ("eve", "wr0ngOne")):
            with pytest.raises(ConnectError):
                await login(broker, user, password)
    ours = [each.getMessage() for each in caplog.records if each.name.startswith("amqtt.broker")]
    assert "User 'bob' is refused: wrong password" in ours
    assert "User 'eve' is refused: unknown user" in ours
    for record in caplog.records:
        for secret in ("Tr0ub4dor", "wr0ngOne", "$argon2"):
            assert secret not in record.getMessage()


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"hash_schemes": ["md5"]}, "md5"),
        ({"timeout": 0}, "timeout"),
        ({"on_error": "panic"}, "panic"),
        ({"connection": "nonsense"}, "URL"),
        ({"connection": "mysql://x:secret@127.0.0.1/x"}, "'mysql' is not an asynchronous driver"),
        ({"connection": "sqlite:///x.db"}, "'sqlite' is not an asynchronous driver"),
    ],
)
async def test_wrong_options_are_refused(options: dict[str, Any], reason: str) -> None:
    with pytest.raises(Exception, match=r"URL|failed|Plugin") as caught:
        Broker(config_of({USERS: {"connection": "sqlite+aiosqlite:///x.db"} | options}))
    told = f"{caught.value} {caught.value.__cause__}"
    assert reason in told


async def test_a_missing_driver_is_named(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(ModuleNotFoundError, match="asyncmy"):
        Broker(config_of({USERS: {"connection": "mysql+asyncmy://x@127.0.0.1/x"}}))
    assert "Plugin 'UserAuthDBPlugin' needs what cannot be imported" in caplog.text


# -- rights


async def test_each_action_has_its_own_list(topics: TopicManager, sqlite_url: str) -> None:
    await topics.add_allowed_topic("bob", "out/#", Action.PUBLISH)
    await topics.add_allowed_topic("bob", "in/#", Action.SUBSCRIBE)
    await topics.add_allowed_topic("bob", "in/open/#", Action.RECEIVE)
    async with checking_topics(sqlite_url) as broker:
        messages = broker.subscribe("#")
        peer = await Peer.login(broker, "c", username="bob")
        peer.send(subscribe(1, ("in/+", 0), ("out/#", 0), ("#", 0), ("in/#", 0)))
        await peer.expect(suback(1, 0, 0x80, 0x80, 0))
        peer.send(publish("in/open/x", b"refused", qos=1, packet_id=2))
        await peer.expect(ack(0x40, 2))
        peer.send(publish("out/x", b"allowed", qos=1, packet_id=3))
        await peer.expect(ack(0x40, 3))
        assert (await anext(messages)).data == b"allowed"
        await broker.internal_message_broadcast("in/shut/x", b"1")
        await broker.internal_message_broadcast("in/open/x", b"2")
        await peer.expect(publish("in/open/x", b"2"))
        await peer.close()


async def test_unknown_users_may_do_nothing_and_nameless_ones_are_left_to_others(
    topics: TopicManager, sqlite_url: str
) -> None:
    await topics.add_allowed_topic("bob", "#", Action.SUBSCRIBE)
    async with checking_topics(sqlite_url) as broker:
        for options in ({"username": "eve"}, {"username": "BOB"}, {}):
            peer = await Peer.login(broker, "c", **options)
            peer.send(subscribe(1, ("a", 0)))
            await peer.expect(suback(1, 0x80))
            await peer.close()


async def test_a_name_with_wildcards_gains_nothing(topics: TopicManager, sqlite_url: str) -> None:
    for name in ("+", "#", "a/b"):
        await topics.create_topic_auth(name)
        for action in Action:
            await topics.add_allowed_topic(name, "home/%u", action)
    async with checking_topics(sqlite_url) as broker:
        for name in ("+", "#", "a/b"):
            peer = await Peer.login(broker, "c", username=name)
            peer.send(subscribe(1, ("home/+", 0), ("home/#", 0), ("home/eve", 0), ("home/a/b", 0)))
            await peer.expect(suback(1, 0x80, 0x80, 0x80, 0x80))
            await peer.close()


async def test_a_damaged_row_refuses_its_user_alone(
    topics: TopicManager, sqlite_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    from sqlalchemy import text

    await topics.create_topic_auth("eve")
    await topics.add_allowed_topic("bob", "#", Action.SUBSCRIBE)
    async with topics._database.session() as session:
        damage = "UPDATE topic_auth SET publish_acl = 'no JSON' WHERE username = 'eve'"
        await session.execute(text(damage))
        await session.commit()
    async with checking_topics(sqlite_url) as broker:
        for name, code in (("eve", 0x80), ("bob", 0)):
            peer = await Peer.login(broker, "c", username=name)
            peer.send(subscribe(1, ("a", 0)))
            await peer.expect(suback(1, code))
            await peer.close()
    assert "A row of the database is damaged" in caplog.text


# -- rights that are withdrawn


async def receiver(topics: TopicManager) -> None:
    for action in (Action.SUBSCRIBE, Action.RECEIVE):
        await topics.add_allowed_topic("bob", "a/#", action)
        await topics.add_allowed_topic("bob", "end", action)


async def test_a_right_that_is_withdrawn_ends_what_a_subscription_gets(
    topics: TopicManager, sqlite_url: str
) -> None:
    await receiver(topics)
    async with checking_topics(sqlite_url) as broker:
        peer = await Peer.login(broker, "c", username="bob")
        peer.send(subscribe(1, ("a/x", 0), ("end", 0)))
        await peer.expect(suback(1, 0, 0))
        await broker.internal_message_broadcast("a/x", b"1")
        await peer.expect(publish("a/x", b"1"))
        await topics.remove_allowed_topic("bob", "a/#", Action.RECEIVE)
        await broker.internal_message_broadcast("a/x", b"2")
        await broker.internal_message_broadcast("end", b"")
        await peer.expect(publish("end", b""))
        await peer.close()


async def test_a_right_that_is_withdrawn_holds_for_retained_messages(
    topics: TopicManager, sqlite_url: str
) -> None:
    await receiver(topics)
    async with checking_topics(sqlite_url) as broker:
        await broker.retain_message(None, "a/kept", b"1", 0)
        peer = await Peer.login(broker, "c", username="bob")
        peer.send(subscribe(1, ("a/#", 0)))
        await peer.expect(suback(1, 0) + publish("a/kept", b"1", retain=True))
        await topics.remove_allowed_topic("bob", "a/#", Action.RECEIVE)
        peer.send(subscribe(2, ("a/#", 0), ("end", 0)))
        await peer.expect(suback(2, 0, 0))
        await broker.internal_message_broadcast("end", b"")
        await peer.expect(publish("end", b""))
        await peer.close()


async def test_a_right_that_is_withdrawn_holds_for_stored_subscriptions(
    topics: TopicManager, sqlite_url: str
) -> None:
    await receiver(topics)
    async with checking_topics(sqlite_url) as broker:
        peer = await Peer.login(broker, "c", username="bob", clean=False)
        peer.send(subscribe(1, ("a/x", 1), ("end", 1)))
        await peer.expect(suback(1, 1, 1))
        peer.send(DISCONNECT)
        await peer.close()
        await topics.remove_allowed_topic("bob", "a/#", Action.RECEIVE)
        await broker.internal_message_broadcast("a/x", b"while away", 1)
        await broker.internal_message_broadcast("end", b"", 1)
        back = await Peer.open(broker)
        back.send(connect("c", username="bob", clean=False))
        await back.expect(b"\x20\x02\x01\x00")
        assert (await back.packet())[4:7] == b"end"
        await back.close()


async def test_a_right_that_is_withdrawn_holds_for_shared_subscriptions(
    topics: TopicManager, sqlite_url: str
) -> None:
    await receiver(topics)
    async with checking_topics(sqlite_url) as broker:
        peer = await Peer.login(broker, "c", username="bob")
        peer.send(subscribe(1, ("$share/g/a/x", 0), ("$share/g/b", 0), ("end", 0)))
        await peer.expect(suback(1, 0, 0x80, 0))
        await broker.internal_message_broadcast("a/x", b"1")
        await peer.expect(publish("a/x", b"1"))
        await topics.remove_allowed_topic("bob", "a/#", Action.RECEIVE)
        await broker.internal_message_broadcast("a/x", b"2")
        await broker.internal_message_broadcast("end", b"")
        await peer.expect(publish("end", b""))
        await peer.close()


async def test_a_right_that_is_withdrawn_holds_for_wills(
    topics: TopicManager, sqlite_url: str
) -> None:
    for topic in ("will/1", "will/2"):
        await topics.add_allowed_topic("bob", topic, Action.PUBLISH)
    async with checking_topics(sqlite_url) as broker:
        messages = broker.subscribe("will/#")
        peers = [
            await Peer.login(broker, f"c{n}", username="bob", will=(f"will/{n}", b"gone"))
            for n in (1, 2)
        ]
        await topics.remove_allowed_topic("bob", "will/1", Action.PUBLISH)
        for peer in peers:
            await peer.close()
        assert (await anext(messages)).topic == "will/2"


# -- verdicts that are remembered


async def test_a_verdict_is_remembered_for_its_time(topics: TopicManager, sqlite_url: str) -> None:
    await topics.add_allowed_topic("bob", "a", Action.PUBLISH)
    async with checking_topics(sqlite_url, verdict_ttl=3600) as broker:
        messages = broker.subscribe("#")
        peer = await Peer.login(broker, "c", username="bob")
        peer.send(publish("a", b"1", qos=1, packet_id=1))
        await peer.expect(ack(0x40, 1))
        await topics.remove_allowed_topic("bob", "a", Action.PUBLISH)
        peer.send(publish("a", b"2", qos=1, packet_id=2))
        await peer.expect(ack(0x40, 2))
        broker.invalidate_verdicts()
        peer.send(publish("a", b"3", qos=1, packet_id=3))
        await peer.expect(ack(0x40, 3))
        await topics.add_allowed_topic("bob", "b", Action.PUBLISH)
        peer.send(publish("b", b"4"))
        assert [(await anext(messages)).data for _ in range(3)] == [b"1", b"2", b"4"]
        await peer.close()


async def test_questions_on_one_user_at_the_same_time_are_one(
    topics: TopicManager, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await receiver(topics)
    lookups = 0
    original = TopicManager.get_topic_auth

    async def counted(self: TopicManager, username: str) -> Any:
        nonlocal lookups
        lookups += 1
        await asyncio.sleep(0.05)
        return await original(self, username)

    monkeypatch.setattr(TopicManager, "get_topic_auth", counted)
    async with checking_topics(sqlite_url) as broker:
        peer = await Peer.login(broker, "c", username="bob")
        peer.send(subscribe(1, *((f"a/{n}", 0) for n in range(50))))
        await peer.expect(suback(1, *[0] * 50))
        assert lookups == 1
        await peer.close()


def connect_with_password(client_id: str, user: str, password: bytes) -> bytes:
    body = string("MQTT") + b"\x04\xc2\x00\x3c" + string(client_id)
    return packet(0x10, body + string(user) + string(password))


async def test_a_password_that_is_no_text_is_compared_as_it_is(sqlite_url: str) -> None:
    manager = UserManager(sqlite_url)
    await manager.db_sync()
    await manager.create_user_auth("bob", b"\xff\x00\xfe")  # type: ignore[arg-type]
    async with Broker(config_of({USERS: {"connection": sqlite_url}})) as broker:
        for password, code in ((b"\xff\x00\xfe", 0), (b"\xff\x00\xfd", 5)):
            peer = await Peer.open(broker)
            peer.send(connect_with_password("c", "bob", password))
            assert (await peer.packet())[3] == code
            await peer.close()
