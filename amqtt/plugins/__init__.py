"""Plugins, and how a topic matches a filter."""

from __future__ import annotations

from amqtt.topics import TopicMatcher

__all__ = ["TopicMatcher"]
