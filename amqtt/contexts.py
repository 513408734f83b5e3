"""The configuration of broker and client, and the base of the contexts of plugins."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from amqtt._compat import StrEnum
from amqtt._config.client import (
    ClientConfig,
    ConnectionConfig,
    TopicConfig,
    WillConfig,
    default_client_plugins,
)
from amqtt._config.dictable import Dictable, check_range, check_seconds, plugins_by_path
from amqtt._config.hydrate import hydrate
from amqtt._config.limits import LimitsConfig, ListenerLimitsConfig
from amqtt._config.listener import CertificateConfig, ListenerConfig, ListenerType
from amqtt._config.protocol import (
    ProtocolConfig,
    SessionOwner,
    SharedSubscriptionStrategy,
    Tolerance,
)

logger = logging.getLogger(__name__)

__all__ = [
    "Action",
    "BaseContext",
    "BrokerConfig",
    "CertificateConfig",
    "ClientConfig",
    "ConnectionConfig",
    "Dictable",
    "LimitsConfig",
    "ListenerConfig",
    "ListenerLimitsConfig",
    "ListenerType",
    "ProtocolConfig",
    "SessionOwner",
    "SharedSubscriptionStrategy",
    "Tolerance",
    "TopicConfig",
    "WillConfig",
    "default_broker_plugins",
    "default_client_plugins",
    "default_listeners",
]

# What the engine can count, 136 years.
_MOST_SECONDS = 4294967295

# One of them serves all others, and does not get further than that.
_MOST_THREADS = 64


class BaseContext:
    """Give a plugin its event loop, its logger and its configuration.

    Attributes:
        loop: the event loop that calls the plugin; None until a plugin manager takes the context.
        logger: the logger of the plugin.
        config: the plugin's own options, or the configuration of the broker or client.

    """

    def __init__(self) -> None:
        """Make a context that belongs to no loop and has no configuration."""
        self.loop: asyncio.AbstractEventLoop | None = None
        self.logger: logging.Logger = logging.getLogger("amqtt")
        self.config: Any = None


class Action(StrEnum):
    """What a client wants to do with a topic."""

    SUBSCRIBE = "subscribe"
    PUBLISH = "publish"
    RECEIVE = "receive"


def default_listeners() -> dict[str, Any]:
    """Return the listeners of a broker that is not told otherwise."""
    return {"default": ListenerConfig()}


def default_broker_plugins() -> dict[str, Any]:
    """Return the plugins of a broker that is not told otherwise; they admit everyone."""
    return {
        "amqtt.plugins.logging_amqtt.EventLoggerPlugin": {},
        "amqtt.plugins.logging_amqtt.PacketLoggerPlugin": {},
        "amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True},
        "amqtt.plugins.sys.broker.BrokerSysPlugin": {"sys_interval": 20},
    }


@dataclass
class BrokerConfig(Dictable):
    """Configure a broker.

    Attributes:
        listeners: the listeners by name; `default` must be among them and gives the others the
            values that they do not set.
        sys_interval: deprecated; seconds between the messages of `$SYS`.
        timeout_disconnect_delay: seconds added to a client's keep-alive, unless that is 0.
        session_expiry_interval: seconds a disconnected session is kept; 0 means not at all, None
            for ever.
        session_owner: who may resume or end a session: `user`, only the user who began it, clients
            without user name being one user; `any`, whoever has its client identifier.
        auth: deprecated; options of the authentication plugins.
        topic_check: deprecated; options of the topic plugins.
        plugins: options by the dotted path of the plugin class; None means entry points.
        limits: bounds of what one connection or session may use, and of all of them together.
        protocol: choices that MQTT leaves to the server.
        threads: how many threads the broker has, 1 to 64. With more than one all but one have
            the sockets; with TLS one more makes handshakes.
        shutdown_timeout: seconds that a shutdown may take to send clients what waits for them, and
            to let plugins end their work; 0 disconnects clients at once.

    Raises:
        KeyError: there is no listener `default`.
        ValueError: a number of seconds or of threads is out of range, or `plugins` is a list that
            holds something else than texts and mappings.

    """

    listeners: dict[str, ListenerConfig] = field(default_factory=default_listeners)
    sys_interval: int | None = None
    timeout_disconnect_delay: int | None = 0
    session_expiry_interval: int | None = None
    session_owner: SessionOwner = SessionOwner.USER
    auth: dict[str, Any] | None = None
    topic_check: dict[str, Any] | None = None
    plugins: dict[str, Any] | list[str | dict[str, Any]] | None = field(
        default_factory=default_broker_plugins
    )
    limits: LimitsConfig = field(default_factory=LimitsConfig)
    protocol: ProtocolConfig = field(default_factory=ProtocolConfig)
    threads: int = 1
    shutdown_timeout: int | float = 5

    def __post_init__(self) -> None:
        """Check the numbers, complete listeners and plugins, warn of deprecated settings."""
        for name in ("timeout_disconnect_delay", "session_expiry_interval"):
            if self[name] is not None:
                check_range(self, name, 0, _MOST_SECONDS)
        check_range(self, "threads", 1, _MOST_THREADS)
        check_seconds(self, "shutdown_timeout")
        if "default" not in self.listeners:
            raise _NoDefaultListenerError
        for name, listener in self.listeners.items():
            if name != "default":
                listener.apply(self.listeners["default"])
        self.plugins = plugins_by_path(self.plugins)
        if self.sys_interval is not None:
            logger.warning(
                "'sys_interval' is deprecated, set it as an option of BrokerSysPlugin in 'plugins'"
            )
        for name, value in (("auth", self.auth), ("topic-check", self.topic_check)):
            if value is None:
                continue
            if self.plugins is None:
                logger.warning("'%s' is deprecated, use 'plugins'", name)
            else:
                logger.warning("'%s' is ignored because 'plugins' are configured", name)

    @classmethod
    def from_dict(cls, d: dict[str, Any] | None) -> BrokerConfig:
        """Make a configuration from a dictionary, which is not changed.

        Hyphens and underscores are the same in a key. With `auth` or `topic-check` and without
        `plugins`, the plugins are those of the entry points.

        Args:
            d: the dictionary; None means the defaults.

        Returns:
            The configuration.

        Raises:
            dacite.DaciteError: a key is unknown or missing, or a value has the wrong type.
            ValueError: a value is out of range.
            KeyError: there is no listener `default`.
            FileNotFoundError: a file that is named does not exist.

        """
        if d is None:
            return cls()
        deprecated = ("auth", "topic-check", "topic_check")
        if isinstance(d, Mapping) and "plugins" not in d and any(key in d for key in deprecated):
            d = {**d, "plugins": None}
        return hydrate(cls, d)


class _NoDefaultListenerError(KeyError):
    """Report that the listener `default` is missing."""

    def __init__(self) -> None:
        super().__init__("default")

    def __str__(self) -> str:
        return "listeners.default: missing, expected the listener 'default'"
