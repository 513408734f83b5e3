"""Listeners: what they need, and how they are opened."""

from __future__ import annotations

import asyncio
import errno
import functools
import ipaddress
import logging
import os
import socket
import ssl
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from amqtt._config.addresses import decode_zone
from amqtt._engine.tls import check_tls
from amqtt.contexts import BrokerConfig, ListenerConfig, ListenerType
from amqtt.errors import BrokerError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from amqtt._engine.types import BrokerEngine

logger = logging.getLogger("amqtt.broker")

DEFAULT_PORTS = {"tcp": 1883, "ws": 8883}
_UNIX = "unix:"

T = TypeVar("T")


def split_bind(text: str, default_port: int) -> tuple[str, int]:
    """Split `host:port`; brackets around an IPv6 address are kept.

    Args:
        text: the address, of which everything may be left out.
        default_port: the port when it is left out.

    Returns:
        Host and port; an empty host means all addresses.

    Raises:
        ValueError: the port is no number from 0 to 65535, or a bracket is missing.

    """
    if text.startswith("["):
        host, bracket, rest = text.partition("]")
        if not bracket:
            msg = f"']' is missing in bind address '{text}'"
            raise ValueError(msg)
        host, port = host + "]", rest.removeprefix(":")
    elif ":" in text:
        host, _, port = text.rpartition(":")
    elif text.isdigit():
        host, port = "", text
    else:
        host, port = text, ""
    if not port:
        return host, default_port
    if not port.isdigit() or int(port) > 65535:
        msg = f"bind address '{text}': the port must be a number from 0 to 65535"
        raise ValueError(msg)
    return host, int(port)


def check_listener(name: str, listener: ListenerConfig) -> None:
    """Check the address of a listener as far as that needs no socket.

    Args:
        name: name of the listener.
        listener: its configuration.

    Raises:
        BrokerError: it cannot be opened as it is configured.

    """
    if listener.bind is None or listener.type is ListenerType.EXTERNAL:
        return
    check_security(name, listener)
    if listener.bind.startswith(_UNIX):
        if listener.bind == _UNIX:
            msg = f"listener '{name}': bind '{_UNIX}' names no file"
            raise BrokerError(msg)
        return
    try:
        split_bind(listener.bind, DEFAULT_PORTS[listener.type])
    except ValueError as error:
        msg = f"listener '{name}': {error}"
        raise BrokerError(msg) from error


def inspect_listener(name: str, listener: ListenerConfig) -> list[str]:
    """Check what a listener needs of the system, without opening a socket: files and host names.

    Args:
        name: name of the listener.
        listener: its configuration, which `check_listener` accepts.

    Returns:
        Warnings: what may keep the broker from the start, or clients from connecting.

    Raises:
        BrokerError: it cannot be opened.

    """
    if listener.bind is None or listener.type is ListenerType.EXTERNAL:
        return []
    try:
        found = _check_address(listener)
        found += check_tls(tls_options(listener)) if listener.ssl else []
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        msg = f"listener '{name}' cannot bind to {listener.bind}: {reason}"
        raise BrokerError(msg) from error
    except ValueError as error:
        msg = f"listener '{name}': {error}"
        raise BrokerError(msg) from error
    return [f"listener '{name}': {each}" for each in found]


