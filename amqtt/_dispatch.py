"""Decide which configured plugins run in the engine."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from amqtt.errors import PluginLoadError

if TYPE_CHECKING:
    import logging
    from collections.abc import Mapping

_ANONYMOUS_AUTH = "amqtt.plugins.authentication.AnonymousAuthPlugin"
_EVENT_LOGGER = "amqtt.plugins.logging_amqtt.EventLoggerPlugin"
_PACKET_LOGGER = "amqtt.plugins.logging_amqtt.PacketLoggerPlugin"
_BROKER_SYS = "amqtt.plugins.sys.broker.BrokerSysPlugin"


@dataclass
class NativePolicy:
    """What the engine does in place of the packaged plugins.

    Attributes:
        authenticate_anonymous: whether `AnonymousAuthPlugin` decides; else nobody may connect.
        allow_anonymous: its option: admit clients that name no user.
        event_log: whether `EventLoggerPlugin` is configured.

    """

    authenticate_anonymous: bool = False
    allow_anonymous: bool = True
    event_log: bool = False

    def as_arguments(self) -> dict[str, bool]:
        """Return the policy as keyword arguments of the engine."""
        return {each.name: getattr(self, each.name) for each in fields(self)}


def broker_policy(plugins: Mapping[str, Any] | None, logger: logging.Logger) -> NativePolicy:
    """Translate the plugins of a broker's configuration for the engine.

    Args:
        plugins: options by the dotted path of the plugin class.
        logger: where it is said what a configured plugin does not do yet.

    Returns:
        The policy.

    Raises:
        PluginLoadError: a plugin is not available in this version, or an option is wrong. A
            policy that cannot be kept must not be passed over.

    """
    if plugins is None:
        msg = "Plugins from entry points are not available in this version; list them in 'plugins'"
        raise PluginLoadError(msg)
    policy = NativePolicy()
    for path, options in plugins.items():
        if path == _ANONYMOUS_AUTH:
            policy.authenticate_anonymous = True
            policy.allow_anonymous = _allow_anonymous(path, options)
        elif path == _EVENT_LOGGER:
            policy.event_log = True
        elif path == _BROKER_SYS:
            logger.info("BrokerSysPlugin: the $SYS topics are not published in this version")
        elif path != _PACKET_LOGGER:
            msg = f"Plugin '{path}' is not available in this version"
            raise PluginLoadError(msg)
    return policy


def _allow_anonymous(path: str, options: Any) -> bool:
    options = {key.replace("-", "_"): value for key, value in (options or {}).items()}
    allow = options.pop("allow_anonymous", True)
    if options:
        msg = f"Plugin '{path}' has no option {', '.join(map(repr, options))}"
        raise PluginLoadError(msg)
    if not isinstance(allow, bool):
        msg = f"Plugin '{path}': 'allow_anonymous' must be true or false, not {allow!r}"
        raise PluginLoadError(msg)
    return allow


def check_client_plugins(plugins: Mapping[str, Any] | None) -> None:
    """Refuse what a client's configuration asks for and this version does not have.

    Args:
        plugins: options by the dotted path of the plugin class; None means entry points.

    Raises:
        PluginLoadError: a plugin is not available in this version.

    """
    for path in plugins or {}:
        if path != _PACKET_LOGGER:
            msg = f"Plugin '{path}' is not available in this version"
            raise PluginLoadError(msg)
