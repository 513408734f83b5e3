"""The options that `amqtt_pub` and `amqtt_sub` share, and the client that they describe."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from amqtt._hydrate import ConfigValueError
from amqtt.contexts import ClientConfig, WillConfig
from amqtt.errors import ClientError, PluginError, PluginLoadError
from amqtt.mqtt.constants import QOS_0, QOS_2
from amqtt.scripts._common import explain, fail, load_config

if TYPE_CHECKING:
    from amqtt.client import MQTTClient

logger = logging.getLogger(__name__)

DEFAULT_CONFIG_FILE = Path(__file__).with_name("default_client.yaml")

REQUIRED: Any = ...
"""The default of an option that has none."""

UrlOption = Annotated[
    str | None,
    typer.Option(
        "--url", help="Broker, as [mqtt(s)|ws(s)]://<username:password>@HOST:port; else configured."
    ),
]
ClientIdOption = Annotated[
    str | None,
    typer.Option(
        "-i",
        "--client-id",
        help="Client id; else tool, pid and host name, and the session ends with the connection.",
    ),
]
QosOption = Annotated[int, typer.Option("-q", "--qos", help="Quality of service: 0, 1 or 2.")]
KeepAliveOption = Annotated[
    int | None, typer.Option("-k", min=0, max=65535, help="Keep-alive in seconds.")
]
CleanSessionOption = Annotated[
    bool,
    typer.Option("--clean-session", help="Begin with a new session, which ends with the command."),
]
CaFileOption = Annotated[
    str | None, typer.Option("--ca-file", help="File of certificates to trust.")
]
CaPathOption = Annotated[
    str | None, typer.Option("--ca-path", help="Folder of certificates to trust.")
]
CaDataOption = Annotated[
    str | None, typer.Option("--ca-data", help="Certificates to trust, in PEM form.")
]
WillTopicOption = Annotated[str | None, typer.Option("--will-topic", help="Topic of the will.")]
WillMessageOption = Annotated[
    str | None, typer.Option("--will-message", help="Payload of the will.")
]
WillQosOption = Annotated[int, typer.Option("--will-qos", help="Quality of service of the will.")]
WillRetainOption = Annotated[bool, typer.Option("--will-retain", help="Retain the will.")]
ExtraHeadersOption = Annotated[
    str | None,
    typer.Option("--extra-headers", help="Headers of the WebSocket handshake, a JSON object."),
]


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

    """

    tool: str
    config_file: str | None = None
    client_id: str | None = None
    keep_alive: int | None = None
    url: str | None = None
    clean_session: bool = False
    ca_file: str | None = None
    ca_path: str | None = None
    ca_data: str | None = None
    will_topic: str | None = None
    will_message: str | None = None
    will_qos: int = QOS_0
    will_retain: bool = False
    extra_headers_json: str | None = None

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
        return config

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
        url = self.url or config.connection.uri
        logger.info("%s Connecting to broker", client.client_id)
        try:
            await client.connect(
                uri=self.url,
                cleansession=self.clean_session or not self.client_id,
                cafile=self.ca_file,
                capath=self.ca_path,
                cadata=self.ca_data,
                additional_headers=_parse_headers(self.extra_headers_json),
            )
        except asyncio.CancelledError:  # what a cancelled connect raises is a ConnectError too
            raise
        except (ClientError, ValueError, OSError, asyncio.TimeoutError) as error:
            logger.critical("Connection to '%s' failed: %r", url, error)
            fail(f"Connection failed: {explain(error)}")
        try:
            yield client
        finally:
            await client.disconnect()
            logger.info("%s Disconnected from broker", client.client_id)

    def _make_client(self, config: ClientConfig) -> MQTTClient:
        # Imported here: help, version and the errors of a command line do not need the engine.
        from amqtt.client import MQTTClient

        client_id = self.client_id or f"{self.tool}/{os.getpid()}-{socket.gethostname()}"
        try:
            return MQTTClient(client_id=client_id, config=config)
        except (PluginError, PluginLoadError) as error:
            source = self.config_file or DEFAULT_CONFIG_FILE
            fail(f"Client failed to start: {explain(error)} (configured in {source})")


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
        headers = json.loads(text)
    except ValueError:
        headers = None
    if isinstance(headers, dict):
        return headers
    logger.warning("'--extra-headers' is ignored: it is no JSON object")
    return None
