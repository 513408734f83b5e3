"""The configuration of broker and client, and the base of the contexts of plugins."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from amqtt._compat import StrEnum
from amqtt._dictable import Dictable, check_range, is_qos
from amqtt._hydrate import ConfigValueError, describe_value, hydrate
from amqtt._limits import LimitsConfig
from amqtt.mqtt.constants import QOS_0, QOS_2

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

_CREDENTIAL_FILES = ("cafile", "certfile", "keyfile")


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
        bind: `host:port`; None leaves the listener out.
        max_connections: 0 or less means no limit.
        ssl: whether connections use TLS.
        cafile: file with the certificates that client certificates are checked against.
        capath: folder with such certificates.
        cadata: such certificates in PEM form.
        certfile: file with the certificate of the broker.
        keyfile: file with the key of that certificate.
        reader: unused.
        writer: unused.

    Raises:
        ValueError: only one of `certfile` and `keyfile` is given.
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

    def __post_init__(self) -> None:
        """Check the files."""
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


def default_client_plugins() -> dict[str, Any]:
    """Return the plugins of a client that is not told otherwise."""
    return {"amqtt.plugins.logging_amqtt.PacketLoggerPlugin": {}}


@dataclass
class BrokerConfig(Dictable):
    """Configure a broker.

    Attributes:
        listeners: the listeners by name; `default` must be among them and gives the others the
            values that they do not set.
        sys_interval: deprecated; seconds between the messages of `$SYS`.
        timeout_disconnect_delay: seconds added to a client's keep-alive, unless that is 0.
        session_expiry_interval: seconds a disconnected session is kept; None means for ever.
        auth: deprecated; options of the authentication plugins.
        topic_check: deprecated; options of the topic plugins.
        plugins: options by the dotted path of the plugin class; None means entry points.
        limits: bounds of what one connection or session may use.

    Raises:
        KeyError: there is no listener `default`.
        ValueError: `plugins` is a list that holds something else than texts and mappings.

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
        """Complete the listeners and the plugins; warn of deprecated settings."""
        if "default" not in self.listeners:
            raise _NoDefaultListenerError
        for name, listener in self.listeners.items():
            if name != "default":
                listener.apply(self.listeners["default"])
        self.plugins = _plugins_by_path(self.plugins)
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


@dataclass
class ConnectionConfig(Dictable):
    """Describe how a client reaches its broker.

    Attributes:
        uri: `scheme://[user:password@]host[:port][/path]`, the scheme one of `mqtt`, `mqtts`,
            `ws` and `wss`.
        cafile: file with the certificates that the broker's is checked against.
        capath: folder with such certificates.
        cadata: such certificates in PEM form.
        certfile: file with the certificate of the client.
        keyfile: file with the key of that certificate.

    Raises:
        ValueError: only one of `certfile` and `keyfile` is given.

    """

    uri: str | None = "mqtt://127.0.0.1:1883"
    cafile: str | Path | None = None
    capath: str | Path | None = None
    cadata: str | None = None
    certfile: str | Path | None = None
    keyfile: str | Path | None = None

    def __post_init__(self) -> None:
        """Check that certificate and key come together; make paths of texts."""
        if bool(self.certfile) != bool(self.keyfile):
            msg = "Connection key and certificate files are _both_ required."
            raise ValueError(msg)
        for name in ("cafile", "capath", "certfile", "keyfile"):
            value = getattr(self, name)
            if isinstance(value, str):
                setattr(self, name, Path(value))


@dataclass
class TopicConfig(Dictable):
    """Set what a client uses to publish to one topic.

    Attributes:
        qos: quality of service, 0 to 2.
        retain: the retain flag.

    Raises:
        ValueError: `qos` is out of range.

    """

    qos: int = QOS_0
    retain: bool = False

    def __post_init__(self) -> None:
        """Check the quality of service."""
        check_range(self, "qos", QOS_0, QOS_2)


@dataclass
class WillConfig(Dictable):
    """Describe the message that the broker publishes when the client is lost.

    Attributes:
        topic: topic name.
        message: payload; text is sent as UTF-8.
        qos: quality of service, 0 to 2.
        retain: the retain flag.

    Raises:
        ValueError: `qos` is out of range.

    """

    topic: str
    message: str | bytes
    qos: int | None = QOS_0
    retain: bool | None = False

    def __post_init__(self) -> None:
        """Check the quality of service."""
        if self.qos is not None:
            check_range(self, "qos", QOS_0, QOS_2)


