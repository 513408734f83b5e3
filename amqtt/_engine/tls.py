"""Certificates and keys that the engine reads."""

from __future__ import annotations

from typing import Any

from amqtt import _core


def make_tls(settings: dict[str, Any]) -> _core.ClientTls:
    """Read the certificates of a client; this may take long.

    Args:
        settings: the keys are those of cpp/bindings/client_settings.cpp.

    Returns:
        What a connection is given.

    Raises:
        ValueError: a file cannot be used; the text names it.

    """
    return _core.ClientTls(settings)


def check_tls(settings: dict[str, Any]) -> list[str]:
    """Read the certificates of a listener.

    Args:
        settings: the keys are those of cpp/bindings/broker_options.cpp.

    Returns:
        Warnings, such as of certificates that have expired.

    Raises:
        ValueError: a file cannot be used; the text names it.

    """
    return _core.check_tls(settings)
