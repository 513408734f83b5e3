"""The command `amqtt_pub`: publish messages."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from amqtt.mqtt.constants import QOS_0
from amqtt.scripts import _client_options as options
from amqtt.scripts._common import (
    DebugOption,
    VersionOption,
    configure_logging,
    fail,
    make_app,
    run_until_signal,
)
from amqtt.scripts._message_source import read_lines, read_lines_of, read_whole, single

if TYPE_CHECKING:
    from amqtt.client import MQTTClient

logger = logging.getLogger(__name__)

MAX_PUBLISHES_IN_FLIGHT = 1000

app = make_app()


def main() -> None:
    """Run the command."""
    app(prog_name="amqtt_pub")


@dataclass
class MessageInput:
    """Say where the messages come from; exactly one attribute is set.

    Attributes:
        message_str: one message.
        file: path of a file; each line is a message.
        stdin: all of the standard input is one message.
        lines: each line of the standard input is a message.
        no_message: one empty message.

    """

    message_str: str | None = None
    file: str | None = None
    stdin: bool | None = False
    lines: bool | None = False
    no_message: bool | None = False

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
        if self.file:
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
            return single(self.message_str.encode("utf-8", "surrogateescape"))
        if self.file:
            return read_lines_of(self.file)
        if self.stdin:
            return read_whole()
        if self.lines:
            return read_lines()
        return single(b"")


class Publisher:
    """Publish messages to one topic, many at a time.

    Args:
        client: a connected client.
        topic: topic name.
        qos: quality of service.
        retain: the retain flag.

    """

    def __init__(self, client: MQTTClient, topic: str, qos: int, retain: bool) -> None:
        """Make a publisher that has published nothing."""
        self._client = client
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
            async for data in messages:
                await self._slots.acquire()
                if self._failed:
                    break
                task = asyncio.ensure_future(self._publish(data))
                self._pending.add(task)
                task.add_done_callback(self._done)
            if self._pending:
                await asyncio.wait(self._pending)
        except (OSError, ValueError) as error:
            logger.error("Cannot read the messages: %s", error)
            self._failed = True
        finally:
            unfinished = list(self._pending)
            for task in unfinished:
                task.cancel()
            await asyncio.gather(*unfinished, return_exceptions=True)
        return not self._failed

    async def _publish(self, data: bytes) -> None:
        try:
            await self._client.publish(self._topic, data, self._qos, self._retain)
        except Exception as error:
            if not self._failed:
                logger.error("Publishing to '%s' failed: %r", self._topic, error)
            self._failed = True

    def _done(self, task: asyncio.Task[None]) -> None:
        self._pending.discard(task)
        self._slots.release()


@app.command(name="amqtt_pub", help="Publish messages to an MQTT broker.")
def publisher_main(
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
        str | None, typer.Option("-f", "--file", help="Publish each line of a file.")
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
    debug: DebugOption = False,
    version: VersionOption = False,  # noqa: ARG001  # its callback ends the command
) -> None:
    """Publish messages; the parameters are the options of the command line.

    Raises:
        typer.Exit: an option is wrong, or connecting or publishing failed (status 1).

    """
    configure_logging(debug)
    source = MessageInput(message, file, stdin, lines, no_message)
    source.check()
    options.check_qos("qos", qos)
    client_options = options.ClientOptions(
        tool="amqtt_pub",
        config_file=config_file,
        client_id=client_id,
        keep_alive=keep_alive,
        url=url,
        clean_session=clean_session,
        ca_file=ca_file,
        ca_path=ca_path,
        ca_data=ca_data,
        will_topic=will_topic,
        will_message=will_message,
        will_qos=will_qos,
        will_retain=will_retain,
        extra_headers_json=extra_headers_json,
    )
    config = client_options.load_config()

    async def publish() -> None:
        async with client_options.connected(config) as client:
            logger.info("%s Publishing to '%s'", client.client_id, topic)
            succeeded = await Publisher(client, topic, qos, retain).publish(source.messages())
        if not succeeded:
            fail("Publishing failed")

    run_until_signal(publish)


if __name__ == "__main__":
    main()
