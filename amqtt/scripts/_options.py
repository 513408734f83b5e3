"""The declarations of the options that `amqtt_pub` and `amqtt_sub` share."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from amqtt.scripts._client_options import NEVER, PROTOCOL_VERSIONS
from amqtt.scripts._message_format import FormatError, MessageFormat

REQUIRED: Any = ...
"""The default of an option that has none."""


def _check_version(value: str | None) -> str | None:
    if value is not None and value not in PROTOCOL_VERSIONS:
        msg = f"'{value}' is none of {', '.join(PROTOCOL_VERSIONS)}."
        raise typer.BadParameter(msg)
    return value


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
ProtocolVersionOption = Annotated[
    str | None,
    typer.Option(
        "-V",
        "--protocol-version",
        help="Version of MQTT: 31, 311 or 5; else configured.",
        callback=_check_version,
    ),
]
PropertyOption = Annotated[
    list[str] | None,
    typer.Option(
        "-D",
        "--property",
        metavar="<command name value>",
        help="Property of MQTT 5.0, as 'publish content-type text/plain', or "
        "'publish user-property KEY VALUE'; may be given several times.",
    ),
]
SessionExpiryOption = Annotated[
    int | None,
    typer.Option(
        "-x",
        "--session-expiry-interval",
        min=-1,
        max=NEVER,
        help="Seconds that the broker keeps the session after the end, in MQTT 5.0; -1: for ever.",
    ),
]
UnixOption = Annotated[
    str | None, typer.Option("--unix", help="Path of the broker's Unix socket, without '--url'.")
]
UsernameOption = Annotated[
    str | None, typer.Option("-u", "--username", help="User name, if it is not in the URL.")
]
PasswordOption = Annotated[
    str | None, typer.Option("-P", "--pw", help="Password, if it is not in the URL.")
]
CertOption = Annotated[
    str | None, typer.Option("--cert", help="File of the client's certificate; needs '--key'.")
]
KeyOption = Annotated[
    str | None, typer.Option("--key", help="File of the key of the client's certificate.")
]
InsecureOption = Annotated[
    bool, typer.Option("--insecure", help="Do not compare the broker's name with its certificate.")
]
TlsAlpnOption = Annotated[
    str | None, typer.Option("--tls-alpn", help="Protocol to name in the TLS handshake (ALPN).")
]
ProxyOption = Annotated[
    str | None,
    typer.Option("--proxy", help="Proxy, as http://HOST:port or socks5://HOST:port; '' for none."),
]
FormatOption = Annotated[
    str | None,
    typer.Option(
        "-F", "--format", help="How to print a message: %t topic, %p payload, %j JSON and others."
    ),
]


def read_format(text: str | None) -> MessageFormat | None:
    """Understand the option `-F`.

    Args:
        text: its value.

    Returns:
        The format; None without the option.

    Raises:
        typer.BadParameter: the format is wrong.

    """
    if text is None:
        return None
    try:
        return MessageFormat(text)
    except FormatError as error:
        raise typer.BadParameter(str(error), param_hint="'-F' / '--format'") from error
