"""TLS with authorities between the root and a certificate: chains that are sent, and revocation."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from support.certificates import Authority, Certificate, joined
from support.endpoints import LIMIT
from support.serving import Serving, serving
from support.wire import CONNACK_ACCEPTED, connect

from amqtt.client import ConnectError, MQTTClient

ANYONE = {"plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {}}}


@dataclass(frozen=True)
class Chain:
    """A root authority, one that it has issued, and what that has issued.

    Attributes:
        root: whom everybody trusts.
        between: the authority that nobody knows unless told.
        server: certificate of the broker.
        client: certificate of a client.
        both: file with the certificates of both authorities.
        folder: the same as a folder for `capath`.

    """

    root: Authority
    between: Authority
    server: Certificate
    client: Certificate
    both: str
    folder: str

    def trusting(self, client: Certificate | None = None) -> ssl.SSLContext:
        """Return what a client needs that knows the root only."""
        context = ssl.create_default_context(cafile=self.root.cafile)
        if client is not None:
            context.load_cert_chain(client.certfile, client.keyfile)
        return context

    def listener(self) -> dict[str, Any]:
        """Return a listener whose certificate file has no authority."""
        own = {"certfile": self.server.certfile, "keyfile": self.server.keyfile}
        return {"ssl": True, **own, "cafile": self.both}

    def whole(self, tmp_path: Path) -> Certificate:
        """Return the client's certificate with that of its authority behind it."""
        file = joined(tmp_path / "whole.crt", self.client.certfile, self.between.cafile)
        return Certificate(file, self.client.keyfile)


@pytest.fixture(scope="session")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Chain:
    folder = tmp_path_factory.mktemp("chain")
    root = Authority(folder, "top")
    between = root.intermediate("between")
    hashed = folder / "hashed"
    hashed.mkdir()
    for each in (root, between):
        shutil.copy(each.cafile, hashed)
    subprocess.run(["openssl", "rehash", str(hashed)], check=True, capture_output=True)
    both = joined(folder / "both.crt", root.cafile, between.cafile)
    return Chain(root, between, between.server(), between.client("device"), both, str(hashed))


async def greets(broker: Serving, context: ssl.SSLContext, name: str = "localhost") -> None:
    reader, writer = await asyncio.open_connection(
        broker.host, broker.port, ssl=context, server_hostname=name
    )
    writer.write(connect("greeted"))
    try:
        assert await asyncio.wait_for(reader.readexactly(4), LIMIT) == CONNACK_ACCEPTED
    finally:
        writer.close()


async def turns_away(broker: Serving, context: ssl.SSLContext) -> str:
    """Return why, as the broker logs it."""
    with pytest.raises((ssl.SSLError, ConnectionError, asyncio.IncompleteReadError)):
        await greets(broker, context)
    return await broker.log.wait_for("TLS handshake failed")


def shown_certificates(broker: Serving) -> int:
    """Return how many certificates the broker sends."""
    command = ["openssl", "s_client", "-connect", f"{broker.host}:{broker.port}", "-showcerts"]
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, check=False
    )
    return done.stdout.count("BEGIN CERTIFICATE")


# -- the chain that is sent


@pytest.mark.parametrize("where", ["cafile", "capath", "cadata"])
async def test_the_chain_is_completed(where: str, chain: Chain) -> None:
    """A client that knows the root only accepts the certificate; the root is not sent."""
    known = {"cafile": chain.both, "capath": chain.folder, "cadata": Path(chain.both).read_text()}
    async with serving(chain.listener() | {"cafile": None, where: known[where]}) as broker:
        await greets(broker, chain.trusting())
        assert await asyncio.to_thread(shown_certificates, broker) == 2


async def test_what_the_certificate_file_has_is_sent_as_it_is(chain: Chain, tmp_path: Path) -> None:
    parts = (chain.server.certfile, chain.root.cafile, chain.between.cafile)
    file = joined(tmp_path / "all.crt", *parts)
    async with serving(chain.listener() | {"certfile": file}) as broker:
        await greets(broker, chain.trusting())
        assert await asyncio.to_thread(shown_certificates, broker) == 3


async def test_a_chain_of_several_authorities(chain: Chain, tmp_path: Path) -> None:
    """Of which the certificate file has one and the authorities have the other."""
    last = chain.between.intermediate("last")
    server = last.server("deep")
    file = joined(tmp_path / "deep.crt", server.certfile, last.cafile)
    own = {"certfile": file, "keyfile": server.keyfile}
    async with serving(chain.listener() | own) as broker:
        await greets(broker, chain.trusting())
        assert await asyncio.to_thread(shown_certificates, broker) == 3


async def test_certificates_of_several_hosts_and_keys_beside(chain: Chain, tmp_path: Path) -> None:
    other = chain.between.server("other", "DNS:other.example")
    (tmp_path / "keys").write_text("device:000102030405060708090a0b0c0d0e0f\n")
    entry = {"certfile": other.certfile, "keyfile": other.keyfile}
    more = {"tls_certificates": [entry], "tls_psk_file": str(tmp_path / "keys")}
    async with serving(chain.listener() | more) as broker:
        for name in ("localhost", "other.example"):
            await greets(broker, chain.trusting(), name)