def _check_address(listener: ListenerConfig) -> list[str]:
    bind = listener.bind or ""
    if bind.startswith(_UNIX):
        folder = Path(bind.removeprefix(_UNIX)).parent
        # What starts the broker may make it.
        return [] if folder.is_dir() else [f"there is no folder {folder} for its socket"]
    host, port = split_bind(bind, DEFAULT_PORTS[listener.type])
    address = _address_of(host)
    if address:
        socket.getaddrinfo(address, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    return []


def _address_of(host: str) -> str:
    """Return the host of a bind address as the system takes it."""
    return decode_zone(host.strip("[]"))


def is_beyond_loopback(listener: ListenerConfig) -> bool:
    """Tell whether other machines may reach a listener."""
    if listener.bind is None or listener.type is ListenerType.EXTERNAL:
        return False
    if listener.bind.startswith(_UNIX):
        return False
    host = _address_of(split_bind(listener.bind, 0)[0])
    try:
        return not ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host != "localhost"


async def _in_thread(function: Callable[..., T], *args: Any) -> T:
    """Call a function of the engine in a thread, and return when it has ended.

    That holds for a caller that is cancelled, too: the engine must not be stopped meanwhile.
    """
    # Not a task: those are cancelled when the loop ends.
    call = asyncio.get_running_loop().run_in_executor(None, functools.partial(function, *args))
    cancelled = None
    while not call.done():
        try:
            await asyncio.wait((call,))
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        call.exception()  # of no interest any more
        raise cancelled
    return call.result()


async def open_listeners(
    engine: BrokerEngine, listeners: Mapping[str, ListenerConfig], config: BrokerConfig
) -> dict[str, list[tuple[str, int]]]:
    """Open all listeners.

    Args:
        engine: the engine that gets the connections.
        listeners: the listeners by name.
        config: has the limits that their connections are held to.

    Returns:
        Where each listens; those that are not to be opened are left out.

    Raises:
        BrokerError: the configuration is wrong.
        OSError: an address cannot be bound.

    """
    tolerated = [each.value for each in config.protocol.tolerate]
    addresses = {}
    for name, listener in listeners.items():
        if listener.bind is None:
            continue
        limits = {**config.limits.of_listener(listener.limits), "tolerate": tolerated}
        # Off the loop: a host name may have to be resolved.
        addresses[name] = await _in_thread(open_listener, engine, name, listener, limits)
        if listener.type is ListenerType.EXTERNAL:
            logger.info("Listener '%s' takes connections of the application", name)
        else:
            logger.info(
                "Listener '%s' bind to %s (max_connections=%d)",
                name,
                listener.bind,
                listener.max_connections,
            )
    return addresses


def open_listener(
    engine: BrokerEngine, name: str, listener: ListenerConfig, limits: dict[str, Any]
) -> list[tuple[str, int]]:
    """Bind a listener, unless it is external; it accepts when the engine has started.

    Args:
        engine: the engine that gets the connections.
        name: name of the listener.
        listener: its configuration.
        limits: what its connections are held to.

    Returns:
        Where it listens: host and port of every socket; of an external one there is none.

    Raises:
        BrokerError: the configuration is wrong.
        OSError: the address cannot be bound.

    """
    if listener.type is ListenerType.EXTERNAL:
        engine.listen_external(name=name, limits=limits)
        return []
    bind, host, port = listener.bind or "", "", 0
    is_unix = bind.startswith(_UNIX)
    if not is_unix:
        host, port = split_bind(bind, DEFAULT_PORTS[listener.type])
    try:
        return engine.listen(
            name=name,
            host=_address_of(host),
            port=port,
            unix_path=bind.removeprefix(_UNIX) if is_unix else "",
            unix_mode=int(listener.unix_mode, 8) if listener.unix_mode else None,
            max_connections=max(0, listener.max_connections),
            limits=limits,
            tls=tls_options(listener) if listener.ssl else None,
            websocket=(listener.ws_path or "", listener.ws_origins or [])
            if listener.type is ListenerType.WS
            else None,
            proxies=(listener.proxy_trusted or []) if listener.proxy_protocol else None,
        )
    except OSError as error:
        where = bind if is_unix else f"{bind} (port {port})"
        msg = f"listener '{name}' cannot bind to {where}: {_reason(error)}"
        # A host name that cannot be resolved has no number of an error of the system.
        raise (OSError(msg) if error.errno is None else OSError(error.errno, msg)) from error
    except ValueError as error:
        msg = f"listener '{name}': {error}"
        raise BrokerError(msg) from error


def _reason(error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return "address already in use"
    return os.strerror(error.errno) if error.errno else str(error)


def warn_of_strangers(
    listeners: Mapping[str, ListenerConfig],
    addresses: Mapping[str, list[tuple[str, int]]],
    takes_all_names: bool,
) -> None:
    """Log which listeners admit everyone who can reach them, from other machines as well.

    Args:
        listeners: the listeners by name.
        addresses: where they listen.
        takes_all_names: whether clients need a user name, which may be any.

    """
    names = " with any user name and any password" if takes_all_names else ""
    for name, listener in listeners.items():
        knows_clients = listener.ssl and listener.tls_require_client_certificate
        if is_beyond_loopback(listener) and not knows_clients:
            logger.warning(
                "Listener '%s' at %s admits everyone who can reach it%s. To keep it to this"
                " machine set listeners.%s.bind to '127.0.0.1:%d'; to ask for passwords"
                " replace AnonymousAuthPlugin in 'plugins' by"
                " 'amqtt.plugins.authentication.FileAuthPlugin: {password_file: FILE}'",
                name,
                listener.bind,
                names,
                name,
                addresses[name][0][1],
            )


def check_security(name: str, listener: ListenerConfig) -> None:
    """Check that a listener has what encryption and a proxy in front need.

    Args:
        name: name of the listener.
        listener: its configuration.

    Raises:
        BrokerError: something is missing.

    """
    has_keys = listener.tls_psk_file or listener.tls_psk_plugins
    has_secret = listener.certfile or listener.tls_certificates or has_keys
    if listener.ssl and not has_secret:
        msg = (
            f"listener '{name}': ssl is on, but 'certfile' and 'keyfile' are not set, and neither "
            "is 'tls_psk_file' or 'tls_psk_plugins'"
        )
        raise BrokerError(msg)
    is_unix = (listener.bind or "").startswith(_UNIX)
    if listener.proxy_protocol and not listener.proxy_trusted and not is_unix:
        msg = (
            f"listener '{name}': proxy_protocol is on, but 'proxy_trusted' names no proxy; set it "
            "to their addresses"
        )
        raise BrokerError(msg)


def tls_options(
    listener: ListenerConfig,
) -> dict[str, str | bool | list[tuple[str, str, list[str]]]]:
    """Return the options of TLS as the engine takes them.

    Args:
        listener: the configuration of a listener with `ssl`.

    Returns:
        Texts are empty for what is not set; `certificates` has the certificate file, the key file
        and the host names of each.

    """
    cafile, capath = listener.cafile, listener.capath
    names_authorities = bool(cafile or capath or listener.cadata)
    if not names_authorities:
        # Python knows where this system keeps them, whatever OpenSSL the engine came with.
        paths = ssl.get_default_verify_paths()
        cafile, capath = paths.cafile, paths.capath
    return {
        "certificates": [
            (str(each.certfile), str(each.keyfile), list(each.hostnames or []))
            for each in listener.certificates
        ],
        "psk_plugins": listener.tls_psk_plugins,
        "psk_file": str(listener.tls_psk_file or ""),
        "cafile": str(cafile or ""),
        "capath": str(capath or ""),
        "cadata": str(listener.cadata or ""),
        "crlfile": str(listener.crlfile or ""),
        "min_version": str(listener.tls_min_version),
        "ciphers": listener.tls_ciphers or "",
        "groups": listener.tls_groups or "",
        # Browsers give up a WebSocket where they are asked for a certificate.
        "request_client_certificate": names_authorities or listener.type is not ListenerType.WS,
        "require_client_certificate": listener.tls_require_client_certificate,
    }
