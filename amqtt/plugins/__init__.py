"""Plugins, and how a topic matches a filter."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["TopicMatcher"]


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
        if any(
            (("+" in level or "#" in level) and len(level) > 1)
            or (level == "#" and index != len(levels) - 1)
            for index, level in enumerate(levels)
        ):
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
