"""Addresses as a configuration or a URI writes them."""

from __future__ import annotations

from urllib.parse import unquote


def decode_zone(host: str) -> str:
    """Return an address of a URI as the system takes it.

    Args:
        host: a host name or an address without brackets. The zone of an IPv6 address, which
            `%25` or `%` separates from it, is percent-encoded (RFC 6874).

    Returns:
        The host; the zone of an address is decoded and stands behind `%`.

    """
    address, percent, zone = host.partition("%")
    if not percent or ":" not in address:
        return host
    encoded = zone.removeprefix("25") or zone
    return f"{address}%{unquote(encoded)}"
