"""The client that the options of `amqtt_pub` and `amqtt_sub` describe."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

import typer

from amqtt._client.endpoint import hide_password
from amqtt._config.hydrate import ConfigValueError
from amqtt.contexts import ClientConfig, WillConfig
from amqtt.errors import ClientError, PluginError, PluginLoadError
from amqtt.logs import printable
from amqtt.mqtt.constants import QOS_0, QOS_2
from amqtt.scripts._common import explain, fail, load_config
from amqtt.scripts._properties import properties_of

if TYPE_CHECKING:
    from typing_extensions import Self

    from amqtt.client import MQTTClient

logger = logging.getLogger(__name__)

DEFAULT_CONFIG_FILE = Path(__file__).with_name("default_client.yaml")

PROTOCOL_VERSIONS = {
    **dict.fromkeys(("3", "31", "3.1", "mqttv31"), 3),
    **dict.fromkeys(("4", "311", "3.1.1", "mqttv311"), 4),
    **dict.fromkeys(("5", "5.0", "mqttv5"), 5),
}
"""The texts of the option `-V` and the protocol version that each means."""

VERSION_5 = 5

NEVER = 0xFFFFFFFF
"""The session expiry interval of a session that does not expire."""


@dataclass
class ClientOptions:
    """Describe a client by the options of the command line.

    Attributes:
        tool: name of the command, the first part of the default client id.
        config_file: path of the configuration file; None means the packaged one.
        client_id: client id; None means tool, process id and host name.
        keep_alive: seconds; None and 0 mean the configured value.
        url: URI of the broker; None means the configured one.
        clean_session: whether to begin with a new session; without `client_id` that is so anyway,
            for nobody could come back to the session.
        ca_file: file of certificates to trust.
        ca_path: folder of certificates to trust.
        ca_data: certificates to trust, in PEM form.
        will_topic: topic of the will.
        will_message: payload of the will.
        will_qos: quality of service of the will.
        will_retain: retain flag of the will.
        extra_headers_json: headers of the WebSocket handshake, a JSON object.
        protocol_version: one of `PROTOCOL_VERSIONS`; None means the configured one.
        properties: the options `-D`, see `_properties`.
        session_expiry: seconds that the broker keeps the session after the end, in MQTT 5.0; -1 and
            `NEVER` mean that it does not expire.
        unix: path of the Unix socket of the broker, in the place of `url`.
        username: user name, in the place of the one in `url`.
        password: password, in the place of the one in `url`.
        cert_file: file of the certificate that the client shows.
        key_file: file of the key of that certificate.
        insecure: whether any name in the certificate of the broker will do.
        tls_alpn: protocol to name in the TLS handshake.
        proxy: URL of the proxy to connect through; an empty one means none.

    """

    tool: str
    config_file: str | None = None
    client_id: str | None = None
    keep_alive: int | None = None
    url: str | None = field(default=None, repr=False)
    clean_session: bool = False
    ca_file: str | None = None
    ca_path: str | None = None
    ca_data: str | None = None
    will_topic: str | None = None
    will_message: str | None = field(default=None, repr=False)
    will_qos: int = QOS_0
    will_retain: bool = False
    extra_headers_json: str | None = field(default=None, repr=False)
    protocol_version: str | None = None
    properties: list[str] = field(default_factory=list, repr=False)
    session_expiry: int | None = None
    unix: str | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    cert_file: str | None = None
    key_file: str | None = None
    insecure: bool = False
    tls_alpn: str | None = None
    proxy: str | None = field(default=None, repr=False)

    @classmethod
    def of(cls, tool: str, context: typer.Context) -> Self:
        """Take the options from the parameters of a running command.

        Args:
            tool: name of the command.
            context: its context.

        Returns:
            The options.

        """
        names = {each.name for each in fields(cls)}
        given = {name: value for name, value in context.params.items() if name in names}
        given["properties"] = list(given.get("properties") or ())
        return cls(tool=tool, **given)

    def load_config(self) -> ClientConfig:
        """Check the will, read the configuration file and put the options into the configuration.

        Returns:
            The configuration.

        Raises:
            typer.Exit: an option or the file is wrong; the error is printed.

        """
        will = self._will()
        config = load_config(ClientConfig, self.config_file or DEFAULT_CONFIG_FILE)
        if self.keep_alive:
            config.keep_alive = self.keep_alive
        if will is not None:
            config.will = will
        changes = {**self._connection_changes(config), **self._protocol_changes(config)}
        if not changes:
            return config
        try:
            # `broker` is the former name of `connection`, which has its values already.
            return replace(config, broker=None, **changes)
        except ConfigValueError as error:
            fail(f"'{error.path}': {error.problem}")

    def properties_of(self, command: str) -> dict[str, Any]:
        """Return the argument that gives the properties to a method of the client.

        Args:
            command: `publish`, `subscribe`, `unsubscribe` or `disconnect`.

        Returns:
            The argument `properties`; nothing when there are none.

        """
        properties = properties_of(command, self.properties)
        return {"properties": properties} if properties else {}

    def _protocol_changes(self, config: ClientConfig) -> dict[str, Any]:
        """Return what the options change in the fields of the configuration."""
        changes: dict[str, Any] = {}
        if self.protocol_version is not None:
            changes["protocol_version"] = PROTOCOL_VERSIONS[self.protocol_version]
        if changes.get("protocol_version", protocol_version_of(config)) != VERSION_5:
            if self.properties or self.session_expiry is not None:
                fail("Properties ('-D') and '-x' need MQTT 5.0: give '-V 5'.")
            return changes
        properties = dict(getattr(config, "connect_properties", None) or {})
        if self.client_id and not self.clean_session:
            # As in MQTT 3: a session that has a name stays.
            properties.setdefault("session_expiry_interval", NEVER)
        if self.session_expiry is not None:
            properties["session_expiry_interval"] = self.session_expiry & NEVER
        properties.update(properties_of("connect", self.properties))
        if properties:
            changes["connect_properties"] = properties
        if of_will := properties_of("will", self.properties):
            if config.will is None:
                fail("Properties of the will need '--will-topic' and '--will-message'.")
            with_properties: dict[str, Any] = {"properties": of_will}
            changes["will"] = replace(config.will, **with_properties)
        return changes

    def _connection_changes(self, config: ClientConfig) -> dict[str, Any]:
        """Return what the options change in how the client connects."""
        if bool(self.cert_file) != bool(self.key_file):
            fail("'--cert' and '--key' are both needed for a certificate of the client.")
        if self.unix is not None and self.url is not None:
            fail("'--url' and '--unix' exclude each other.")
        options = {
            "certfile": self.cert_file,
            "keyfile": self.key_file,
            "alpn": self.tls_alpn,
            "proxy": self.proxy,
        }
        given = {name: value for name, value in options.items() if value is not None}
        changes: dict[str, Any] = {"check_hostname": False} if self.insecure else {}
        if given:
            changes["connection"] = replace(config.connection, **given)
        return changes

    def uri(self, config: ClientConfig) -> str | None:
        """Return where to connect to.

        Args:
            config: the configuration, for what the options leave open.

        Returns:
            The URI; None when it is the configured one.

        """
        url = None if self.unix is None else f"unix://{quote(str(Path(self.unix).absolute()))}"
        url = url or self.url
        if self.username is None and self.password is None:
            return url
        parts = urlsplit(url or config.connection.uri or "")
        before, _, host = parts.netloc.rpartition("@")
        user, _, password = before.partition(":")
        if self.username is not None:
            user = quote(self.username, safe="")
        if self.password is not None:
            password = quote(self.password, safe="")
        return parts._replace(netloc=f"{user}:{password}@{host}").geturl()

    def _will(self) -> WillConfig | None:
        if bool(self.will_topic) != bool(self.will_message):
            typer.echo("❌ must specify both 'will_message' and 'will_topic' ")
            raise typer.Exit(1)
        if not self.will_topic or not self.will_message:
            if self.will_retain:
                fail("'will-retain' only valid if 'will_message' and 'will_topic' are specified.")
            return None
        check_qos("will-qos", self.will_qos)
        try:
            return WillConfig(self.will_topic, self.will_message, self.will_qos, self.will_retain)
        except ConfigValueError as error:
            fail(f"'will-{error.path}': {error.problem}")

    @contextlib.asynccontextmanager
    async def connected(self, config: ClientConfig) -> AsyncIterator[MQTTClient]:
        """Make a client, connect it for the time of a block and disconnect it.

        Args:
            config: the configuration of the client.

        Raises:
            typer.Exit: the client cannot be made or cannot connect; the error is printed.

        """
        client = self._make_client(config)
        uri = self.uri(config)
        logger.info("%s Connecting to broker", printable(client.client_id))
        try:
            await client.connect(
                uri=uri,
                cleansession=self.clean_session or not self.client_id,
                cafile=self.ca_file,
                capath=self.ca_path,
                cadata=self.ca_data,
                additional_headers=_parse_headers(self.extra_headers_json),
            )
        except asyncio.CancelledError:  # what a cancelled connect raises is a ConnectError too
            raise
        except (ClientError, ValueError, OSError, asyncio.TimeoutError) as error:
            shown = self.unix or hide_password(self.url or config.connection.uri or "")
            logger.critical("Connection to '%s' failed: %r", shown, error)
            fail(f"Connection failed: {explain(error)}")
        try:
            yield client
        finally:
            await client.disconnect(**self.properties_of("disconnect"))
            logger.info("%s Disconnected from broker", printable(client.client_id))

    def _make_client(self, config: ClientConfig) -> MQTTClient:
        # Imported here: help, version and the errors of a command line do not need the engine.
        from amqtt.client import MQTTClient

        client_id = self.client_id or f"{self.tool}/{os.getpid()}-{socket.gethostname()}"
        try:
            return MQTTClient(client_id=client_id, config=config)
        except (PluginError, PluginLoadError) as error:
            source = self.config_file or DEFAULT_CONFIG_FILE
            fail(f"Client failed to start: {explain(error)} (configured in {source})")


def protocol_version_of(config: ClientConfig) -> int:
    """Return the protocol version of a configuration.

    Args:
        config: the configuration.

    Returns:
        3 for MQTT 3.1, 4 for 3.1.1, 5 for 5.0.

    """
    version: int = getattr(config, "protocol_version", 4)
    return version


def check_qos(option: str, qos: int) -> None:
    """End the command when an option is no quality of service.

    Args:
        option: name of the option, for the message.
        qos: value of the option.

    Raises:
        typer.Exit: the value is not 0, 1 or 2; the error is printed.

    """
    if not QOS_0 <= qos <= QOS_2:
        fail(f"'{option}' must be 0, 1 or 2, not {qos}.")


def _parse_headers(text: str | None) -> dict[str, Any] | None:
    """Read a JSON object; anything else means no headers."""
    if not text:
        return None
    try:
        headers = json.loads(text, object_pairs_hook=_unambiguous)
    except ValueError:
        headers = None
    if isinstance(headers, dict):
        return headers
    logger.warning("'--extra-headers' is ignored: it is not a JSON object, or has a name twice")
    return None


def _unambiguous(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make an object, unless it has a name twice: the one before would be lost."""
    made = dict(pairs)
    if len(made) < len(pairs):
        msg = "a name is given twice"
        raise ValueError(msg)
    return made
