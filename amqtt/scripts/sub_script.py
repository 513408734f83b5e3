"""The command `amqtt_sub`: print messages."""

from __future__ import annotations

import asyncio
import logging
import sys
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO

import typer

from amqtt._compat import wait_for
from amqtt.errors import AMQTTError, ClientError, MQTTError
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
from amqtt.scripts._output import Output
from amqtt.scripts._properties import PropertyCommand
from amqtt.scripts._received import Received, Responder
from amqtt.scripts._streams import is_closed

if TYPE_CHECKING:
    from amqtt.client import MQTTClient

logger = logging.getLogger(__name__)

_REFUSED = 0x80
_RETAIN_HANDLING = {"always": 0, "new": 1, "never": 2}

app = make_app()


def main() -> None:
    """Run the command."""
    run_app(app, "amqtt_sub")


async def print_messages(
    client: MQTTClient,
    max_count: int | None,
    stream: BinaryIO,
    received: Received | None = None,
) -> bool:
    """Print what arrives; stop after a number of messages, or when the output fails.

    Args:
        client: a client with subscriptions.
        max_count: number of messages; None means without end.
        stream: where to print them.
        received: what to print of them; None means the payloads.

    Returns:
        Whether the end was asked for: False when the connection was lost.

    Raises:
        OSError: the output cannot be written; a reader that went away is no error.

    """
    received = received or Received()
    output = Output(stream, received.end)
    try:
        complete = await _copy_messages(client, output, max_count, received)
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


async def _copy_messages(
    client: MQTTClient, output: Output, max_count: int | None, received: Received
) -> bool:
    count = 0
    while max_count is None or count < max_count:
        message = await client.deliver_message()
        if message is None:
            return False
        if received.is_end(message):
            return True
        printed = received.print(message)
        if printed is not None:
            output.write(printed)
            count += 1
        if received.is_to_be_removed(message):
            await client.publish(message.topic, b"", QOS_0, True)
        if received.responder is not None:
            await received.responder.respond(client, message)
    return True


async def subscribe(client: MQTTClient, topics: list[Any], qos: int, **more: Any) -> None:
    """Subscribe to all filters; only log those that the broker refuses.

    Args:
        client: a connected client.
        topics: topic filters, or the `Subscription` of a filter.
        qos: quality of service, for filters.
        more: further arguments of `MQTTClient.subscribe`.

    """
    filters = [(topic, qos) if isinstance(topic, str) else topic for topic in topics]
    codes = await client.subscribe(filters, **more)
    for wanted, code in zip(filters, codes, strict=False):
        topic = wanted[0] if isinstance(wanted, tuple) else wanted.topic
        if code >= _REFUSED:
            logger.warning("The broker refused the subscription to '%s'", printable(topic))
        else:
            logger.info("%s Subscribed to '%s'", printable(client.client_id), printable(topic))


async def keep_subscribed(client: MQTTClient, topics: list[Any], qos: int, **more: Any) -> None:
    """Subscribe, and again whenever the client comes back to a broker without its session.

    Args:
        client: a connected client.
        topics: topic filters, or the `Subscription` of a filter.
        qos: quality of service, for filters.
        more: further arguments of `MQTTClient.subscribe`.

    """

    async def reconnected(session_present: bool) -> None:
        if not session_present:
            await subscribe(client, topics, qos, **more)

    await subscribe(client, topics, qos, **more)
    client.reconnected = reconnected


def _subscriptions(
    topics: list[str], qos: int, no_local: bool, as_published: bool, handling: str | None
) -> list[Any]:
    """Return what to subscribe to: filters, or with options of MQTT 5.0 what holds those."""
    if not (no_local or as_published or handling):
        return list(topics)
    from amqtt.client import Subscription  # type: ignore[attr-defined,unused-ignore]

    number = _RETAIN_HANDLING[handling or "always"]
    return [Subscription(topic, qos, no_local, as_published, number) for topic in topics]


def _check_retain_handling(value: str | None) -> str | None:
    if value is not None and value not in _RETAIN_HANDLING:
        msg = f"'{value}' is none of {', '.join(_RETAIN_HANDLING)}."
        raise typer.BadParameter(msg)
    return value