async def test_files_that_change_keep_the_chain(chain: Chain, tmp_path: Path) -> None:
    files = Certificate(str(tmp_path / "a.crt"), str(tmp_path / "a.key"))
    shutil.copy(chain.server.certfile, files.certfile)
    shutil.copy(chain.server.keyfile, files.keyfile)
    cafile = tmp_path / "ca.crt"
    shutil.copy(chain.root.cafile, cafile)
    more = {"certfile": files.certfile, "keyfile": files.keyfile, "cafile": str(cafile)}
    async with serving(chain.listener() | more) as broker:
        with pytest.raises(ssl.SSLError):
            await greets(broker, chain.trusting())
        shutil.copy(chain.both, cafile)
        await broker.broker.reload_certificates()
        await greets(broker, chain.trusting())
        renewed = chain.between.server("renewed")
        shutil.copy(renewed.certfile, files.certfile)
        shutil.copy(renewed.keyfile, files.keyfile)
        await broker.log.wait_for("uses the changed TLS files")
        await greets(broker, chain.trusting())


@pytest.mark.parametrize("verifies", [True, False])
async def test_the_chain_of_a_client_is_completed(
    verifies: bool, chain: Chain, tmp_path: Path
) -> None:
    own = chain.client
    whole = joined(tmp_path / "server.crt", chain.server.certfile, chain.between.cafile)
    more = {"certfile": whole, "cafile": chain.root.cafile, "tls_require_client_certificate": True}
    async with serving(chain.listener() | more, **ANYONE) as broker:
        client = MQTTClient(
            config={
                "auto_reconnect": False,
                "verify_cert": verifies,
                "check_hostname": verifies,
                "connection": {"certfile": own.certfile, "keyfile": own.keyfile},
            }
        )
        await client.connect(f"mqtts://localhost:{broker.port}", cafile=chain.both)
        await client.disconnect()


# -- revocation


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_revoked_authority(version: ssl.TLSVersion, chain: Chain, tmp_path: Path) -> None:
    lists = (chain.root.revocations(chain.between.own), chain.between.revocations())
    more = {"crlfile": joined(tmp_path / "lists", *lists)}
    context = chain.trusting(chain.whole(tmp_path))
    context.minimum_version = context.maximum_version = version
    async with serving(chain.listener() | more) as broker:
        assert "certificate revoked" in await turns_away(broker, context)
        await greets(broker, chain.trusting())  # a client without a certificate


async def test_lists_of_some_authorities(chain: Chain, tmp_path: Path) -> None:
    """Only the authority of the client's own certificate must have one."""
    context = chain.trusting(chain.whole(tmp_path))
    of_root, of_between = chain.root.revocations(), chain.between.revocations()
    for crlfile in (of_between, joined(tmp_path / "lists", of_root, of_between)):
        async with serving(chain.listener() | {"crlfile": crlfile}) as broker:
            await greets(broker, context)
    async with serving(chain.listener() | {"crlfile": of_root}) as broker:
        assert "unable to get certificate CRL" in await turns_away(broker, context)
    revoked = chain.between.revocations(chain.client)
    async with serving(chain.listener() | {"crlfile": revoked}) as broker:
        assert "certificate revoked" in await turns_away(broker, context)


async def test_an_authority_whose_list_has_expired(chain: Chain, tmp_path: Path) -> None:
    lists = (chain.root.revocations(expired=True), chain.between.revocations())
    crlfile = joined(tmp_path / "lists", *lists)
    async with serving(chain.listener() | {"crlfile": crlfile}) as broker:
        warning = await broker.log.wait_for("the list of 'CN=top' expired on")
        assert warning.startswith(f"WARNING listener 'default': crlfile '{crlfile}': ")
        context = chain.trusting(chain.whole(tmp_path))
        assert "CRL has expired" in await turns_away(broker, context)


async def test_a_revoked_authority_of_a_broker(chain: Chain, tmp_path: Path) -> None:
    """The client refuses it, with the lists that it has."""

    async def connects(*lists: str) -> None:
        crlfile = joined(tmp_path / "lists", *lists)
        client = MQTTClient(config={"auto_reconnect": False, "connection": {"crlfile": crlfile}})
        await client.connect(f"mqtts://localhost:{broker.port}", cafile=chain.both)
        await client.disconnect()

    of_root, of_between = chain.root.revocations(), chain.between.revocations()
    async with serving(chain.listener(), **ANYONE) as broker:
        await connects(of_root, of_between)
        await connects(of_between)
        for revoked in (
            (chain.root.revocations(chain.between.own), of_between),
            (of_root, chain.between.revocations(chain.server)),
        ):
            with pytest.raises(ConnectError, match="certificate revoked"):
                await connects(*revoked)
        with pytest.raises(ConnectError, match="unable to get certificate CRL"):
            await connects(of_root)


# -- certificates that are not valid now


async def test_an_expired_certificate_is_a_warning(chain: Chain) -> None:
    old = chain.between.server("old", days=-1)
    own = {"certfile": old.certfile, "keyfile": old.keyfile}
    async with serving(chain.listener() | own) as broker:
        warning = await broker.log.wait_for("the certificate of 'CN=old' expired on")
        assert warning.startswith(f"WARNING listener 'default': certfile '{old.certfile}': ")
        await broker.broker.reload_certificates()
        await broker.log.wait_for("the certificate of 'CN=old' expired on")


async def test_an_expired_certificate_of_a_client(
    chain: Chain, caplog: pytest.LogCaptureFixture
) -> None:
    old = chain.between.client("old-device", days=-1)
    config = {
        "auto_reconnect": False,
        "connection": {"certfile": old.certfile, "keyfile": old.keyfile},
    }
    async with serving(chain.listener(), **ANYONE) as broker:
        client = MQTTClient(config=config)
        with contextlib.suppress(ConnectError):
            await client.connect(f"mqtts://localhost:{broker.port}", cafile=chain.both)
            await client.disconnect()
    assert f"certfile '{old.certfile}': the certificate of 'CN=old-device' expired" in caplog.text
