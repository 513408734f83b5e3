"""URIs of brokers."""

from __future__ import annotations

import pytest

from amqtt._broker.listening import is_beyond_loopback, split_bind
from amqtt._client.endpoint import decode_zone, parse_uri, proxy_of
from amqtt.contexts import ListenerConfig


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("fe80::1%25lo", "fe80::1%lo"),
        ("fe80::1%lo", "fe80::1%lo"),
        ("fe80::1%25eth%2D0", "fe80::1%eth-0"),
        ("fe80::1%25", "fe80::1%25"),  # the interface with the number 25
        ("fe80::1", "fe80::1"),
        ("example.org", "example.org"),
        ("a%25b", "a%25b"),
    ],
)
def test_zones(host: str, expected: str) -> None:
    assert decode_zone(host) == expected


@pytest.mark.parametrize("zone", ["%25lo", "%lo"])
def test_an_address_with_a_zone(zone: str) -> None:
    target = parse_uri(f"ws://user:secret@[fe80::1{zone}]:8080/mqtt")
    assert (target.host, target.port) == ("fe80::1%lo", 8080)
    # What another machine is told has no zone (RFC 6874, 4).
    assert target.authority == "[fe80::1]:8080"
    proxy = proxy_of(target, f"socks5://[fe80::2{zone}]:1080")
    assert proxy is not None
    assert proxy["host"] == "fe80::2%lo"


def test_a_zone_in_a_bind_address() -> None:
    assert split_bind("[fe80::1%25lo]:1884", 1883) == ("[fe80::1%25lo]", 1884)
    assert is_beyond_loopback(ListenerConfig(bind="[fe80::1%25eth0]:1883"))
    assert not is_beyond_loopback(ListenerConfig(bind="[::1%251]:1883"))
