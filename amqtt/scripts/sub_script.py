"""The command `amqtt_sub`: print messages."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import stat
import sys
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from amqtt.errors import AMQTTError, ClientError, MQTTError
from amqtt.mqtt.constants import QOS_0
from amqtt.scripts import _client_options as options
from amqtt.scripts._common import (
    DebugOption,
    VersionOption,
    configure_logging,
    explain,
    fail,
    make_app,
    run_until_signal,
)

if TYPE_CHECKING:
    from amqtt.client import MQTTClient

logger = logging.getLogger(__name__)

_REFUSED = 0x80
_FLUSH_SIZE = 64 * 1024

app = make_app()


def main() -> None:
    """Run the command."""
    app(prog_name="amqtt_sub")


class Output:
    """Write payloads, each with a newline; one flush for what arrives together.

    Must be made inside the task that writes, which is cancelled when the output fails between two
    writes.

    Args:
        stream: a binary stream that has a file descriptor.

    """

    def __init__(self, stream: BinaryIO) -> None:
        """Make an output that holds nothing."""
        self._stream = stream
        self._writer = asyncio.current_task()
        self._parts: list[bytes] = []
        self._size = 0
        self._flush_handle: asyncio.Handle | None = None
        self._watched: int | None = None
        self.error: OSError | None = None
        self._watch_reader()

    def write(self, payload: bytes) -> None:
        """Write a payload and a newline, at the latest when the event loop goes on.

        Args:
            payload: the bytes.

        Raises:
            OSError: the output cannot be written.

        """
        self._parts += (payload, b"\n")
        self._size += len(payload)
        if self._size >= _FLUSH_SIZE:
            self.flush()
        elif self._flush_handle is None:
            self._flush_handle = asyncio.get_running_loop().call_soon(self._flush_later)

    def flush(self) -> None:
        """Hand everything that was written to the system.

        Raises:
            OSError: the output cannot be written, now or before.

        """
        if self.error is not None:
            raise self.error
        data = b"".join(self._parts)
        self._parts.clear()
        self._size = 0
        try:
            self._stream.write(data)
            self._stream.flush()
        except OSError as error:
            self._fail(error)
            raise

    def close(self) -> None:
        """Stop watching the reader; what was written is not flushed."""
        if self._watched is not None:
            asyncio.get_running_loop().remove_reader(self._watched)
            self._watched = None

    def _watch_reader(self) -> None:
        """Notice the end of a pipe's reader without a message to write."""
        with contextlib.suppress(OSError, NotImplementedError):
            descriptor = self._stream.fileno()
            if stat.S_ISFIFO(os.fstat(descriptor).st_mode):
                # The write end of a pipe becomes readable by an error only: nobody reads any more.
                asyncio.get_running_loop().add_reader(descriptor, self._reader_went_away)
                self._watched = descriptor

    def _reader_went_away(self) -> None:
        self._fail(BrokenPipeError())
        self._cancel_writer()

    def _flush_later(self) -> None:
        self._flush_handle = None
        try:
            self.flush()
        except OSError:
            self._cancel_writer()

    def _cancel_writer(self) -> None:
        if self._writer is not None:
            self._writer.cancel()

    def _fail(self, error: OSError) -> None:
        self.error = error
        self.close()
        # The interpreter flushes what is left in its buffer when it exits.
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, self._stream.fileno())
        os.close(null)


async def print_messages(client: MQTTClient, max_count: int | None, stream: BinaryIO) -> bool:
    """Print what arrives; stop after a number of messages, or when the output fails.

    Args:
        client: a client with subscriptions.
        max_count: number of messages; None means without end.
        stream: where to print them.

    Returns:
        Whether the end was asked for: False when the connection was lost.

    Raises:
        OSError: the output cannot be written; a reader that went away is no error.

    """
    output = Output(stream)
    try:
        complete = await _copy_messages(client, output, max_count)
        output.flush()
    except (OSError, asyncio.CancelledError):
        if output.error is None:
            raise
    finally:
        output.close()
    if output.error is None:
        return complete
    if not isinstance(output.error, BrokenPipeError):
        raise output.error
    return True


async def _copy_messages(client: MQTTClient, output: Output, max_count: int | None) -> bool:
    count = 0
    while max_count is None or count < max_count:
        message = await client.deliver_message()
        if message is None:
            return False
        if message.data:
            output.write(bytes(message.data))
            count += 1
    return True


async def subscribe(client: MQTTClient, topics: list[str], qos: int) -> None:
    """Subscribe to all filters; only log those that the broker refuses.

    Args:
        client: a connected client.
        topics: topic filters.
        qos: quality of service.

    """
    codes = await client.subscribe([(topic, qos) for topic in topics])
    for topic, code in zip(topics, codes, strict=False):
        if code >= _REFUSED:
            logger.warning("The broker refused the subscription to '%s'", topic)
        else:
            logger.info("%s Subscribed to '%s'", client.client_id, topic)


async def keep_subscribed(client: MQTTClient, topics: list[str], qos: int) -> None:
    """Subscribe, and again whenever the client comes back to a broker without its session.

    Args:
        client: a connected client.
        topics: topic filters.
        qos: quality of service.

    """

    async def reconnected(session_present: bool) -> None:
        if not session_present:
            await subscribe(client, topics, qos)

    await subscribe(client, topics, qos)
    client.reconnected = reconnected


@app.command(name="amqtt_sub", help="Subscribe at an MQTT broker and print what arrives.")
def subscribe_main(
    url: options.UrlOption = None,
    config_file: Annotated[
        str | None, typer.Option("-c", help="Configuration file of the client (YAML).")
    ] = None,
    client_id: options.ClientIdOption = None,
    max_count: Annotated[
        int | None, typer.Option("-n", min=1, help="Stop after this number of messages.")
    ] = None,
    qos: options.QosOption = QOS_0,
    topics: Annotated[
        list[str], typer.Option("-t", help="Topic filter; may be given several times.")
    ] = options.REQUIRED,
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
    """Print messages; the parameters are the options of the command line.

    Raises:
        typer.Exit: an option is wrong, connecting or subscribing failed, or the connection was
            lost (status 1).

    """
    configure_logging(debug)
    client_options = options.ClientOptions(
        tool="amqtt_sub",
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
    options.check_qos("qos", qos)

    async def receive() -> None:
        async with client_options.connected(config) as client:
            try:
                await keep_subscribed(client, topics, qos)
                complete = await print_messages(client, max_count, sys.stdout.buffer)
            except (ClientError, MQTTError, AMQTTError, OSError, ValueError) as error:
                fail(explain(error))
        if not complete:
            fail("Connection lost")

    run_until_signal(receive)


if __name__ == "__main__":
    main()
