"""Decide which configured plugins run in the engine."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, TypeVar

import dacite

from amqtt._dictable import Dictable, check_range
from amqtt._hydrate import hydrate
from amqtt.errors import PluginLoadError

if TYPE_CHECKING:
    import logging
    from collections.abc import Mapping

_ANONYMOUS_AUTH = "amqtt.plugins.authentication.AnonymousAuthPlugin"
_EVENT_LOGGER = "amqtt.plugins.logging_amqtt.EventLoggerPlugin"
_PACKET_LOGGER = "amqtt.plugins.logging_amqtt.PacketLoggerPlugin"
_BROKER_SYS = "amqtt.plugins.sys.broker.BrokerSysPlugin"


_O = TypeVar("_O")


@dataclass
class _NoOptions:
    """The options of a plugin that has none."""


@dataclass
class _AnonymousAuthOptions:
    """The options of `AnonymousAuthPlugin`."""

    allow_anonymous: bool = True


@dataclass
class _BrokerSysOptions(Dictable):
    """The options of `BrokerSysPlugin`."""

    sys_interval: int = 20

    def __post_init__(self) -> None:
        check_range(self, "sys_interval", 0)


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
            auth = _read_options(_AnonymousAuthOptions, path, options)
            policy.allow_anonymous = auth.allow_anonymous
        elif path == _EVENT_LOGGER:
            _read_options(_NoOptions, path, options)
            policy.event_log = True
        elif path == _BROKER_SYS:
            _read_options(_BrokerSysOptions, path, options)
            logger.info("BrokerSysPlugin: the $SYS topics are not published in this version")
        else:
            _check_packet_logger(path, options)
    return policy


def _read_options(options_class: type[_O], path: str, options: Any) -> _O:
    """Make the options of a plugin; None means that none are given."""
    try:
        return hydrate(options_class, {} if options is None else options, "options")
    except (dacite.DaciteError, ValueError) as error:
        msg = f"Plugin '{path}': {error}"
        raise PluginLoadError(msg) from error


def _check_packet_logger(path: str, options: Any) -> None:
    if path != _PACKET_LOGGER:
        msg = f"Plugin '{path}' is not available in this version"
        raise PluginLoadError(msg)
    _read_options(_NoOptions, path, options)


def check_client_plugins(plugins: Mapping[str, Any] | None) -> None:
    """Refuse what a client's configuration asks for and this version does not have.

    Args:
        plugins: options by the dotted path of the plugin class; None means entry points.

    Raises:
        PluginLoadError: a plugin is not available in this version, or an option is wrong.

    """
    for path, options in (plugins or {}).items():
        _check_packet_logger(path, options)
