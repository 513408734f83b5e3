"""Plugins that take a JSON Web Token for a password, with real tokens."""

from __future__ import annotations

import base64
import json
import logging
import time
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from support.embedded import config_of, port_of

from amqtt.broker import Broker
from amqtt.client import ConnectError, MQTTClient
from amqtt.contexts import Action, BaseContext
from amqtt.contrib.jwt import TopicAuthJwtPlugin, UserAuthJwtPlugin
from amqtt.errors import PluginLoadError
from amqtt.session import Session

SECRET = "a secret of at least thirty-two bytes"
USERS = "amqtt.contrib.jwt.UserAuthJwtPlugin"
TOPICS = "amqtt.contrib.jwt.TopicAuthJwtPlugin"


def token(key: Any = SECRET, algorithm: str = "HS256", **claims: Any) -> str:
    return jwt.encode({"sub": "bob", **claims}, key, algorithm=algorithm)


def unsigned() -> str:
    def part(content: dict[str, str]) -> str:
        return base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")

    return f"{part({'alg': 'none', 'typ': 'JWT'})}.{part({'sub': 'bob'})}."


def session_of(password: str | bytes | None, username: str | None = "bob") -> Session:
    session = Session()
    session.username = username
    session.password = password
    return session


def users(**options: Any) -> UserAuthJwtPlugin:
    context = BaseContext()
    context.config = UserAuthJwtPlugin.Config(
        **{"secret_key": SECRET, "user_claim": "sub", **options}
    )
    return UserAuthJwtPlugin(context)


def topics(**options: Any) -> TopicAuthJwtPlugin:
    context = BaseContext()
    context.config = TopicAuthJwtPlugin.Config(
        secret_key=SECRET, publish_claim="pub", subscribe_claim="sub_to", receive_claim="recv",
        **options,
    )  # fmt: skip
    return TopicAuthJwtPlugin(context)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("password", "expected"),
    [
        (token(), True),
        (token().encode(), True),
        (token(exp=time.time() + 3600), True),
        (token(exp=time.time() - 3600), False),
        (token(nbf=time.time() + 3600), False),
        (token(key="another secret of thirty-two bytes!"), False),
        (token(key=SECRET * 2, algorithm="HS512"), False),
        (jwt.encode({"user": "bob"}, SECRET), False),
        (unsigned(), False),
        ("nonsense", False),
        (b"\xff\xfe", False),
        ("a.b.c", False),
        ("", None),
        (None, None),
    ],
)
async def test_tokens_of_users(password: str | bytes | None, expected: bool | None) -> None:
    assert await users().authenticate(session=session_of(password)) is expected


async def test_a_token_is_for_its_user() -> None:
    assert await users().authenticate(session=session_of(token(), "eve")) is False
    assert await users().authenticate(session=session_of(token(), None)) is None


@pytest.mark.parametrize(
    ("password", "reason"),
    [
        (token(exp=time.time() - 3600), "Signature has expired"),
        (token(nbf=time.time() + 3600), "The token is not yet valid (nbf)"),
        (token(iat=time.time() + 3600), "The token is not yet valid (iat)"),
        (token(aud="other"), "Invalid audience"),
        (token(key="another secret of thirty-two bytes!"), "Signature verification failed"),
        (token(key=SECRET * 2, algorithm="HS512"), "The specified alg value is not allowed"),
        (jwt.encode({"user": "bob"}, SECRET), "the token has no claim 'sub'"),
        (token(sub="eve\n" + "x" * 300), f"the token is that of 'eve\\x0a{'x' * 200}"),
        ("nonsense", "Not enough segments"),
    ],
)
async def test_why_a_token_is_refused(
    password: str, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    """At INFO, in a line of bounded length, without the token."""
    caplog.set_level(logging.INFO)
    assert await users().authenticate(session=session_of(password)) is False
    (line,) = caplog.messages
    assert line.startswith(f"User 'bob' is refused: {reason}")
    assert len(line) < 400
    assert password not in line
    for part in password.split("."):
        assert part not in line


async def test_why_a_token_gives_no_rights(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    late = session_of(token(pub=["#"], exp=time.time() - 3600))
    assert await topics().topic_filtering(session=late, topic="a", action=Action.PUBLISH) is False
    assert caplog.messages == ["User 'bob' has no rights: Signature has expired"]


async def test_refused_tokens_are_logged_at_a_bounded_rate(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    plugin = users()
    for _ in range(500):
        assert await plugin.authenticate(session=session_of("nonsense")) is False
    assert 1 <= len(caplog.messages) < 20


async def test_the_algorithm_is_the_configured_one() -> None:
    private = ec.generate_private_key(ec.SECP256R1())
    public = private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    plugin = users(secret_key=public.decode(), algorithm="ES256")
    assert await plugin.authenticate(session=session_of(token(private, "ES256"))) is True
    assert await plugin.authenticate(session=session_of(token())) is False


@pytest.mark.parametrize(
    ("action", "topic", "expected"),
    [
        (Action.PUBLISH, "a/b", True),
        (Action.PUBLISH, "c", False),
        (Action.SUBSCRIBE, "c/+", True),
        (Action.SUBSCRIBE, "c/#", False),
        (Action.RECEIVE, "a/b", False),  # the token has no such claim
        (None, "a/b", None),
        (Action.PUBLISH, "", None),
    ],
)
async def test_rights_of_a_token(action: Action | None, topic: str, expected: bool | None) -> None:
    session = session_of(token(pub=["a/#", 1], sub_to=["c/+"]))
    decided = await topics().topic_filtering(session=session, topic=topic, action=action)
    assert decided is expected


async def test_without_a_good_token_there_are_no_rights() -> None:
    for password, expected in ((None, None), ("x", False), (token(pub="a"), False)):
        session = session_of(password)
        decided = await topics().topic_filtering(session=session, topic="a", action=Action.PUBLISH)
        assert decided is expected
    late = session_of(token(pub=["#"], exp=time.time() - 3600))
    assert await topics().topic_filtering(session=late, topic="a", action=Action.PUBLISH) is False


async def test_an_unknown_algorithm_is_refused() -> None:
    options = {"secret_key": SECRET, "user_claim": "sub", "algorithm": "none"}
    with pytest.raises(PluginLoadError, match="must be one of ES256"):
        Broker(config_of({USERS: options}))


async def test_a_broker_with_both() -> None:
    claims = {"publish_claim": "pub", "subscribe_claim": "sub_to", "receive_claim": "recv"}
    plugins = {
        USERS: {"secret_key": SECRET, "user_claim": "sub"},
        TOPICS: {"secret_key": SECRET, **claims},
    }
    async with Broker(config_of(plugins)) as broker:
        messages = broker.subscribe("#")
        client = MQTTClient(config={"auto_reconnect": False})
        good = token(pub=["open/#"], exp=time.time() + 3600)
        await client.connect(f"mqtt://bob:{good}@127.0.0.1:{port_of(broker)}")
        await client.publish("shut", b"1", qos=1)
        await client.publish("open/x", b"2", qos=1)
        assert (await anext(messages)).topic == "open/x"
        await client.disconnect()
        late = MQTTClient(config={"auto_reconnect": False})
        with pytest.raises(ConnectError):
            await late.connect(
                f"mqtt://bob:{token(exp=time.time() - 3600)}@127.0.0.1:{port_of(broker)}"
            )
