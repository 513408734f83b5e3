"""What plugins that decide write into the log: each decision, at DEBUG, and no secret."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import jwt
import pytest
from aiohttp import web
from support.auth_site import auth_site
from support.embedded import config_of, port_of, until

from amqtt.broker import Broker
from amqtt.client import MQTTClient
from amqtt.contexts import Action
from amqtt.contrib.auth_db.managers import TopicManager, UserManager
from amqtt.contrib.auth_db.models import PasswordHasher
from amqtt.errors import ConnectError

RIGHT, WRONG = "Tr0ub4dor-and-3", "gu3ssed-it"
SIGNING_KEY = "a-signing-key-that-nobody-may-read-in-the-log"
FOREIGN_KEY = "another-signing-key-that-is-not-the-broker's"
DATABASE_PASSWORD = "d4tabase-passw0rd"
LOGGERS = {
    "amqtt.plugins.logging_amqtt.EventLoggerPlugin": {},
    "amqtt.plugins.logging_amqtt.PacketLoggerPlugin": {},
}


class Case(NamedTuple):
    """Plugins, the passwords of alice for them, and what the log has to say of her."""

    plugins: dict[str, Any]
    right: str
    wrong: str
    expected: tuple[str, ...]
    secrets: tuple[str, ...] = ()


def token(key: str) -> str:
    claims = {"sub": "alice", "exp": time.time() + 3600, "all": ["open/#"]}
    return jwt.encode(claims, key, algorithm="HS256")


def of_files(folder: Path) -> Case:
    hashed = PasswordHasher().hash(RIGHT)
    (folder / "passwords").write_text(f"alice:{hashed}\n")
    (folder / "rights").write_text("user alice\ntopic open/#\n")
    plugins = {
        "amqtt.plugins.authentication.FileAuthPlugin": {"password_file": str(folder / "passwords")},
        "amqtt.plugins.topic_checking.TopicAccessControlListPlugin": {
            "acl_file": str(folder / "rights")
        },
    }
    expected = (
        "User 'alice' is admitted", "User 'alice' is refused: wrong password",
        "not allowed to publish to TOPIC closed/a",
    )  # fmt: skip
    return Case(plugins, RIGHT, WRONG, expected, (hashed,))


async def of_database(folder: Path) -> Case:
    url = f"sqlite+aiosqlite:///{folder}/auth.db"
    users, topics = UserManager(url), TopicManager(url)
    await users.db_sync()
    await users.create_user_auth("alice", RIGHT)
    await topics.create_topic_auth("alice")
    for action in Action:
        await topics.add_allowed_topic("alice", "open/#", action)
    plugins = {
        "amqtt.contrib.auth_db.UserAuthDBPlugin": {"connection": url},
        "amqtt.contrib.auth_db.TopicAuthDBPlugin": {"connection": url},
    }
    expected = (
        "User 'alice' is admitted", "User 'alice' is refused: wrong password",
        "User 'alice' has the right to subscribe 'open/#'",
        "User 'alice' has the right to publish 'open/a'",
        "User 'alice' has no right to publish 'closed/a'",
    )  # fmt: skip
    return Case(plugins, RIGHT, WRONG, expected, ("$argon2",))


def of_missing_database(_folder: Path) -> Case:
    url = f"postgresql+asyncpg://amqtt:{DATABASE_PASSWORD}@127.0.0.1:1/amqtt"
    plugins = {
        "amqtt.contrib.auth_db.UserAuthDBPlugin": {"connection": url, "on_error": "defer"},
        "amqtt.contrib.auth_db.TopicAuthDBPlugin": {"connection": url},
        "amqtt.plugins.authentication.AnonymousAuthPlugin": {},
    }
    return Case(plugins, RIGHT, WRONG, ("The database does not answer",), (DATABASE_PASSWORD,))


def of_tokens(_folder: Path) -> Case:
    options = {"secret_key": SIGNING_KEY}
    claims = {f"{action}_claim": "all" for action in Action}
    plugins = {
        "amqtt.contrib.jwt.UserAuthJwtPlugin": {**options, "user_claim": "sub"},
        "amqtt.contrib.jwt.TopicAuthJwtPlugin": {**options, **claims},
    }
    expected = (
        "User 'alice' is admitted", "User 'alice' is refused: Signature verification failed",
        "User 'alice' has the right to publish 'open/a'",
        "User 'alice' has no right to publish 'closed/a'",
    )  # fmt: skip
    return Case(plugins, token(SIGNING_KEY), token(FOREIGN_KEY), expected, (SIGNING_KEY,))


def of_module(folder: Path) -> Case:
    (folder / "checks_for_log.py").write_text(
        f"def unpwd_check(username, password):\n    return password == {RIGHT!r}\n"
        "def acl_check(clientid, username, topic, access):\n    return topic.startswith('open/')\n"
    )
    plugins = {
        "amqtt.contrib.pyauth.PyAuthPlugin": {
            "module": "checks_for_log", "module_folder": str(folder),
            "options": {"password": DATABASE_PASSWORD},
        }
    }  # fmt: skip
    expected = (
        "login of user 'alice': allowed", "login of user 'alice': refused",
        "publish of 'open/a' for user 'alice': allowed",
        "publish of 'closed/a' for user 'alice': refused",
    )  # fmt: skip
    return Case(plugins, RIGHT, WRONG, expected, (DATABASE_PASSWORD,))


def of_service(port: int) -> Case:
    options = {"host": "127.0.0.1", "port": port}
    expected = (
        "login of user 'alice': allowed", "login of user 'alice': refused",
        "publish of 'open/a' of user 'alice': allowed",
        "publish of 'closed/a' of user 'alice': refused",
    )  # fmt: skip
    plugins = {"amqtt.contrib.http.HttpAuthTopicPlugin": options}
    return Case(plugins, RIGHT, WRONG, expected)


@asynccontextmanager
async def case_of(kind: str, folder: Path) -> AsyncIterator[Case]:
    """Prepare what the plugins of a kind ask."""

    def answer(_request: web.Request, asked: dict[str, Any]) -> web.Response:
        good = asked["password"] == RIGHT if "password" in asked else "open/" in asked["topic"]
        return web.json_response({"ok": good})

    if kind == "service":
        async with auth_site(answer) as site:
            yield of_service(site.port)
    elif kind == "database":
        yield await of_database(folder)
    else:
        make = {
            "files": of_files, "missing database": of_missing_database, "tokens": of_tokens,
            "module": of_module,
        }  # fmt: skip
        yield make[kind](folder)


async def visit(broker: Broker, password: str) -> None:
    """Log in as alice, and do what she may and what she may not."""
    client = MQTTClient(client_id="c", config={"auto_reconnect": False})
    await client.connect(f"mqtt://alice:{password}@127.0.0.1:{port_of(broker)}")
    await client.subscribe([("open/#", 1)])
    await client.publish("open/a", b"x", 1)
    await client.publish("closed/a", b"x", 1)
    await client.disconnect()


@pytest.mark.parametrize(
    "kind", ["files", "database", "missing database", "tokens", "module", "service"]
)
async def test_decisions_are_in_the_log_and_secrets_are_not(
    kind: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)  # of all loggers, as with "amqtt -d"
    async with case_of(kind, tmp_path) as case:
        async with Broker(config_of({**LOGGERS, **case.plugins})) as broker:
            await visit(broker, case.right)
            if kind != "missing database":
                with pytest.raises(ConnectError):
                    await visit(broker, case.wrong)
            await until(lambda: "CONNECT" in caplog.text.upper())
        text = caplog.text
        for each in case.expected:
            assert each in text
        assert "-out->" in text  # the packets are in the log, with all they have
        for secret in (case.right, case.wrong, *case.secrets):
            assert secret not in text
        for level in ("WARNING", "ERROR"):
            lines = [each for each in text.splitlines() if each.startswith(level)]
            assert kind == "missing database" or not lines
