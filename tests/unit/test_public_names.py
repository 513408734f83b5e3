"""Names that applications of aMQTT import from other modules than those that define them."""

from __future__ import annotations

import importlib

import pytest

from amqtt.plugins import TopicMatcher


@pytest.mark.parametrize(
    ("module", "name", "home"),
    [
        ("amqtt.broker", "BrokerProtocolHandler", "amqtt.mqtt.protocol.broker_handler"),
        ("amqtt.client", "ClientProtocolHandler", "amqtt.mqtt.protocol.client_handler"),
        ("amqtt.client", "PluginManager", "amqtt.plugins.manager"),
        ("amqtt.plugins.base", "Action", "amqtt.contexts"),
        ("amqtt.plugins.base", "BaseContext", "amqtt.contexts"),
        ("amqtt.plugins.base", "Session", "amqtt.session"),
        ("amqtt.plugins.manager", "BaseAuthPlugin", "amqtt.plugins.base"),
        ("amqtt.plugins.manager", "BasePlugin", "amqtt.plugins.base"),
        ("amqtt.plugins.manager", "BaseTopicPlugin", "amqtt.plugins.base"),
    ],
)
def test_the_name_is_the_same_object(module: str, name: str, home: str) -> None:
    assert getattr(importlib.import_module(module), name) is getattr(
        importlib.import_module(home), name
    )


def test_the_filters_of_a_topic_matcher_have_their_name() -> None:
    assert TopicMatcher().are_topics_allowed("a/b", many_filters=["x", "a/+"])
    assert not TopicMatcher().are_topics_allowed("a/b", many_filters=["x", "a"])
