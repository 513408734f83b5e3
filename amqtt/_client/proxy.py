"""Which proxy a client uses."""

from __future__ import annotations

import ipaddress
import os
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from amqtt._config.addresses import decode_zone
from amqtt.errors import ClientError

if TYPE_CHECKING:
    from amqtt._client.uri import Target

# By scheme of the broker's URI: the variables that are looked for, the first that is set counts.
_VARIABLES = {
    "mqtt": ("all_proxy",),
    "mqtts": ("https_proxy", "all_proxy"),
    "ws": ("http_proxy", "all_proxy"),
    "wss": ("https_proxy", "all_proxy"),
}
_KINDS = {"http": ("http", 80), "socks5": ("socks5", 1080), "socks5h": ("socks5", 1080)}


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
    uri = _from_environment(target) if configured is None else configured
    return _parse(uri) if uri else None


def _from_environment(target: Target) -> str | None:
    if _is_loopback(target.host):
        return None
    for name in _VARIABLES[target.scheme]:
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


def _parse(uri: str) -> dict[str, Any]:
    parts = urlsplit(uri if "://" in uri else f"http://{uri}")
    if parts.scheme not in _KINDS or not parts.hostname:
        shown = uri.rpartition("@")[2]  # without the password
        msg = f"'{shown}' is no URI of a proxy: expected http://host:port or socks5://host:port"
        raise ClientError(msg)
    kind, port = _KINDS[parts.scheme]
    return {
        "kind": kind,
        "host": decode_zone(parts.hostname),
        "port": port if parts.port is None else parts.port,
        "username": unquote(parts.username or ""),
        "password": unquote(parts.password or ""),
    }
