"""Which of the loaded plugins the engine takes the place of."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from amqtt.contexts import Action
from amqtt.plugins.authentication import AnonymousAuthPlugin
from amqtt.plugins.logging_amqtt import EventLoggerPlugin, PacketLoggerPlugin
from amqtt.plugins.sys.broker import BrokerSysPlugin
from amqtt.plugins.topic_checking import TopicAccessControlListPlugin, TopicTabooPlugin

if TYPE_CHECKING:
    from amqtt.plugins.manager import Handler, PluginManager

# What each class does, as it is shipped: an application may have replaced the method since.
_SHIPPED: dict[type, tuple[str, Any]] = {
    AnonymousAuthPlugin: ("authenticate", AnonymousAuthPlugin.authenticate),
    TopicTabooPlugin: ("topic_filtering", TopicTabooPlugin.topic_filtering),
    TopicAccessControlListPlugin: (
        "topic_filtering",
        TopicAccessControlListPlugin.topic_filtering,
    ),
    EventLoggerPlugin: ("log_event", EventLoggerPlugin.log_event),
}

# Handlers that do nothing: the engine counts for them.
_COUNTING = (
    BrokerSysPlugin.on_mqtt_packet_received,
    BrokerSysPlugin.on_mqtt_packet_sent,
    BrokerSysPlugin.on_broker_client_connected,
    BrokerSysPlugin.on_broker_client_disconnected,
)


def is_counted_natively(handler: Handler) -> bool:
    """Tell whether a handler is one of `BrokerSysPlugin` that a subclass has not overridden."""
    return getattr(handler.call, "__func__", None) in _COUNTING


@dataclass
class NativePlugins:
    """What the engine does, and what is left to Python.

    Attributes:
        policy: the packaged plugins that decide, as the engine takes them.
        auth: the authentication plugins that are asked in Python.
        topic: the topic plugins that are asked in Python.
        event_loggers: the plugins of `EventLoggerPlugin`, in whose place the engine logs.
        packet_loggers: the plugins of `PacketLoggerPlugin`.

    """

    policy: dict[str, Any] = field(default_factory=dict)
    auth: list[Any] = field(default_factory=list)
    topic: list[Any] = field(default_factory=list)
    event_loggers: list[Any] = field(default_factory=list)
    packet_loggers: list[Any] = field(default_factory=list)

    @property
    def authenticates(self) -> bool:
        """Whether the engine has an opinion on who may connect."""
        return bool(self.policy["authenticate_anonymous"])

    @property
    def checks_topics(self) -> bool:
        """Whether the engine has an opinion on topics."""
        return self.policy["taboo"] or self.policy["acl"] is not None


def split_plugins(manager: PluginManager[Any]) -> NativePlugins:
    """Find the plugins that are exactly the packaged ones.

    Args:
        manager: holds the loaded plugins.

    Returns:
        What the engine is to do, and the plugins that it does not replace.

    """
    split = NativePlugins(
        {"authenticate_anonymous": False, "allow_anonymous": True, "taboo": False, "acl": None}
    )
    for plugin in manager.auth_plugins:
        if type(plugin) is AnonymousAuthPlugin and _is_shipped(plugin):
            # The strictest decides, as all of them must agree.
            allowed = split.policy["allow_anonymous"] and plugin.allows_anonymous
            split.policy.update(authenticate_anonymous=True, allow_anonymous=allowed)
        else:
            split.auth.append(plugin)
    for plugin in manager.topic_plugins if manager.is_topic_filtering_enabled() else []:
        if type(plugin) is TopicTabooPlugin and _is_shipped(plugin):
            split.policy["taboo"] = True
        elif (
            type(plugin) is TopicAccessControlListPlugin
            and _is_shipped(plugin)
            and not plugin.has_file
            and split.policy["acl"] is None
        ):
            tables = (
                plugin.table(each) for each in (Action.PUBLISH, Action.SUBSCRIBE, Action.RECEIVE)
            )
            split.policy["acl"] = tuple(None if each is None else _plain(each) for each in tables)
        else:
            split.topic.append(plugin)
    for plugin in manager.plugins:
        if type(plugin) is EventLoggerPlugin and _is_shipped(plugin):
            split.event_loggers.append(plugin)
        elif type(plugin) is PacketLoggerPlugin:
            split.packet_loggers.append(plugin)
    return split


def _is_shipped(plugin: Any) -> bool:
    name, method = _SHIPPED[type(plugin)]
    return name not in vars(plugin) and getattr(type(plugin), name) is method


def _plain(table: dict[str, Any]) -> dict[str, list[str]]:
    return {user: list(filters or ()) for user, filters in table.items()}
