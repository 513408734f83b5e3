"""The rules of topic names."""

from __future__ import annotations

from amqtt.errors import MQTTError

_MAX_SIZE = 65535
_LONGEST_SHOWN = 60


def topic_name_problem(topic: str) -> str | None:
    """Say why a text is no topic name.

    Args:
        topic: the text.

    Returns:
        What is wrong with it; None when it is a topic name.

    """
    if not topic:
        return "it is empty"
    if "#" in topic or "+" in topic:
        return "it has a wildcard"
    if "\0" in topic:
        return "it has a null character"
    try:
        size = len(topic) if topic.isascii() else len(topic.encode())
    except UnicodeEncodeError:
        return "it cannot be written as UTF-8"
    return f"it is longer than {_MAX_SIZE:,} bytes" if size > _MAX_SIZE else None


def topic_filter_problem(text: str) -> str | None:
    """Say why a text is no topic filter.

    Args:
        text: the text.

    Returns:
        What is wrong with it; None when it is a topic filter (3.1.1: MQTT-4.7.1-2, 4.7.1-3,
        4.7.3-1). Null characters and length are not looked at.

    """
    if not text:
        return "it is empty"
    levels = text.split("/")
    if any(len(level) > 1 and ("+" in level or "#" in level) for level in levels):
        return "a wildcard must be alone in its level"
    return "'#' must be the last level" if "#" in levels[:-1] else None


def check_topic_name(topic: str) -> None:
    """Refuse what is no topic name.

    Args:
        topic: the topic of a message that is to be published.

    Raises:
        MQTTError: it is empty, has a wildcard or a null character, or is too long.
        TypeError: it is no text.

    """
    if not isinstance(topic, str):
        msg = f"the topic must be text, not {type(topic).__name__}"
        raise TypeError(msg)
    problem = topic_name_problem(topic)
    if problem is not None:
        msg = f"[MQTT-3.3.2-2] {describe_topic(topic)} is no topic name: {problem}"
        raise MQTTError(msg)


def describe_topic(topic: str) -> str:
    """Show a topic in an error, shortened when it is long."""
    return repr(topic if len(topic) <= _LONGEST_SHOWN else topic[: _LONGEST_SHOWN - 3] + "...")
