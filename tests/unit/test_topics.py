from __future__ import annotations

from typing import Any

import pytest

from amqtt.errors import MQTTError
from amqtt.topics import check_topic_name, topic_filter_problem, topic_name_problem

LONGEST = [pytest.param("a" * 65535, id="ASCII"), pytest.param("ü" * 32767, id="two bytes each")]


@pytest.mark.parametrize("topic", ["a", "/", "a/b c", "$SYS/x", "*", "grün", "\ufeff", *LONGEST])
def test_topic_names(topic: str) -> None:
    assert topic_name_problem(topic) is None
    check_topic_name(topic)


@pytest.mark.parametrize(
    ("topic", "problem"),
    [
        ("", "it is empty"),
        ("a/#", "it has a wildcard"),
        ("a+", "it has a wildcard"),
        ("a\0", "it has a null character"),
        ("\udcff", "it cannot be written as UTF-8"),
        pytest.param("a" * 65536, "it is longer than 65,535 bytes", id="ASCII"),
        pytest.param("ü" * 32768, "it is longer than 65,535 bytes", id="two bytes each"),
    ],
)
def test_other_texts(topic: str, problem: str) -> None:
    assert topic_name_problem(topic) == problem
    with pytest.raises(MQTTError, match=r"^\[MQTT-[\d.]+-2\] .* is no topic name: ") as caught:
        check_topic_name(topic)
    assert str(caught.value).endswith(problem)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("text", ["a", "#", "+", "+/+", "a/#", "/+/", "$SYS/#", "*", "$share/g/#"])
def test_topic_filters(text: str) -> None:
    assert topic_filter_problem(text) is None


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "it is empty"),
        ("a#", "a wildcard must be alone in its level"),
        ("+a/b", "a wildcard must be alone in its level"),
        ("#/a", "'#' must be the last level"),
    ],
)
def test_malformed_topic_filters(text: str, problem: str) -> None:
    assert topic_filter_problem(text) == problem


@pytest.mark.parametrize("topic", [None, b"a", 5])
def test_something_else(topic: Any) -> None:
    with pytest.raises(TypeError, match="the topic must be text"):
        check_topic_name(topic)
