"""The packaged plugins by themselves, as applications and subclasses use them."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

import bcrypt
import pytest
from argon2 import PasswordHasher as Argon2Hasher
from passlib.hash import sha512_crypt

from amqtt.contexts import Action, BaseContext
from amqtt.plugins import TopicMatcher
from amqtt.plugins.authentication import (
    AnonymousAuthPlugin,
    DeprecatedSHA512CryptHasher,
    FileAuthPlugin,
    PasswordFileError,
)
from amqtt.plugins.base import BaseAuthPlugin, BaseTopicPlugin
from amqtt.plugins.logging_amqtt import EventLoggerPlugin, PacketLoggerPlugin
from amqtt.plugins.persistence import SQLitePlugin
from amqtt.plugins.sys.broker import val_to_bytes_str
from amqtt.plugins.topic_checking import TopicAccessControlListPlugin, TopicTabooPlugin
from amqtt.session import Session

CHEAP_ARGON2 = Argon2Hasher(time_cost=1, memory_cost=64, parallelism=1)


def context(config: Any) -> BaseContext:
    made = BaseContext()
    made.logger = logging.getLogger("test.plugin")
    made.config = config
    return made


def session_of(username: str | None, password: str | bytes | None = None) -> Session:
    session = Session()
    session.client_id, session.username, session.password = "c", username, password
    return session


# -- base classes


@pytest.mark.parametrize(
    ("base", "section"), [(BaseAuthPlugin, "auth"), (BaseTopicPlugin, "topic-check")]
)
async def test_a_missing_section_is_warned_of_once(
    base: type[Any], section: str, caplog: pytest.LogCaptureFixture
) -> None:
    plugin = base(context({}))
    assert [each.message for each in caplog.records] == [
        f"'{section}' section not found in context configuration"
    ]
    assert plugin._get_config_option("x", 3) == 3


@pytest.mark.parametrize(
    ("config", "allowed"),
    [({}, False), ({"auth": {"a": 1}}, True), (BaseAuthPlugin.Config(), True)],
)
async def test_base_of_authentication_wants_a_configuration(config: Any, allowed: bool) -> None:
    assert await BaseAuthPlugin(context(config)).authenticate(session=Session()) is allowed


@pytest.mark.parametrize("key", ["topic-check", "topic_check"])
async def test_base_of_topic_plugins_reads_its_section(key: str) -> None:
    plugin = BaseTopicPlugin(context({key: {"some-option": 4}}))
    assert plugin.topic_config == {"some-option": 4}
    assert plugin._get_config_option("some-option") == 4
    assert await plugin.topic_filtering(session=Session(), topic="a", action=Action.PUBLISH)


# -- authentication


@pytest.mark.parametrize(
    ("allow", "username", "accepted", "anonymous"),
    [
        (True, None, True, True), (True, "", True, True), (True, "u", True, False),
        (False, None, False, False), (False, "", False, False), (False, "u", True, False),
    ],
)  # fmt: skip
async def test_anonymous(
    allow: bool, username: str | None, accepted: bool, anonymous: bool
) -> None:
    for config in (
        AnonymousAuthPlugin.Config(allow_anonymous=allow),
        {"auth": {"allow-anonymous": allow}},
    ):
        session = session_of(username)
        assert await AnonymousAuthPlugin(context(config)).authenticate(session=session) is accepted
        assert session.is_anonymous is anonymous


@pytest.fixture
def password_file(tmp_path: Path) -> Path:
    file = tmp_path / "passwords"
    file.write_text(
        "# users\n\n"
        f"argon: {CHEAP_ARGON2.hash('secret')}\n"
        f"bcrypt:{bcrypt.hashpw(b'secret', bcrypt.gensalt(4)).decode()}\n"
        "broken:$argon2id$v=19$m=1\n"
        "odd:md5:abc\n",
        encoding="utf-8",
    )
    return file


@pytest.mark.parametrize(
    ("username", "password", "verdict"),
    [
        ("argon", "secret", True), ("argon", b"secret", True), ("argon", "wrong", False),
        ("argon", None, False), ("bcrypt", "secret", True), ("bcrypt", "wrong", False),
        ("broken", "secret", False), ("odd", "abc", False), ("nobody", "secret", False),
        (None, "secret", None), ("", "secret", None),
    ],
)  # fmt: skip
async def test_password_file(
    password_file: Path, username: str | None, password: Any, verdict: bool | None
) -> None:
    plugin = FileAuthPlugin(context(FileAuthPlugin.Config(password_file)))
    assert await plugin.authenticate(session=session_of(username, password)) is verdict


async def test_password_file_is_read_again_when_it_changes(password_file: Path) -> None:
    plugin = FileAuthPlugin(context(FileAuthPlugin.Config(str(password_file))))
    assert await plugin.authenticate(session=session_of("new", "x")) is False
    password_file.write_text(f"new:{CHEAP_ARGON2.hash('x')}\n", encoding="utf-8")
    assert await plugin.authenticate(session=session_of("new", "x")) is True
    assert await plugin.authenticate(session=session_of("argon", "secret")) is False
    password_file.unlink()  # what was read goes on to hold
    assert await plugin.authenticate(session=session_of("new", "x")) is True


async def test_odd_lines_are_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "passwords"
    file.write_text("no colon here\nuser:plain\n", encoding="utf-8")
    plugin = FileAuthPlugin(context(FileAuthPlugin.Config(file)))
    assert f"{file}:1: no ':' in the line" in caplog.text
    assert f"{file}:2: user 'user' is refused: the hash is of no known kind" in caplog.text
    assert not plugin.is_hash_supported("plain")


async def test_no_password_file(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    plugin = FileAuthPlugin(context(FileAuthPlugin.Config()))
    assert "'password-file' not found" in caplog.text
    assert await plugin.authenticate(session=session_of("u", "x")) is False
    with pytest.raises(PasswordFileError, match="missing"):
        FileAuthPlugin(context(FileAuthPlugin.Config(tmp_path / "missing")))


async def test_sha512_crypt_is_deprecated_but_checked(tmp_path: Path) -> None:
    made = sha512_crypt.using(rounds=1000).hash("secret")
    file = tmp_path / "passwords"
    file.write_text(f"u:{made}\n", encoding="utf-8")
    with pytest.warns(DeprecationWarning, match="SHA-512 crypt"):
        plugin = FileAuthPlugin(context(FileAuthPlugin.Config(file)))
    with pytest.warns(DeprecationWarning, match="SHA-512 crypt"):
        assert await plugin.authenticate(session=session_of("u", "secret")) is True
    hasher = DeprecatedSHA512CryptHasher()
    assert hasher.identify(made)
    assert hasher.check_needs_rehash(made)
    with pytest.warns(DeprecationWarning, match="SHA-512 crypt"):
        assert not hasher.verify("wrong", made)
    with pytest.raises(NotImplementedError):
        hasher.hash("x")


# -- topics


@pytest.mark.parametrize("topic", ["prohibited", "top-secret", "data/classified"])
async def test_taboo(topic: str) -> None:
    plugin = TopicTabooPlugin(context(TopicTabooPlugin.Config()))
    for action in Action:
        ask = {"topic": topic, "action": action}
        assert not await plugin.topic_filtering(session=session_of("u"), **ask)  # type: ignore[arg-type]
        assert await plugin.topic_filtering(session=session_of("admin"), **ask)  # type: ignore[arg-type]
    assert await plugin.topic_filtering(
        session=session_of(None), topic="#", action=Action.SUBSCRIBE
    )


@pytest.mark.parametrize(
    ("requested", "allowed", "covered"),
    [
        ("a/b", "a/b", True), ("a", "a/b", False), ("a/b", "a", False), ("a/b", "a/+", True),
        ("a/#", "a/+", False), ("a", "a/#", True), ("a/b/c", "a/#", True), ("#", "a/#", False),
        ("a/+", "a/b", False), ("$SYS/x", "#", False), ("$SYS/x", "+/x", False),
        ("$SYS/x", "$SYS/#", True), ("a/+/c", "a/#", True), ("#", "#", True),
    ],
)  # fmt: skip
def test_acl_entries_cover_topics_and_filters(requested: str, allowed: str, covered: bool) -> None:
    assert TopicAccessControlListPlugin.topic_ac(requested, allowed) is covered


async def ask_acl(config: Any, username: str | None, topic: str, action: Action) -> bool:
    plugin = TopicAccessControlListPlugin(context(config))
    return await plugin.topic_filtering(session=session_of(username), topic=topic, action=action)


async def test_acl_has_a_table_for_each_action() -> None:
    config = TopicAccessControlListPlugin.Config(
        publish_acl={"u": ["p"]}, subscribe_acl={"u": ["s"]}, receive_acl={"u": ["r"]}
    )
    for action, topic in ((Action.PUBLISH, "p"), (Action.SUBSCRIBE, "s"), (Action.RECEIVE, "r")):
        assert await ask_acl(config, "u", topic, action)
        assert not await ask_acl(config, "u", "x", action)
        assert not await ask_acl(config, "other", topic, action)
        assert not await ask_acl(config, None, topic, action)


async def test_acl_that_is_left_out() -> None:
    config = TopicAccessControlListPlugin.Config()
    assert await ask_acl(config, "u", "a", Action.PUBLISH)
    assert not await ask_acl(config, "u", "a", Action.SUBSCRIBE)
    assert await ask_acl(config, "u", "a", Action.RECEIVE)
    assert not await ask_acl(config, "u", "", Action.PUBLISH)
    # With entry points there is no default.
    assert await ask_acl({"topic-check": {"enabled": True}}, "u", "a", Action.SUBSCRIBE)
    assert not await ask_acl({}, "u", "a", Action.PUBLISH)


@pytest.mark.parametrize("name", ["acl", "publish_acl", "subscribe_acl", "receive_acl"])
@pytest.mark.parametrize("wrong", ["a#", "a/b+", "#/a", ""])
def test_acl_with_what_is_not_a_filter(name: str, wrong: str) -> None:
    options: dict[str, Any] = {name: {"u": ["a", wrong]}}
    config = TopicAccessControlListPlugin.Config(**options)
    with pytest.raises(ValueError, match=f"^{name}: user 'u': {re.escape(repr(wrong))} is not a"):
        TopicAccessControlListPlugin(context(config))


async def test_acl_of_anonymous_clients_and_the_deprecated_name() -> None:
    config = TopicAccessControlListPlugin.Config(acl={"anonymous": ["a/#"]})
    with pytest.warns(UserWarning, match="deprecated"):
        assert await ask_acl(config, None, "a/b", Action.SUBSCRIBE)
    both = TopicAccessControlListPlugin.Config(acl={"u": ["a"]}, subscribe_acl={"u": ["a"]})
    with pytest.raises(ValueError, match="subscribe_acl"):
        TopicAccessControlListPlugin(context(both))


@pytest.mark.parametrize(
    ("topic", "a_filter", "matched"),
    [
        ("a/b", "a/b", True), ("a/b", "a/+", True), ("a", "a/#", True), ("a/b/c", "a/#", True),
        ("a/b", "a", False), ("a", "a/+", False), ("a/", "a/+", True), ("$SYS/a", "#", False),
        ("$SYS/a", "+/a", False), ("$SYS/a", "$SYS/#", True), ("a", "a#", False),
        ("a/b", "#/b", False), ("a", "#", True), ("/", "+/+", True),
    ],
)  # fmt: skip
def test_topic_matcher(topic: str, a_filter: str, matched: bool) -> None:
    assert TopicMatcher().is_topic_allowed(topic, a_filter) is matched
    assert TopicMatcher().are_topics_allowed(topic, ["other", a_filter]) is matched
    assert TopicMatcher() is TopicMatcher()


# -- loggers and others


async def test_event_logger_levels(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    plugin = EventLoggerPlugin(context(EventLoggerPlugin.Config()))
    await plugin.on_broker_client_connected(client_id="c")
    await plugin.on_broker_client_subscribed(client_id="c")
    assert [(each.levelname, each.message) for each in caplog.records] == [
        ("INFO", "### 'on_broker_client_connected' EVENT FIRED ###"),
        ("DEBUG", "### 'on_broker_client_subscribed' EVENT FIRED ###"),
    ]


async def test_packet_logger(caplog: pytest.LogCaptureFixture) -> None:
    plugin = PacketLoggerPlugin(context(PacketLoggerPlugin.Config()))
    caplog.set_level(logging.INFO)
    await plugin.on_mqtt_packet_sent(packet="P", session=session_of(None))
    assert not caplog.records
    caplog.set_level(logging.DEBUG)
    await plugin.on_mqtt_packet_sent(packet="P", session=session_of(None))
    await plugin.on_mqtt_packet_received(packet="Q")
    assert [each.message for each in caplog.records] == ["c -out-> 'P'", "<-in-- 'Q'"]


@pytest.mark.parametrize(
    ("value", "text"), [(5, b"5"), (1.23456, b"1.235"), ("x", b"x"), (0, b"0")]
)
def test_values_of_sys_topics(value: Any, text: bytes) -> None:
    assert val_to_bytes_str(value) == text


def test_values_that_sys_topics_do_not_have() -> None:
    with pytest.raises(NotImplementedError):
        val_to_bytes_str([])


def test_sqlite_plugin_does_nothing() -> None:
    with pytest.warns(DeprecationWarning, match="SessionDBPlugin"):
        SQLitePlugin(context(SQLitePlugin.Config()))


async def test_names_that_no_pattern_is_for_are_logged_seldom(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "rights"
    path.write_text("pattern a/%c/#\n")
    plugin = TopicAccessControlListPlugin(
        context(TopicAccessControlListPlugin.Config(acl_file=path))
    )
    session = session_of("u")
    caplog.clear()
    for n in range(100):
        session.client_id = f"x/\n{n}"
        asked = {"session": session, "topic": "a/x/y", "action": Action.PUBLISH}
        assert await plugin.topic_filtering(**asked) is False
    assert 1 <= len(caplog.records) < 60
    assert caplog.records[0].getMessage() == (
        "Client 'x/\\x0a0' of user 'u' gains nothing by patterns, because of '+', '#' or '/' in its"
        " user name or client id"
    )
