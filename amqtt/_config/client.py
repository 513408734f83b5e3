"""The configuration of a client; `amqtt.contexts` is where applications find it."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from amqtt._config.dictable import Dictable, check_range, is_qos, plugins_by_path
from amqtt._config.hydrate import ConfigValueError, hydrate
from amqtt._engine.codes import QOS_0, QOS_2
from amqtt.topics import describe_topic, topic_name_problem

_PROTOCOL_5_0 = 5
_CREDENTIAL_FILES = ("cafile", "certfile", "keyfile")
_NO_LIMIT = 65_535
# Mosquitto holds 20 by default. While it does, it acknowledges one more message of any QoS as if it
# had taken it, and drops it, as MQTT 3 has no other answer.
_MOST_QOS_2_OF_3 = 19
_RANGES: dict[str, tuple[int, int | None]] = {
    "keep_alive": (0, 65535),
    "ping_delay": (0, None),
    "connection_timeout": (1, None),
    "reconnect_max_interval": (1, None),
    "protocol_version": (3, 5),
    "receive_buffer_messages": (1, None),
    "receive_buffer_bytes": (1, None),
    "max_inflight_messages": (1, _NO_LIMIT),
    "offline_queue_messages": (0, None),
    "offline_queue_bytes": (0, None),
}
RECEIVE_POLICIES = ("wait", "drop_oldest")


def default_client_plugins() -> dict[str, Any]:
    """Return the plugins of a client that is not told otherwise."""
    return {"amqtt.plugins.logging_amqtt.PacketLoggerPlugin": {}}


@dataclass
class ConnectionConfig(Dictable):
    """Describe how a client reaches its broker.

    Attributes:
        uri: `scheme://[user:password@]host[:port][/path]`, the scheme one of `mqtt`, `mqtts`,
            `ws` and `wss`, or `unix:///path`.
        cafile: file with the certificates that the broker's is checked against.
        capath: folder with such certificates.
        cadata: such certificates in PEM form.
        certfile: file with the certificate of the client.
        keyfile: file with the key of that certificate.
        proxy: `http://` or `socks5://[user:password@]host:port`; empty for none. None means what
            the environment says: `HTTPS_PROXY` for `mqtts` and `wss`, `HTTP_PROXY` for `ws`, else
            `ALL_PROXY`; `NO_PROXY` and brokers of the same machine are exempt.
        alpn: the protocol to ask for in the TLS handshake; None for none.
        crlfile: file with the lists of certificates that are revoked, which that of the broker and
            those of its authorities are looked up in.

    Raises:
        ValueError: only one of `certfile` and `keyfile` is given.

    """

    # What may have a password is not shown: where a configuration is shown, it is logged.
    uri: str | None = field(default="mqtt://127.0.0.1:1883", repr=False)
    cafile: str | Path | None = None
    capath: str | Path | None = None
    cadata: str | None = None
    certfile: str | Path | None = None
    keyfile: str | Path | None = None
    proxy: str | None = field(default=None, repr=False)
    alpn: str | None = None
    crlfile: str | Path | None = None

    def __post_init__(self) -> None:
        """Check that certificate and key come together; make paths of texts."""
        if bool(self.certfile) != bool(self.keyfile):
            msg = "Connection key and certificate files are _both_ required."
            raise ValueError(msg)
        for name in ("cafile", "capath", "certfile", "keyfile", "crlfile"):
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
        properties: those of the will in MQTT 5.0 by name, as `will_delay_interval`.

    Raises:
        ValueError: `topic` is empty or has a wildcard, or `qos` is out of range.

    """

    topic: str
    message: str | bytes = field(repr=False)
    qos: int | None = QOS_0
    retain: bool | None = False
    properties: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check the topic and the quality of service."""
        problem = topic_name_problem(self.topic)
        if problem is not None:
            found = describe_topic(self.topic)
            raise ConfigValueError("topic", f"expected a topic name, found {found}: {problem}")
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
        protocol_version: 3 for MQTT 3.1, 4 for 3.1.1, 5 for 5.0.
        connect_properties: those of CONNECT in MQTT 5.0 by name, as `session_expiry_interval`,
            `receive_maximum`, `maximum_packet_size` and `topic_alias_maximum`.
        receive_buffer_messages: received messages that may wait for the application.
        receive_buffer_bytes: the same as the sum of their topics, payloads and properties.
        receive_policy: what happens beyond that. `wait`: the client stops reading, so that the
            broker has to wait. `drop_oldest`: the message that has waited longest is dropped, and
            counted in `dropped_messages`; only the number of messages counts.
        manual_acknowledgement: whether the application acknowledges messages of QoS 1 and 2 by
            `acknowledge()`.
        max_inflight_messages: QoS 1 and 2 messages that may be on their way to the broker without
            acknowledgement; others wait in the client. In MQTT 5.0 what the broker says counts if
            it is less. None means no limit of the client's own in 5.0, and in MQTT 3, which lets
            brokers say nothing, 19 of QoS 2.
        offline_queue_messages: messages that `publish()` may put aside while the client connects
            again after a loss; 0 makes it wait.
        offline_queue_bytes: the same as the sum of topics and payloads.
        resubscribe: whether to subscribe again when the broker has lost the session.
        session_file: an SQLite file that keeps the client's part of the session, so that it
            survives the process; made when it is not there. Needs a client identifier,
            `cleansession: false`, and with MQTT 5.0 a `session_expiry_interval`. None for none.

    Raises:
        ValueError: a number is out of range, or `plugins` is a list that holds something else
            than texts and mappings.

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
    protocol_version: int = 4
    connect_properties: dict[str, Any] = field(default_factory=dict)
    receive_buffer_messages: int = 100_000
    receive_buffer_bytes: int = 64 * 1024 * 1024
    receive_policy: str = "wait"
    manual_acknowledgement: bool = False
    max_inflight_messages: int | None = None
    offline_queue_messages: int = 0
    offline_queue_bytes: int = 16 * 1024 * 1024
    resubscribe: bool = False
    session_file: str | Path | None = None

    def __post_init__(self) -> None:
        """Check the numbers, complete the plugins, honour `broker`."""
        for name, (least, most) in _RANGES.items():
            if self[name] is not None:
                check_range(self, name, least, most)
        if self.default_qos is not None and not is_qos(self.default_qos):
            msg = "Client config: default QoS must be 0, 1 or 2."
            raise ValueError(msg)
        if self.receive_policy not in RECEIVE_POLICIES:
            expected = " or ".join(f"'{each}'" for each in RECEIVE_POLICIES)
            problem = f"expected {expected}, found {self.receive_policy!r}"
            raise ConfigValueError("receive_policy", problem)
        if self.protocol_version < _PROTOCOL_5_0:
            for name, given in (
                ("connect_properties", self.connect_properties),
                ("will.properties", self.will and self.will.properties),
            ):
                if given:
                    raise ConfigValueError(name, "needs protocol_version 5")
        self._check_session_file()
        self.plugins = plugins_by_path(self.plugins)
        if self.broker is not None:
            warnings.warn(
                "The client option 'broker' is deprecated, use 'connection'", stacklevel=3
            )
            self.connection = self.broker

    def _check_session_file(self) -> None:
        """Refuse to keep a session that ends with its connection."""
        if self.session_file is None:
            return
        self.session_file = Path(self.session_file)
        if self.cleansession is not False:
            raise ConfigValueError("session_file", "needs cleansession: false")
        expiry = self.connect_properties.get("session_expiry_interval")
        if self.protocol_version == _PROTOCOL_5_0 and not expiry:
            problem = "needs a session_expiry_interval among connect_properties"
            raise ConfigValueError("session_file", problem)

    def inflight_maxima(self) -> dict[str, int]:
        """Return how many messages may be on their way, and how many of QoS 2 among them."""
        most = self.max_inflight_messages
        if most is None:
            qos2 = _MOST_QOS_2_OF_3 if self.protocol_version < _PROTOCOL_5_0 else _NO_LIMIT
            return {"send_maximum": _NO_LIMIT, "qos2_maximum": qos2}
        return {"send_maximum": most, "qos2_maximum": most}

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
