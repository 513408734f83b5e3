"""What encryption and proxies in front need of a listener's configuration."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

from amqtt._config.listener import ListenerType
from amqtt.errors import BrokerError

if TYPE_CHECKING:
    from amqtt.contexts import ListenerConfig


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
    is_unix = (listener.bind or "").startswith("unix:")
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
