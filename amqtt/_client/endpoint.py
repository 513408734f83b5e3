"""What the engine is told of the way to a broker."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from amqtt._client.proxy import proxy_of
from amqtt._engine.tls import make_tls
from amqtt.errors import ClientError, ConnectError

if TYPE_CHECKING:
    from amqtt._client.uri import Target
    from amqtt.contexts import ClientConfig
    from amqtt.session import Session


logger = logging.getLogger("amqtt.client")


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
