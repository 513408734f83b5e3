"""The command `amqtt_pub`: publish messages."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from amqtt.errors import ClientError, MQTTError
from amqtt.logs import printable
from amqtt.mqtt.constants import QOS_0
from amqtt.scripts import _options as options
from amqtt.scripts._app import DebugOption, VersionOption, make_app, run_app
from amqtt.scripts._client_options import (
    VERSION_5,
    ClientOptions,
    check_qos,
    protocol_version_of,
)
from amqtt.scripts._common import (
    TIMED_OUT,
    configure_logging,
    explain,
    fail,
    run_until_signal,
)
from amqtt.scripts._message_format import MessageFormat
from amqtt.scripts._message_source import (
    read_lines,
    read_lines_of,
    read_whole,
    repeated,
    single,
)
from amqtt.scripts._progress import Progress
from amqtt.scripts._properties import PropertyCommand
from amqtt.scripts._streams import discard, is_closed

if TYPE_CHECKING:
    from amqtt.client import MQTTClient

logger = logging.getLogger(__name__)

MAX_PUBLISHES_IN_FLIGHT = 1000

app = make_app()


def main() -> None:
    """Run the command."""
    run_app(app, "amqtt_pub")


@dataclass
class MessageInput:
    """Say where the messages come from; exactly one attribute is set.

    Attributes:
        message_str: one message.
        file: path of a file; each line is a message.
        stdin: all of the standard input is one message.
        lines: each line of the standard input is a message.
        no_message: one empty message.
        repeat: how often to publish the message.
        repeat_delay: seconds between two times.

    """

    message_str: str | None = None
    file: str | None = None
    stdin: bool | None = False
    lines: bool | None = False
    no_message: bool | None = False
    repeat: int = 1
    repeat_delay: float = 0.0

    def check(self) -> None:
        """End the command unless there is exactly one source, which can be read.

        Raises:
            typer.Exit: there is none, or more than one, or the file cannot be read.

        """
        sources = (self.message_str, self.file, self.stdin, self.lines, self.no_message)
        if sum(map(bool, sources)) != 1:
            fail(
                "You must provide exactly one of "
                "--message, --file, --stdin, --lines or --no-message"
            )
        if self.repeat > 1 and not (self.message_str or self.no_message):
            fail("'--repeat' is for '--message' and '--no-message'.")
        if (self.stdin or self.lines or self.file == "-") and is_closed("stdin"):
            fail("Cannot read the messages: the standard input is closed")
        if self.file and self.file != "-":
            try:
                Path(self.file).stat()
            except OSError as error:
                fail(f"Cannot read the messages: {error}")
            if not os.access(self.file, os.R_OK):
                fail(f"Cannot read the messages: no permission to read '{self.file}'")

    def messages(self) -> AsyncIterator[bytes]:
        """Return the payloads, read as they are needed."""
        if self.message_str:
            # Arguments that are not UTF-8 come as surrogates; their bytes are what was meant.
            return self._repeated(self.message_str.encode("utf-8", "surrogateescape"))
        if self.file and self.file != "-":
            return read_lines_of(self.file)
        if self.stdin:
            return read_whole()
        if self.lines or self.file:
            return read_lines()
        return self._repeated(b"")

    def _repeated(self, data: bytes) -> AsyncIterator[bytes]:
        if self.repeat > 1:
            return repeated(data, self.repeat, self.repeat_delay)
        return single(data)


class Publisher:
    """Publish messages to one topic, many at a time.

    Args:
        client: a connected client.
        topic: topic name.
        qos: quality of service.
        retain: the retain flag.
        more: further arguments of `MQTTClient.publish`.

    """

    def __init__(self, client: MQTTClient, topic: str, qos: int, retain: bool, **more: Any) -> None:
        """Make a publisher that has published nothing."""
        self._client = client
        self._more = more
        self._progress = Progress()
        self._topic = topic
        self._qos = qos
        self._retain = retain
        self._slots = asyncio.Semaphore(MAX_PUBLISHES_IN_FLIGHT)
        self._pending: set[asyncio.Task[None]] = set()
        self._failed = False

    async def publish(self, messages: AsyncIterator[bytes]) -> bool:
        """Publish until the messages end or one of them fails.

        Args:
            messages: the payloads.

        Returns:
            Whether every message was published.

        """
        try:
            async with self._progress:
                await self._publish_all(messages)
        except (OSError, ValueError) as error:
            logger.error("Cannot read the messages: %s", error)
            self._failed = True
        finally:
            unfinished = list(self._pending)
            for task in unfinished:
                task.cancel()
            await asyncio.gather(*unfinished, return_exceptions=True)
        return not self._failed

    async def _publish_all(self, messages: AsyncIterator[bytes]) -> None:
        async for data in messages:
            await self._slots.acquire()
            if self._failed:
                break
            task = asyncio.ensure_future(self._publish(data))
            self._pending.add(task)
            task.add_done_callback(self._done)
        if self._pending:
            await asyncio.wait(self._pending)

    async def _publish(self, data: bytes) -> None:
        try:
            await self._client.publish(self._topic, data, self._qos, self._retain, **self._more)
            self._progress.count += 1
        except Exception as error:
            if not self._failed:
                logger.error("Publishing to '%s' failed: %r", self._topic, error)
            self._failed = True

    def _done(self, task: asyncio.Task[None]) -> None:
        self._pending.discard(task)
        self._slots.release()


@dataclass
class Requests:
    """Send each message as a request and print the response.

    Attributes:
        topic: topic name of the requests.
        qos: quality of service.
        timeout: seconds to wait for each response; None means without end.
        message_format: how to print a response; None means its payload and a newline.
        properties: properties of the requests.

    """

    topic: str
    qos: int = QOS_0
    timeout: float | None = None
    message_format: MessageFormat | None = None
    properties: dict[str, Any] = field(default_factory=dict)

    async def send(self, client: MQTTClient, messages: AsyncIterator[bytes]) -> None:
        """Send them one after the other.

        Args:
            client: a connected client.
            messages: the payloads.

        Raises:
            typer.Exit: no response came in time, or a request was refused; the error is printed.

        """
        async for data in messages:
            try:
                response = await client.request(  # type: ignore[attr-defined,unused-ignore]
                    self.topic,
                    data,
                    qos=self.qos,
                    timeout=self.timeout,
                    properties=self.properties or None,
                )
            except asyncio.TimeoutError:
                fail(f"No response in {self.timeout:g} seconds.", TIMED_OUT)
            except (ClientError, MQTTError, OSError, ValueError) as error:
                fail(f"The request failed: {explain(error)}")
            output = self.message_format
            printed = bytes(response.data) if output is None else output(response)
            _print(printed + b"\n")


def _print(data: bytes) -> None:
    """Write to the standard output, or end the command when that is not possible."""
    try:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    except OSError as error:
        discard(sys.stdout.buffer)
        if isinstance(error, BrokenPipeError):  # a reader that went away has what it wants
            raise typer.Exit from None
        fail(f"Cannot print the response: {error}")


@app.command(name="amqtt_pub", help="Publish messages to an MQTT broker.", cls=PropertyCommand)
def publisher_main(
    context: typer.Context,
    url: options.UrlOption = None,
    config_file: Annotated[
        str | None,
        typer.Option("-c", "--config-file", help="Configuration file of the client (YAML)."),
    ] = None,
    client_id: options.ClientIdOption = None,
    qos: options.QosOption = QOS_0,
    retain: Annotated[bool, typer.Option("-r", help="Retain the messages.")] = False,
    topic: Annotated[
        str, typer.Option("-t", "--topic", help="Topic to publish to.")
    ] = options.REQUIRED,
    message: Annotated[
        str | None, typer.Option("-m", "--message", help="Publish this message.")
    ] = None,
    file: Annotated[
        str | None, typer.Option("-f", "--file", help="Publish each line of a file; '-' is -l.")
    ] = None,
    stdin: Annotated[
        bool, typer.Option("-s", "--stdin", help="Publish all of the standard input.")
    ] = False,
    lines: Annotated[
        bool, typer.Option("-l", "--lines", help="Publish each line of the standard input.")
    ] = False,
    no_message: Annotated[
        bool, typer.Option("-n", "--no-message", help="Publish an empty message.")
    ] = False,
    repeat: Annotated[
        int, typer.Option("--repeat", min=1, help="Publish the message so often.")
    ] = 1,
    repeat_delay: Annotated[
        float, typer.Option("--repeat-delay", min=0, help="Seconds between the repetitions.")
    ] = 0.0,
    request: Annotated[
        bool, typer.Option("--request", help="Wait for a response and print it; needs MQTT 5.0.")
    ] = False,
    response_topic: Annotated[
        str | None,
        typer.Option("-e", "--response-topic", help="Topic for the response; needs MQTT 5.0."),
    ] = None,
    timeout: Annotated[
        float | None,
        typer.Option(
            "-W",
            "--timeout",
            min=0.001,
            help="Seconds to wait for each response; then the command ends with status 27.",
        ),
    ] = None,
    message_format: options.FormatOption = None,
    keep_alive: options.KeepAliveOption = None,
    clean_session: options.CleanSessionOption = False,
    ca_file: options.CaFileOption = None,
    ca_path: options.CaPathOption = None,
    ca_data: options.CaDataOption = None,
    will_topic: options.WillTopicOption = None,
    will_message: options.WillMessageOption = None,
    will_qos: options.WillQosOption = QOS_0,
    will_retain: options.WillRetainOption = False,
    extra_headers_json: options.ExtraHeadersOption = None,
    protocol_version: options.ProtocolVersionOption = None,
    properties: options.PropertyOption = None,
    session_expiry: options.SessionExpiryOption = None,
    unix: options.UnixOption = None,
    username: options.UsernameOption = None,
    password: options.PasswordOption = None,
    cert_file: options.CertOption = None,
    key_file: options.KeyOption = None,
    insecure: options.InsecureOption = False,
    tls_alpn: options.TlsAlpnOption = None,
    proxy: options.ProxyOption = None,
    debug: DebugOption = False,
    version: VersionOption = False,
) -> None:
    """Publish messages; the parameters are the options of the command line.

    Raises:
        typer.Exit: an option is wrong, or connecting or publishing failed (status 1), or no
            response came in time (status 27).

    """
    configure_logging(debug)
    source = MessageInput(message, file, stdin, lines, no_message, repeat, repeat_delay)
    source.check()
    check_qos("qos", qos)
    output = options.read_format(message_format)
    client_options = ClientOptions.of("amqtt_pub", context)
    config = client_options.load_config()
    more = client_options.properties_of("publish")
    if response_topic is not None:
        more.setdefault("properties", {})["response_topic"] = response_topic
    if (request or more) and protocol_version_of(config) != VERSION_5:
        fail("'--request' and '--response-topic' need MQTT 5.0: give '-V 5'.")
    if request and is_closed("stdout"):
        fail("Cannot print the responses: the standard output is closed")
    if request and retain:
        fail("A request ('--request') cannot be retained ('-r').")
    requests = Requests(topic, qos, timeout, output, more.get("properties", {}))

    async def publish() -> None:
        async with client_options.connected(config) as client:
            logger.info("%s Publishing to '%s'", printable(client.client_id), printable(topic))
            if request:
                await requests.send(client, source.messages())
                return
            publisher = Publisher(client, topic, qos, retain, **more)
            succeeded = await publisher.publish(source.messages())
        if not succeeded:
            fail("Publishing failed")

    run_until_signal(publish)


if __name__ == "__main__":
    main()