@dataclass
class ClientConfig(Dictable):
    """Configure a client.

    Attributes:
        keep_alive: seconds without a packet after which the broker takes the client for lost.
        ping_delay: seconds before the end of that time at which a ping is sent.
        default_qos: quality of service of a publish that names none.
        default_retain: retain flag of a publish that names none.
        auto_reconnect: whether to connect again after a failure, the first one included.
        connection_timeout: seconds to wait for a connection.
        reconnect_retries: attempts after the first; negative means without end.
        reconnect_max_interval: seconds to wait between two attempts, at most.
        cleansession: whether the broker begins with a new session.
        topics: settings by topic name.
        broker: deprecated; used instead of `connection`.
        connection: how to reach the broker.
        plugins: options by the dotted path of the plugin class; None means entry points.
        check_hostname: whether the broker's certificate must carry its host name.
        verify_cert: whether the broker's certificate must be trusted.
        will: the message to publish when the client is lost.

    Raises:
        ValueError: `default_qos` is out of range, or `plugins` is a list that holds something
            else than texts and mappings.

    """

    keep_alive: int | None = 10
    ping_delay: int | None = 1
    default_qos: int | None = QOS_0
    default_retain: bool | None = False
    auto_reconnect: bool | None = True
    connection_timeout: int | None = 60
    reconnect_retries: int | None = 2
    reconnect_max_interval: int | None = 10
    cleansession: bool | None = True
    topics: dict[str, TopicConfig] | None = field(default_factory=dict)
    broker: ConnectionConfig | None = None
    connection: ConnectionConfig = field(default_factory=ConnectionConfig)
    plugins: dict[str, Any] | list[str | dict[str, Any]] | None = field(
        default_factory=default_client_plugins
    )
    check_hostname: bool | None = True
    verify_cert: bool | None = True
    will: WillConfig | None = None

    def __post_init__(self) -> None:
        """Check the quality of service, complete the plugins, honour `broker`."""
        if self.default_qos is not None and not is_qos(self.default_qos):
            msg = "Client config: default QoS must be 0, 1 or 2."
            raise ValueError(msg)
        self.plugins = _plugins_by_path(self.plugins)
        if self.broker is not None:
            warnings.warn(
                "The client option 'broker' is deprecated, use 'connection'", stacklevel=3
            )
            self.connection = self.broker

    @classmethod
    def from_dict(cls, d: dict[str, Any] | None) -> ClientConfig:
        """Make a configuration from a dictionary, which is not changed.

        Hyphens and underscores are the same in a key. `cafile`, `certfile` and `keyfile` may also
        stand at the top; what `connection` says itself comes first. An entry of `topics` without
        `qos` or `retain` has the default of this configuration.

        Args:
            d: the dictionary; None means the defaults.

        Returns:
            The configuration.

        Raises:
            dacite.DaciteError: a key is unknown or missing, or a value has the wrong type.
            ValueError: a value is out of range.

        """
        if d is None:
            return cls()
        if isinstance(d, Mapping):
            d = _complete_topics(_merge_credential_files(dict(d)))
        return hydrate(cls, d)


class _NoDefaultListenerError(KeyError):
    """Report that the listener `default` is missing."""

    def __init__(self) -> None:
        super().__init__("default")

    def __str__(self) -> str:
        return "listeners.default: missing, expected the listener 'default'"


def _plugins_by_path(plugins: Any) -> dict[str, Any] | None:
    """Make one dictionary of a list of paths and of dictionaries; later entries win."""
    if plugins is None or isinstance(plugins, dict):
        return plugins
    by_path: dict[str, Any] = {}
    for index, item in enumerate(plugins):
        if isinstance(item, str):
            by_path[item] = {}
        elif isinstance(item, Mapping):
            by_path.update(item)
        else:
            problem = f"expected text or a mapping, found {describe_value(item)}"
            raise ConfigValueError(f"plugins.{index}", problem)
    return by_path


def _merge_credential_files(data: dict[str, Any]) -> dict[str, Any]:
    """Move credential files from the top into the section that describes the connection."""
    files = {name: data.pop(name) for name in _CREDENTIAL_FILES if name in data}
    files = {name: value for name, value in files.items() if value is not None}
    if not files:
        return data
    section_name = "broker" if data.get("broker") is not None else "connection"
    section = data.get(section_name)
    if section is None:
        section = {}
    if isinstance(section, ConnectionConfig):
        section = {each.name: section[each.name] for each in dataclasses.fields(section)}
    if isinstance(section, Mapping):
        absent = {name: value for name, value in files.items() if section.get(name) is None}
        data[section_name] = {**section, **absent}
    return data


def _complete_topics(data: dict[str, Any]) -> dict[str, Any]:
    """Give each topic the defaults of the client for what the topic does not say."""
    topics = data.get("topics")
    if not isinstance(topics, Mapping):
        return data
    defaults: dict[str, Any] = {}
    for name, key in (("default_qos", "qos"), ("default_retain", "retain")):
        value = data.get(name, data.get(name.replace("_", "-")))
        if isinstance(value, bool) if key == "retain" else is_qos(value):
            defaults[key] = value
    data["topics"] = {
        topic: {**defaults, **entry} if isinstance(entry, Mapping) else entry
        for topic, entry in topics.items()
    }
    return data
