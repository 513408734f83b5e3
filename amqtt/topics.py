"""The rules of topic names and topic filters, and how a name matches a filter."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from amqtt.errors import MQTTError

if TYPE_CHECKING:
    from collections.abc import Iterable

SHARED = "$share/"
"""What filters of shared subscriptions begin with."""

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
    return _text_problem(topic)


def topic_filter_problem(text: str, *, strict: bool = False) -> str | None:
    """Say why a text is no topic filter.

    Args:
        text: the text.
        strict: whether null characters, the encoding and the length are looked at, too.

    Returns:
        What is wrong with it; None when it is a topic filter (3.1.1: MQTT-4.7.1-2, 4.7.1-3,
        4.7.3-1, and 4.7.3-2 and 4.7.3-3 when `strict`).

    """
    if not text:
        return "it is empty"
    problem = _text_problem(text) if strict else None
    return problem or _wildcard_problem(text.split("/"))


def _wildcard_problem(levels: list[str]) -> str | None:
    if any(len(level) > 1 and ("+" in level or "#" in level) for level in levels):
        return "a wildcard must be alone in its level"
    return "'#' must be the last level" if "#" in levels[:-1] else None


def _text_problem(topic: str) -> str | None:
    if "\0" in topic:
        return "it has a null character"
    try:
        size = len(topic) if topic.isascii() else len(topic.encode())
    except UnicodeEncodeError:
        return "it cannot be written as UTF-8"
    return f"it is longer than {_MAX_SIZE:,} bytes" if size > _MAX_SIZE else None


def has_share_name(topic_filter: str) -> bool:
    """Tell whether what follows `$share/` is the name of a group and a filter (MQTT-4.8.2-1)."""
    _, name, *rest = topic_filter.split("/", 2)
    return bool(name and rest and rest[0]) and "+" not in name and "#" not in name


def without_share(topic_filter: str) -> str:
    """Return the filter of a shared subscription without its group; others as they are."""
    return topic_filter.split("/", 2)[2] if topic_filter.startswith(SHARED) else topic_filter


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


@lru_cache(maxsize=1024)
def filter_pattern(topic_filter: str) -> re.Pattern[str]:
    """Translate a topic filter (section 4.7); that of a shared subscription claims its topics."""
    levels = topic_filter.split("/")
    if levels[0] == "$share" and len(levels) > 2:  # and its group
        levels = levels[2:]
    # A wildcard at the beginning does not stand for the server's own topics (MQTT-4.7.2-1).
    expression = r"(?!\$)" if levels[0] in ("+", "#") else ""
    for index, level in enumerate(levels):
        if level == "#":
            # Also stands for the level above it.
            return re.compile(expression + (r"(?:/.*)?\Z" if index else r".*\Z"), re.DOTALL)
        expression += "/" if index else ""
        expression += "[^/]*" if level == "+" else re.escape(level)
    return re.compile(expression + r"\Z", re.DOTALL)


class TopicMatcher:
    """Match topics with filters by the rules of MQTT; all instances are the same object."""

    _instance: TopicMatcher | None = None

    def __new__(cls) -> TopicMatcher:
        """Return the one instance."""
        if cls._instance is None:
            cls._instance = super().__new__(cls)
        return cls._instance

    @staticmethod
    def is_topic_allowed(topic: str, a_filter: str) -> bool:
        """Tell whether a filter matches a topic.

        Args:
            topic: topic name.
            a_filter: topic filter; one that is malformed matches nothing.

        Returns:
            True when it matches; wildcards at its start never match a topic that starts with `$`
            (3.1.1: MQTT-4.7.2-1).

        """
        if topic.startswith("$") and a_filter.startswith(("+", "#")):
            return False
        if "+" not in a_filter and "#" not in a_filter:
            return topic == a_filter
        levels = a_filter.split("/")
        if _wildcard_problem(levels) is not None:
            return False
        names = topic.split("/")
        for index, level in enumerate(levels):
            if level == "#":
                return True
            if index == len(names) or level not in ("+", names[index]):
                # "a/#" matches its parent "a".
                return False
        return len(names) == len(levels)

    def are_topics_allowed(self, topic: str, many_filters: Iterable[str]) -> bool:
        """Tell whether one of several filters matches a topic."""
        return any(self.is_topic_allowed(topic, a_filter) for a_filter in many_filters)
