"""The configuration of broker and client, and the base of the contexts of plugins."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from amqtt._client_config import (
    ClientConfig,
    ConnectionConfig,
    TopicConfig,
    WillConfig,
    default_client_plugins,
)
from amqtt._compat import StrEnum
from amqtt._dictable import Dictable, check_range, plugins_by_path
from amqtt._hydrate import ConfigValueError, describe_value, hydrate
from amqtt._limits import LimitsConfig

logger = logging.getLogger(__name__)

__all__ = [
    "Action",
    "BaseContext",
    "BrokerConfig",
    "ClientConfig",
    "ConnectionConfig",
    "Dictable",
    "LimitsConfig",
    "ListenerConfig",
    "ListenerType",
    "TopicConfig",
    "WillConfig",
    "default_broker_plugins",
    "default_client_plugins",
    "default_listeners",
]

# What the engine can count, 136 years.
_MOST_SECONDS = 4294967295


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


class ListenerType(StrEnum):
    """How connections reach the broker."""

    TCP = "tcp"
    WS = "ws"
    EXTERNAL = "external"

    def __repr__(self) -> str:
        """Show the value in double quotes."""
        return f'"{self.value}"'


@dataclass
class ListenerConfig(Dictable):
    """Describe one listener of a broker.

    Attributes:
        type: `tcp`, `ws`, or `external` for connections that the application hands in.
        bind: `host:port`, or `unix:` and the path of a Unix socket; None leaves the listener out.
        max_connections: 0 or less means no limit.
        ssl: whether connections use TLS.
        cafile: file with the certificates that client certificates are checked against; without
            it, `capath` and `cadata` those of the system.
        capath: folder with such certificates.
        cadata: such certificates in PEM form.
        certfile: file with the certificate of the broker.
        keyfile: file with the key of that certificate.
        reader: unused.
        writer: unused.
        tls_min_version: oldest version of TLS that is accepted, `1.2` or `1.3`.
        tls_ciphers: cipher suites by their OpenSSL names, separated by colons; None means
            OpenSSL's choice.
        tls_require_client_certificate: whether clients must have a certificate; one that they
            have is checked in any case.
        ws_path: the only path that WebSocket connections may ask for; None means any.
        ws_origins: the web origins, such as `https://example.com`, whose pages may connect; None
            means any. Clients other than web browsers send no origin and may connect.
        unix_mode: permissions of the Unix socket in octal, such as `0660`; None means those that
            the process's umask leaves.

    Raises:
        ValueError: only one of `certfile` and `keyfile` is given, or another value is not one of
            those above.
        FileNotFoundError: a file or folder does not exist.

    """

    type: ListenerType = ListenerType.TCP
    bind: str | None = "0.0.0.0:1883"
    max_connections: int = 0
    ssl: bool = False
    cafile: str | Path | None = None
    capath: str | Path | None = None
    cadata: str | Path | None = None
    certfile: str | Path | None = None
    keyfile: str | Path | None = None
    reader: str | None = None
    writer: str | None = None
    tls_min_version: str | float = "1.2"
    tls_ciphers: str | None = None
    tls_require_client_certificate: bool = False
    ws_path: str | None = None
    ws_origins: list[str] | None = None
    unix_mode: str | None = None

    def __post_init__(self) -> None:
        """Check the files and the values."""
        if bool(self.certfile) != bool(self.keyfile):
            msg = "If specifying the 'certfile' or 'keyfile', both are required."
            raise ValueError(msg)
        for name in ("cafile", "capath", "certfile", "keyfile"):
            value = getattr(self, name)
            if value is None:
                continue
            path = Path(value)
            if not path.exists():
                msg = f"'{name}' does not exist : {path}"
                raise FileNotFoundError(msg)
            setattr(self, name, path)
        self.tls_min_version = str(self.tls_min_version)  # YAML makes a number of it
        if self.tls_min_version not in ("1.2", "1.3"):
            found = describe_value(self.tls_min_version)
            raise ConfigValueError("tls_min_version", f"expected 1.2 or 1.3, found {found}")
        if self.ws_path is not None and not self.ws_path.startswith("/"):
            found = describe_value(self.ws_path)
            raise ConfigValueError("ws_path", f"expected a path that begins with /, found {found}")
        if self.unix_mode is not None and not re.fullmatch("[0-7]{3,4}", self.unix_mode):
            found = describe_value(self.unix_mode)
            problem = f"expected an octal number such as '0660', found {found}"
            raise ConfigValueError("unix_mode", problem)

    def apply(self, other: ListenerConfig) -> None:
        """Take from another listener every value that still is the default here.

        Args:
            other: the listener to take the values from.

        """
        for each in dataclasses.fields(self):
            if getattr(self, each.name) == each.default:
                setattr(self, each.name, getattr(other, each.name))


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
        auth: deprecated; options of the authentication plugins.
        topic_check: deprecated; options of the topic plugins.
        plugins: options by the dotted path of the plugin class; None means entry points.
        limits: bounds of what one connection or session may use.

    Raises:
        KeyError: there is no listener `default`.
        ValueError: a number of seconds is out of range, or `plugins` is a list that holds
            something else than texts and mappings.

    """

    listeners: dict[str, ListenerConfig] = field(default_factory=default_listeners)
    sys_interval: int | None = None
    timeout_disconnect_delay: int | None = 0
    session_expiry_interval: int | None = None
    auth: dict[str, Any] | None = None
    topic_check: dict[str, Any] | None = None
    plugins: dict[str, Any] | list[str | dict[str, Any]] | None = field(
        default_factory=default_broker_plugins
    )
    limits: LimitsConfig = field(default_factory=LimitsConfig)

    def __post_init__(self) -> None:
        """Check the numbers, complete listeners and plugins, warn of deprecated settings."""
        for name in ("timeout_disconnect_delay", "session_expiry_interval"):
            if self[name] is not None:
                check_range(self, name, 0, _MOST_SECONDS)
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
