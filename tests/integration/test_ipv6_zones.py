"""Addresses of IPv6 with a zone, in what the broker binds and the client connects to."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from support.certificates import Authority, have_openssl
from support.client import connected, make_client
from support.serving import serving

from amqtt.client import ConnectError

ANYONE = {"plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {}}}


@pytest.fixture
def loopback() -> str:
    """The loopback address with its interface, by number: it is not link-local."""
    try:
        number = socket.if_nametoindex("lo")
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0, 0, number))
    except OSError:
        pytest.skip("the system has no IPv6 on an interface lo")
    return f"[::1%25{number}]"


async def test_broker_and_client(loopback: str) -> None:
    async with serving({"bind": f"{loopback}:0"}, **ANYONE) as there:
        for host in (loopback, loopback.replace("%25", "%")):
            async with connected(make_client(), f"mqtt://{host}:{there.port}") as client:
                assert client.session is not None


@pytest.mark.skipif(not have_openssl(), reason="the command openssl is missing")
async def test_the_certificate_is_for_the_address_without_zone(
    loopback: str, tmp_path: Path
) -> None:
    authority = Authority(tmp_path, "zones")
    here, elsewhere = authority.server(), authority.server("other", "IP:::2")
    for own, is_trusted in ((here, True), (elsewhere, False)):
        listener = {"ssl": True, "certfile": own.certfile, "keyfile": own.keyfile}
        async with serving({"bind": f"{loopback}:0", **listener}, **ANYONE) as there:
            uri = f"mqtts://{loopback}:{there.port}"
            if is_trusted:
                async with connected(make_client(), uri, cafile=authority.cafile) as client:
                    assert client.session is not None
            else:
                with pytest.raises(ConnectError, match="IP address mismatch"):
                    await make_client().connect(uri, cafile=authority.cafile)
