"""The option -D: properties of MQTT 5.0."""

from __future__ import annotations

from typing import Any

import pytest
from typer.testing import CliRunner

from amqtt.scripts import pub_script
from amqtt.scripts._properties import _join, properties_of

NUMBERS = {"maximum-packet-size": "1000", "receive-maximum": "10", "session-expiry-interval": "60"}


def joined(*arguments: str) -> list[str]:
    return list(_join(arguments, {"-m", "--message", "-t", "--property"}))


def values_of(*arguments: str) -> list[str]:
    left = joined(*arguments)
    return [left[at + 1] for at, each in enumerate(left) if each == "--property"]


def test_other_arguments_stay() -> None:
    arguments = ["-t", "a", "-m", "-D", "-r", "--", "-D", "x"]
    assert joined(*arguments) == arguments


@pytest.mark.parametrize("option", ["-D", "--property"])
def test_values(option: str) -> None:
    given = values_of(
        *(option, "publish", "content-type", "text/plain"),
        *("-m", "x"),
        *(option, "publish", "user-property", "a", "1"),
        *(option, "publish", "user-property", "a", "2"),
        *(option, "publish", "message-expiry-interval", "60"),
        *(option, "publish", "correlation-data", "\udcff"),
        *(option, "subscribe", "subscription-identifier", "7"),
        *(option, "will", "will-delay-interval", "0"),
    )
    assert properties_of("publish", given) == {
        "content_type": "text/plain",
        "user_property": [("a", "1"), ("a", "2")],
        "message_expiry_interval": 60,
        "correlation_data": b"\xff",
    }
    assert properties_of("subscribe", given) == {"subscription_identifier": [7]}
    assert properties_of("will", given) == {"will_delay_interval": 0}
    assert properties_of("connect", given) == {}


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        (["publsh", "content-type", "x"], "'publsh' is none of connect, publish"),
        (["publish", "color", "x"], "'color' is no property of publish"),
        (["subscribe", "content-type", "x"], "'content-type' is no property of subscribe"),
        (["publish", "content-type"], "takes a command, a name and a value"),
        (["publish", "topic-alias", "3"], "'topic-alias' is no property of publish"),
        (["publish", "user-property", "key"], "takes a command, a name and a value"),
        (["publish", "message-expiry-interval", "soon"], "from 0 to 4294967295, not 'soon'"),
        (["publish", "message-expiry-interval", "4294967296"], "from 0 to 4294967295"),
        (["publish", "payload-format-indicator", "2"], "from 0 to 1, not '2'"),
        (["connect", "receive-maximum", "0"], "from 1 to 65535, not '0'"),
        (["connect", "receive-maximum", "-1"], "from 1 to 65535, not '-1'"),
    ],
)
def test_usage_errors(values: list[str], problem: str) -> None:
    arguments = ["-t", "a", "-V", "5", "-m", "x", "-D", *values]
    result = CliRunner().invoke(pub_script.app, arguments)
    assert result.exit_code == 2
    assert problem in " ".join(result.stderr.split())


def test_need_of_version_5(client_class: Any) -> None:
    del client_class
    arguments = ["-t", "a", "-m", "x", "-D", "publish", "content-type", "text/plain"]
    result = CliRunner().invoke(pub_script.app, arguments)
    assert result.exit_code == 1
    assert "MQTT 5.0" in result.stderr
