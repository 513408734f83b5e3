"""URIs of brokers."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from amqtt.errors import ClientError

_DEFAULT_PORT = 1883
# Schemes of the contract whose transports the engine does not have yet.
_COMING_SCHEMES = ("mqtts", "ws", "wss")


@dataclass(frozen=True)
class Target:
    """Where a URI leads to."""

    host: str
    port: int
    username: str | None
    password: str | None


def parse_uri(uri: str) -> Target:
    """Take the URI of a broker apart.

    Args:
        uri: `mqtt://[user:password@]host[:port]`; user and password may be percent-encoded.

    Returns:
        Where it leads to.

    Raises:
        ClientError: the scheme is not supported, or there is no host.
        ValueError: the port is no number from 0 to 65535.

    """
    parts = urlsplit(uri)
    if parts.scheme in _COMING_SCHEMES:
        msg = f"Scheme '{parts.scheme}' of '{_hide_password(uri)}' is not available in this version"
        raise ClientError(msg)
    if parts.scheme != "mqtt" or not parts.hostname:
        msg = f"'{_hide_password(uri)}' is no URI of a broker: expected mqtt://host[:port]"
        raise ClientError(msg)
    return Target(
        host=parts.hostname,
        port=_DEFAULT_PORT if parts.port is None else parts.port,
        username=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password) if parts.password else None,
    )


def _hide_password(uri: str) -> str:
    parts = urlsplit(uri)
    return uri.replace(f":{parts.password}@", ":***@") if parts.password else uri
