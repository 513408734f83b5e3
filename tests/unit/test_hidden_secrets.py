"""What is a secret is not shown by what logs and tracebacks show."""

from __future__ import annotations

from typing import Any

import pytest

from amqtt._client.endpoint import hide_password, parse_uri
from amqtt.contexts import ClientConfig, ConnectionConfig, WillConfig
from amqtt.contrib.auth_db.models import UserAuth
from amqtt.contrib.auth_db.plugin import UserAuthDBPlugin
from amqtt.contrib.jwt import TopicAuthJwtPlugin, UserAuthJwtPlugin
from amqtt.contrib.persistence.plugin import SessionDBPlugin
from amqtt.contrib.pyauth.plugin import PyAuthPlugin
from amqtt.mqtt._headers import ReasonCodeVariableHeader
from amqtt.mqtt.connack import ConnackVariableHeader
from amqtt.mqtt.connect import ConnectPacket, ConnectPayload, ConnectVariableHeader
from amqtt.mqtt.publish import PublishPacket

SECRET = "s3cret"


def test_a_connect_packet_hides_credentials_and_the_will() -> None:
    header = ConnectVariableHeader(
        properties={
            "authentication_method": "SCRAM-SHA-256",
            "authentication_data": SECRET.encode(),
            "user_property": [("token", SECRET)],
            "receive_maximum": 7,
        }
    )
    payload = ConnectPayload(
        client_id="c\n2",
        will_topic="w",
        will_message=SECRET.encode(),
        username="u",
        password=SECRET,
    )
    shown = repr(ConnectPacket(variable_header=header, payload=payload))
    assert SECRET not in shown
    assert "client_id=c\\x0a2, will_topic=w, will_message=***, username=u, password=***" in shown
    assert "'authentication_method': 'SCRAM-SHA-256', 'authentication_data': ***" in shown
    assert "'receive_maximum': 7" in shown


@pytest.mark.parametrize("header", [ReasonCodeVariableHeader(), ConnackVariableHeader()])
def test_other_packets_hide_authentication_data(header: Any) -> None:
    header.properties = {"authentication_data": SECRET.encode()}
    assert SECRET not in repr(header)
    assert "'authentication_data': ***" in repr(header)


def test_a_publish_packet_forges_no_line() -> None:
    packet = PublishPacket.build("a\nb", b"x", None, False, 0, False)
    assert "topic=a\\x0ab" in repr(packet)


@pytest.mark.parametrize(
    "config",
    [
        ConnectionConfig(uri=f"mqtt://u:{SECRET}@host", proxy=f"socks5://u:{SECRET}@host:1"),
        ClientConfig(connection=ConnectionConfig(uri=f"mqtt://u:{SECRET}@host")),
        WillConfig(topic="t", message=SECRET),
        UserAuthJwtPlugin.Config(secret_key=SECRET, user_claim="sub"),
        TopicAuthJwtPlugin.Config(SECRET, "a", "b", "c"),
        UserAuthDBPlugin.Config(connection=f"postgresql+asyncpg://u:{SECRET}@host/db"),
        SessionDBPlugin.Config(connection=f"postgresql+asyncpg://u:{SECRET}@host/db"),
        PyAuthPlugin.Config(module="m", options={"password": SECRET}),
        parse_uri(f"mqtt://u:{SECRET}@host"),
    ],
    ids=lambda each: type(each).__qualname__,
)
def test_a_configuration_hides_what_has_passwords(config: object) -> None:
    assert SECRET not in repr(config)


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        (f"mqtt://u:{SECRET}@host:1883", "mqtt://u:***@host:1883"),
        (f"wss://u:a@{SECRET}//b@host/path", "wss://u:***@host/path"),
        (f"u:{SECRET}@host", "u:***@host"),
        (f"nonsense://:{SECRET}@[", "nonsense://:***@["),
        ("mqtt://u@host", "mqtt://u@host"),
        ("unix:///run/a:b", "unix:///run/a:b"),
        ("", ""),
    ],
)
def test_the_password_of_a_uri(uri: str, shown: str) -> None:
    assert hide_password(uri) == shown


def test_a_row_of_a_user_hides_its_hash() -> None:
    user = UserAuth(username="bob\n")
    user._password_hash = f"$argon2id$v=19$m=8,t=1,p=1${SECRET}"
    assert str(user) == "'bob\\x0a' with password hash: $argon2id$***"
