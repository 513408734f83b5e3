"""The option -F: how a message is printed."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from amqtt.scripts import _message_format
from amqtt.scripts._message_format import FormatError, MessageFormat
from amqtt.session import IncomingApplicationMessage

NOW = 1_700_000_000.123456


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")
    _message_format.time.tzset()
    monkeypatch.setattr(_message_format.time, "time", lambda: NOW)


def message(
    data: bytes = b"hi", topic: str = "a/b", properties: dict[str, Any] | None = None
) -> IncomingApplicationMessage:
    made = IncomingApplicationMessage(3, topic, 1, data, True)
    made.properties = properties
    return made


ALL_PROPERTIES: dict[str, Any] = {
    "topic_alias": 5,
    "content_type": "text/plain",
    "correlation_data": b"\xff\x00",
    "message_expiry_interval": 60,
    "payload_format_indicator": 1,
    "response_topic": "answer",
    "subscription_identifier": [1, 2],
    "user_property": [("k", "v"), ("k", "w")],
}


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("", b""),
        ("%t: %p", b"a/b: hi"),
        ("100%% @@", b"100% @"),
        ("gr\u00fcn", "gr\u00fcn".encode()),
        ("\\n\\t\\0\\\\\\e", b"\n\t\0\\\x1b"),
        ("%q %r %m %l", b"1 1 3 2"),
        ("%x %X", b"6869 6869"),
        ("%u %I", b"1700000000 2023-11-14T22:13:20+0000"),
        ("%U", b"1700000000.123456001"),
        ("@Y-@m-@d @H:@M:@S.@N", b"2023-11-14 22:13:20.123456001"),
        ("[%6t|%-6t|%.1p|%06l|%04x]", b"[   a/b|a/b   |h|000002|6869]"),
        ("%A %C %E %F %R %S %P", b"5 text/plain 60 1 answer 1 2 k:v k:w"),
        ("%D", b"\xff\x00"),
    ],
)
def test_conversions(text: str, printed: bytes) -> None:
    assert MessageFormat(text)(message(properties=ALL_PROPERTIES)) == printed


def test_hexadecimal_letters() -> None:
    assert MessageFormat("%x%X")(message(b"\xab")) == b"abAB"


def test_properties_that_are_not_there() -> None:
    assert MessageFormat("%A|%C|%D|%E|%F|%R|%S|%P")(message()) == b"|||||||"


def parsed(text: str, *arguments: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(MessageFormat(text)(message(*arguments)))
    return found


def test_json() -> None:
    assert parsed("%j", b'{"x": [1]}') == {
        "tst": "2023-11-14T22:13:20.123456+00:00",
        "topic": "a/b", "qos": 1, "retain": 1, "payloadlen": 10, "mid": 3,
        "payload": '{"x": [1]}',
    }  # fmt: skip
    assert parsed("%J", b'{"x": [1]}')["payload"] == {"x": [1]}


@pytest.mark.parametrize(
    "data",
    [
        b"no json", b"NaN", b"", b"[" * 100_000, b"Infinity", b"[-Infinity]", b"1e999",
        b'{"x": [-1e400]}',
    ],
)  # fmt: skip
def test_embedded_payload_that_is_no_json(data: bytes) -> None:
    assert parsed("%J", data)["payload"] == data.decode()


def test_json_of_bytes_and_properties() -> None:
    found = parsed("%j", b"\xff", "a", ALL_PROPERTIES)
    assert found["payload"] == "\ufffd"
    assert found["properties"]["correlation-data"] == "\ufffd\0"
    assert found["properties"]["user-property"] == [["k", "v"], ["k", "w"]]
    assert b"\n" not in MessageFormat("%j")(message(b"a\nb"))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("%t %z", "unknown conversion '%z' at column 4"),
        ("x%", "unknown conversion '%' at column 2"),
        ("%5", "unknown conversion '%5' at column 1"),
        ("\\q", "unknown escape '\\q' at column 1"),
        ("\\", "unknown escape '\\' at column 1"),
        ("a@", "'@' at the end"),
    ],
)
def test_errors(text: str, problem: str) -> None:
    with pytest.raises(FormatError, match=re.escape(problem)):
        MessageFormat(text)