@app.command(
    name="amqtt_sub",
    help="Subscribe at an MQTT broker and print what arrives.",
    cls=PropertyCommand,
)
def subscribe_main(
    context: typer.Context,
    url: options.UrlOption = None,
    config_file: Annotated[
        str | None, typer.Option("-c", help="Configuration file of the client (YAML).")
    ] = None,
    client_id: options.ClientIdOption = None,
    max_count: Annotated[
        int | None, typer.Option("-n", "-C", min=1, help="Stop after this number of messages.")
    ] = None,
    qos: options.QosOption = QOS_0,
    topics: Annotated[
        list[str], typer.Option("-t", help="Topic filter; may be given several times.")
    ] = options.REQUIRED,
    filter_out: Annotated[
        list[str] | None,
        typer.Option("-T", "--filter-out", help="Print nothing of the topics of this filter."),
    ] = None,
    unsubscribed: Annotated[
        list[str] | None,
        typer.Option(
            "-U",
            "--unsubscribe",
            help="Remove a subscription of the session; may be given several times.",
        ),
    ] = None,
    timeout: Annotated[
        float | None,
        typer.Option(
            "-W",
            "--timeout",
            min=0.001,
            help="End after this number of seconds, with status 27.",
        ),
    ] = None,
    exit_after_subscribe: Annotated[
        bool, typer.Option("-E", help="End as soon as the broker has answered the subscriptions.")
    ] = False,
    message_format: options.FormatOption = None,
    verbose: Annotated[
        bool, typer.Option("-v", "--verbose", help="Print the topic before the payload.")
    ] = False,
    no_newline: Annotated[
        bool, typer.Option("-N", help="Print no newline behind a message.")
    ] = False,
    no_retained: Annotated[
        bool, typer.Option("-R", help="Print no messages that were retained.")
    ] = False,
    retained_only: Annotated[
        bool,
        typer.Option("--retained-only", help="End at the first message that was not retained."),
    ] = False,
    remove_retained: Annotated[
        bool,
        typer.Option("--remove-retained", help="Let the broker forget retained messages."),
    ] = False,
    retain_as_published: Annotated[
        bool,
        typer.Option("--retain-as-published", help="Keep the retain flag; needs MQTT 5.0."),
    ] = False,
    retain_handling: Annotated[
        str | None,
        typer.Option(
            "--retain-handling",
            callback=_check_retain_handling,
            help="When to get retained messages: always, new or never; needs MQTT 5.0.",
        ),
    ] = None,
    no_local: Annotated[
        bool, typer.Option("--no-local", help="Get no messages of this client; needs MQTT 5.0.")
    ] = False,
    respond: Annotated[
        str | None,
        typer.Option("--respond", help="Answer requests, with this format; needs MQTT 5.0."),
    ] = None,
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
    """Print messages; the parameters are the options of the command line.

    Raises:
        typer.Exit: an option is wrong, connecting or subscribing failed, or the connection was
            lost (status 1), or the time of `-W` is over (status 27).

    """
    configure_logging(debug)
    if is_closed("stdout") and not exit_after_subscribe:
        fail("Cannot print the messages: the standard output is closed")
    received = Received(
        output_format=options.read_format(message_format),
        verbose=verbose,
        end=b"" if no_newline else b"\n",
        filter_out=tuple(filter_out or ()),
        no_retained=no_retained,
        retained_only=retained_only,
        remove_retained=remove_retained,
    )
    if (response := options.read_format(respond)) is not None:
        received.responder = Responder(response, qos)
    client_options = ClientOptions.of("amqtt_sub", context)
    config = client_options.load_config()
    check_qos("qos", qos)
    of_version_5 = (retain_as_published, retain_handling, no_local, respond is not None)
    if any(of_version_5) and protocol_version_of(config) != VERSION_5:
        fail(
            "'--retain-as-published', '--retain-handling', '--no-local' and '--respond' need "
            "MQTT 5.0: give '-V 5'."
        )
    more = client_options.properties_of("subscribe")

    async def receive(client: MQTTClient) -> bool:
        if unsubscribed:
            await client.unsubscribe(unsubscribed, **client_options.properties_of("unsubscribe"))
        wanted = _subscriptions(topics, qos, no_local, retain_as_published, retain_handling)
        await keep_subscribed(client, wanted, qos, **more)
        if exit_after_subscribe:
            return True
        return await print_messages(client, max_count, sys.stdout.buffer, received)

    async def connect_and_receive() -> None:
        async with client_options.connected(config) as client:
            try:
                complete = await wait_for(receive(client), timeout)
            except asyncio.TimeoutError:
                raise typer.Exit(TIMED_OUT) from None
            except (ClientError, MQTTError, AMQTTError, OSError, ValueError) as error:
                fail(explain(error))
        if not complete:
            fail("Connection lost")

    run_until_signal(connect_and_receive)


if __name__ == "__main__":
    main()
