"""URIs of brokers."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit, urlunsplit

from amqtt._config.addresses import decode_zone
from amqtt.errors import ClientError

_DEFAULT_PORTS = {"mqtt": 1883, "mqtts": 8883, "ws": 80, "wss": 443}
_UNIX = "unix"
_ENCRYPTED = ("mqtts", "wss")
_WEBSOCKET = ("ws", "wss")


@dataclass(frozen=True)
class Target:
    """Where a URI leads to.

    Attributes:
        scheme: `mqtt`, `mqtts`, `ws`, `wss` or `unix`.
        host: host name or address; empty for a Unix socket.
        port: port; 0 for a Unix socket.
        username: as in the URI, decoded.
        password: likewise.
        path: path and query of a WebSocket handshake, or the path of a Unix socket.
        uri: the URI; without user name and password where it names a web page.

    """

    scheme: str
    host: str
    port: int
    username: str | None
    password: str | None = field(repr=False)
    path: str
    uri: str = field(repr=False)

    @property
    def is_encrypted(self) -> bool:
        """Whether the connection is to use TLS."""
        return self.scheme in _ENCRYPTED

    @property
    def is_websocket(self) -> bool:
        """Whether MQTT is to travel in WebSocket frames."""
        return self.scheme in _WEBSOCKET

    @property
    def is_unix(self) -> bool:
        """Whether it leads to a Unix socket."""
        return self.scheme == _UNIX

    @property
    def authority(self) -> str:
        """The host, and the port if it is not the usual one, as a Host header names them."""
        # The zone says something on this machine only (RFC 6874, 4).
        host = f"[{self.host.partition('%')[0]}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS.get(self.scheme) else f"{host}:{self.port}"

    def __str__(self) -> str:
        """Name the broker in errors."""
        return self.path if self.is_unix else f"{self.host}:{self.port}"


def parse_uri(uri: str) -> Target:
    """Take the URI of a broker apart.

    Args:
        uri: `scheme://[user:password@]host[:port][/path]` with the scheme `mqtt`, `mqtts`, `ws` or
            `wss`, or `unix:///path`; user, password and the zone of an IPv6 address, as in
            `[fe80::1%25eth0]`, may be percent-encoded.

    Returns:
        Where it leads to.

    Raises:
        ClientError: the scheme is not supported, or there is no host.
        ValueError: the port is no number from 0 to 65535.

    """
    parts = urlsplit(uri)
    username = unquote(parts.username) if parts.username else None
    password = unquote(parts.password) if parts.password else None
    if parts.scheme == _UNIX and parts.path:
        return Target(_UNIX, "", 0, username, password, unquote(parts.path), uri)
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname:
        msg = (
            f"'{hide_password(uri)}' is no URI of a broker: expected scheme://host[:port] with "
            "the scheme mqtt, mqtts, ws or wss, or unix:///path"
        )
        raise ClientError(msg)
    path = ""
    if parts.scheme in _WEBSOCKET:
        path = urlunsplit(("", "", parts.path or "/", parts.query, ""))
        netloc = parts.netloc.rpartition("@")[2]
        uri = urlunsplit((parts.scheme, netloc, parts.path, parts.query, ""))
    port = _DEFAULT_PORTS[parts.scheme] if parts.port is None else parts.port
    return Target(parts.scheme, decode_zone(parts.hostname), port, username, password, path, uri)


def hide_password(uri: str) -> str:
    """Return a URI as it may be logged: with `***` in the place of its password.

    Args:
        uri: the URI; it need not be a valid one.

    """
    before, at, behind = uri.rpartition("@")
    if not at:
        return uri
    scheme = before[: before.find("//") + 2] if "//" in before else ""
    name, colon, _ = before.removeprefix(scheme).partition(":")
    return f"{scheme}{name}:***@{behind}" if colon else uri
