"""The way to a broker: its URI, the proxy before it, and what the engine is told of them."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit, urlunsplit

from amqtt._config.addresses import decode_zone
from amqtt._engine.tls import make_tls
from amqtt.errors import ClientError, ConnectError

if TYPE_CHECKING:
    from amqtt.contexts import ClientConfig
    from amqtt.session import Session

logger = logging.getLogger("amqtt.client")

_DEFAULT_PORTS = {"mqtt": 1883, "mqtts": 8883, "ws": 80, "wss": 443}
_UNIX = "unix"
_ENCRYPTED = ("mqtts", "wss")
_WEBSOCKET = ("ws", "wss")
# By scheme of the broker's URI: the variables that are looked for, the first that is set counts.
_PROXY_VARIABLES = {
    "mqtt": ("all_proxy",),
    "mqtts": ("https_proxy", "all_proxy"),
    "ws": ("http_proxy", "all_proxy"),
    "wss": ("https_proxy", "all_proxy"),
}
_PROXY_KINDS = {"http": ("http", 80), "socks5": ("socks5", 1080), "socks5h": ("socks5", 1080)}


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


def proxy_of(target: Target, configured: str | None) -> dict[str, Any] | None:
    """Find the proxy that a connection is to go through.

    Args:
        target: where the broker is.
        configured: URI of the proxy, empty for none; None means what the environment says, which
            is never asked for a broker on this machine.

    Returns:
        What the engine has to be given; None for a direct connection.

    Raises:
        ClientError: the URI of the proxy is wrong.

    """
    if target.is_unix:
        return None
    uri = _proxy_from_environment(target) if configured is None else configured
    return _parse_proxy(uri) if uri else None


def _proxy_from_environment(target: Target) -> str | None:
    if _is_loopback(target.host):
        return None
    for name in _PROXY_VARIABLES[target.scheme]:
        uri = os.environ.get(name) or os.environ.get(name.upper())
        if uri:
            from urllib.request import proxy_bypass  # slow, and few have a proxy

            bypass = proxy_bypass(f"{target.host}:{target.port}")
            return None if bypass or proxy_bypass(target.host) else uri
    return None


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _parse_proxy(uri: str) -> dict[str, Any]:
    parts = urlsplit(uri if "://" in uri else f"http://{uri}")
    if parts.scheme not in _PROXY_KINDS or not parts.hostname:
        shown = uri.rpartition("@")[2]  # without the password
        msg = f"'{shown}' is no URI of a proxy: expected http://host:port or socks5://host:port"
        raise ClientError(msg)
    kind, port = _PROXY_KINDS[parts.scheme]
    return {
        "kind": kind,
        "host": decode_zone(parts.hostname),
        "port": port if parts.port is None else parts.port,
        "username": unquote(parts.username or ""),
        "password": unquote(parts.password or ""),
    }


def direct_endpoint(host: str, port: int) -> dict[str, Any]:
    """Return the endpoint of a plain TCP connection."""
    return {
        "host": host,
        "port": port,
        "unix_path": "",
        "tls": None,
        "websocket": None,
        "proxy": None,
    }


def engine_settings(endpoint: dict[str, Any], **changed: Any) -> dict[str, Any]:
    """Return what the engine is given to connect, with the defaults of MQTT 3.1.1.

    Args:
        endpoint: the way to the broker.
        changed: what is different from the defaults; the keys are those of
            cpp/bindings/client_settings.cpp.

    """
    return {
        "endpoint": endpoint,
        "protocol_version": 4,
        "client_id": "",
        "clean_session": True,
        "forget_session": False,
        "keep_alive": 0,
        "ping_after": 0,
        "user_name": None,
        "password": None,
        "will": None,
        "properties": None,
        "manual_acknowledgement": False,
        "send_maximum": 65535,
        "qos2_maximum": 65535,
        "watch_packets": False,
        "receive_messages": 0,
        "receive_bytes": 0,
        **changed,
    }


async def endpoint_of(
    target: Target, session: Session, config: ClientConfig, headers: dict[str, Any]
) -> dict[str, Any]:
    """Describe the way to a broker.

    Args:
        target: where the broker is.
        session: has the files of certificates.
        config: the configuration of the client.
        headers: additional ones of a WebSocket handshake.

    Returns:
        What the engine has to be given.

    Raises:
        ClientError: the TLS options contradict each other, or the proxy's URI is wrong.
        ConnectError: a file of certificates or keys cannot be used.

    """
    endpoint = direct_endpoint(target.host, target.port)
    if target.is_unix:
        endpoint["unix_path"] = target.path
    if target.is_encrypted:
        endpoint["tls"] = await _tls_of(session, config)
    if target.is_websocket:
        endpoint["websocket"] = {
            "host": target.authority,
            "target": target.path,
            "headers": [(str(name), str(value)) for name, value in headers.items()],
        }
    endpoint["proxy"] = proxy_of(target, config.connection.proxy)
    return endpoint


async def _tls_of(session: Session, config: ClientConfig) -> Any:
    import ssl  # takes long, and is needed for encrypted connections only

    verify = config.verify_cert is not False
    if not verify and config.check_hostname:
        msg = "verify_cert=False needs check_hostname=False: names of unverified hosts say nothing"
        raise ClientError(msg)
    connection = config.connection
    defaults = ssl.get_default_verify_paths()
    settings = {
        "cafile": str(session.cafile or ""),
        "capath": str(session.capath or ""),
        "cadata": _pem(session.cadata),
        "crlfile": str(connection.crlfile or ""),
        "default_cafile": defaults.cafile or "",
        "default_capath": defaults.capath or "",
        "certfile": str(connection.certfile or ""),
        "keyfile": str(connection.keyfile or ""),
        "check_hostname": config.check_hostname is not False,
        "verify": verify,
        "alpn": connection.alpn or "",
    }
    try:
        # Reads files, and parses a hundred certificates of authorities.
        made = await asyncio.get_running_loop().run_in_executor(None, make_tls, settings)
    except ValueError as error:
        raise ConnectError(str(error)) from error
    for each in made.warnings:
        logger.warning("%s", each)
    return made


def _pem(data: str | bytes | None) -> str:
    return data.decode("ascii") if isinstance(data, bytes) else data or ""
