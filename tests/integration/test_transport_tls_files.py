"""TLS: several certificates, revocation lists, and files that change while the broker runs."""

from __future__ import annotations

import asyncio
import shutil
import signal
import socket
import ssl
from pathlib import Path

import pytest
from support.certificates import Certificate
from support.endpoints import LIMIT, Trust
from support.process import BrokerProcess
from support.serving import Serving, der, serving
from support.wire import CONNACK_ACCEPTED, PINGREQ, PINGRESP, connect

from amqtt.broker import Broker
from amqtt.contexts import CertificateConfig, ListenerConfig
from amqtt.errors import BrokerError

USES_CHANGED = "listener 'default' uses the changed TLS files"


@pytest.fixture
def files(trust: Trust, tmp_path: Path) -> Certificate:
    """Copies of the server's certificate and key, to be replaced."""
    copy = Certificate(str(tmp_path / "server.crt"), str(tmp_path / "server.key"))
    replace(copy, trust.server)
    return copy


def replace(files: Certificate, by: Certificate) -> None:
    """Put others in the place of files, as a client of an authority does: by renaming."""
    pairs = ((files.certfile, by.certfile), (files.keyfile, by.keyfile))
    for old, new in pairs:
        shutil.copy(new, old + ".new")
        Path(old + ".new").rename(old)


def listener(files: Certificate, **more: object) -> dict[str, object]:
    return {"ssl": True, "certfile": files.certfile, "keyfile": files.keyfile, **more}


def entry(files: Certificate, *hostnames: str) -> dict[str, object]:
    names = {"hostnames": list(hostnames)} if hostnames else {}
    return {"certfile": files.certfile, "keyfile": files.keyfile, **names}


# -- several certificates


async def test_the_certificate_of_the_host_that_is_asked_for(trust: Trust) -> None:
    a = trust.authority.server("a", "DNS:a.example,DNS:*.wild.example,IP:127.0.0.1")
    b = trust.authority.server("b", "")
    options = {"tls_certificates": [entry(a), entry(b, "B.example.", "*.b.example")]}
    async with serving(trust.listener() | options) as broker:
        for name, expected in {
            "localhost": trust.server,
            "a.example": a,
            "A.EXAMPLE": a,
            "x.wild.example": a,
            "b.example": b,
            "x.b.example": b,
            # What nobody is for gets the first.
            "wild.example": trust.server,
            "x.y.wild.example": trust.server,
            "unknown.example": trust.server,
            "127.0.0.1": trust.server,  # an address is no name: the client sends none
        }.items():
            for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
                found = await broker.certificate(
                    trust, name, minimum_version=version, maximum_version=version
                )
                assert found == der(expected.certfile), (name, version)


async def test_certificates_of_two_kinds_for_one_name(trust: Trust) -> None:
    """The client's cipher suites decide."""
    rsa = trust.authority.server("rsa", "DNS:localhost", "rsa")
    async with serving(trust.listener() | {"tls_certificates": [entry(rsa)]}) as broker:
        for suite, expected in (("ECDHE-RSA", rsa), ("ECDHE-ECDSA", trust.server)):
            context = trust.context(maximum_version=ssl.TLSVersion.TLSv1_2)
            context.set_ciphers(f"{suite}-AES128-GCM-SHA256")
            _, writer = await asyncio.open_connection(
                broker.host, broker.port, ssl=context, server_hostname="localhost"
            )
            found = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
            assert found == der(expected.certfile)
            writer.close()


async def test_the_first_of_the_list_serves_when_there_is_no_other(trust: Trust) -> None:
    options = {"ssl": True, "tls_certificates": [entry(trust.server)]}
    async with serving(options) as broker:
        assert await broker.certificate(trust, "other.example") == der(trust.server.certfile)


async def test_client_certificates_with_several_certificates(trust: Trust) -> None:
    """Who is trusted does not depend on the name that the client asks for."""
    other = trust.authority.server("other", "DNS:other.example")
    options = trust.listener() | {
        "tls_certificates": [entry(other)],
        "tls_require_client_certificate": True,
    }
    async with serving(options) as broker:
        for name in ("localhost", "other.example"):
            await greets(broker, trust.context(trust.client), name)
            for client in (None, trust.stranger):
                await turns_away(broker, trust.context(client), name)


async def greets(broker: Serving, context: ssl.SSLContext, name: str = "localhost") -> None:
    reader, writer = await asyncio.open_connection(
        broker.host, broker.port, ssl=context, server_hostname=name
    )
    writer.write(connect("greeted"))
    assert await asyncio.wait_for(reader.readexactly(4), LIMIT) == CONNACK_ACCEPTED
    writer.close()


async def turns_away(broker: Serving, context: ssl.SSLContext, name: str = "localhost") -> None:
    with pytest.raises((ssl.SSLError, ConnectionError, asyncio.IncompleteReadError)):
        await greets(broker, context, name)


async def test_wrong_certificates(trust: Trust, tmp_path: Path) -> None:
    nameless = trust.authority.server("nameless", "")
    config = trust.listener() | {"tls_certificates": [entry(nameless)]}
    with pytest.raises(BrokerError, match=r"nameless\.crt' names no host: set 'hostnames'"):
        await Broker({"listeners": {"default": {**config, "bind": "127.0.0.1:0"}}}).start()
    swapped = {"certfile": trust.server.certfile, "keyfile": trust.client.keyfile}
    config = trust.listener() | {"tls_certificates": [swapped]}
    with pytest.raises(BrokerError, match=r"device\.key' is not the key of certfile"):
        await Broker({"listeners": {"default": {**config, "bind": "127.0.0.1:0"}}}).start()
    config = trust.listener() | {"tls_certificates": [{**swapped, "keyfile": "/nowhere"}]}
    with pytest.raises(FileNotFoundError, match=r"listeners.default.tls_certificates.0: 'keyfile'"):
        Broker({"listeners": {"default": config}})
    for bad in ([], [""], ["a b"], ["*.*.example"], ["https://a.example"], ["*"]):
        with pytest.raises(ValueError, match="hostnames: expected host names"):
            CertificateConfig(trust.server.certfile, trust.server.keyfile, bad)
    with pytest.raises(FileNotFoundError, match="'crlfile' does not exist"):
        ListenerConfig(crlfile=tmp_path / "nowhere")


async def test_groups(trust: Trust) -> None:
    async with serving(trust.listener() | {"tls_groups": "P-384"}) as broker:
        context = trust.context()
        context.set_ecdh_curve("secp384r1")
        await greets(broker, context)
        context.set_ecdh_curve("prime256v1")
        await turns_away(broker, context)
    with pytest.raises(BrokerError, match="tls_groups 'NOPE'"):
        async with serving(trust.listener() | {"tls_groups": "NOPE"}):
            pass


# -- revocation


async def test_revoked_client_certificates(trust: Trust) -> None:
    good = trust.authority.client("good")
    options = trust.listener() | {"crlfile": trust.authority.revocations(trust.client)}
    async with serving(options) as broker:
        await greets(broker, trust.context(good))
        await greets(broker, trust.context())
        await turns_away(broker, trust.context(trust.client))
        assert "certificate revoked" in await broker.log.wait_for("TLS handshake failed")


async def test_a_revocation_takes_effect_without_restart(trust: Trust, tmp_path: Path) -> None:
    """Also for a client that would resume a session from before."""
    crl = tmp_path / "list.crl"
    shutil.copy(trust.authority.revocations(), crl)
    async with serving(trust.listener() | {"crlfile": str(crl)}) as broker:
        context = trust.context(trust.client, maximum_version=ssl.TLSVersion.TLSv1_2)
        session = resumes(broker, context, None)
        session = resumes(broker, context, session)
        shutil.copy(trust.authority.revocations(trust.client), crl)
        await broker.log.wait_for(USES_CHANGED)
        with pytest.raises((ssl.SSLError, ConnectionError)):
            resumes(broker, context, session)
        await turns_away(broker, trust.context(trust.client))


def resumes(
    broker: Serving, context: ssl.SSLContext, session: ssl.SSLSession | None
) -> ssl.SSLSession | None:
    """Log in with the session of a connection before, if there is one; return the new one."""
    with context.wrap_socket(
        socket.create_connection((broker.host, broker.port), LIMIT),
        server_hostname="localhost",
        session=session,
    ) as connection:
        assert connection.session_reused == (session is not None)
        connection.sendall(connect("resumed"))
        assert connection.recv(4) == CONNACK_ACCEPTED
        return connection.session


async def test_a_list_that_is_none(trust: Trust) -> None:
    with pytest.raises(BrokerError, match=r"crlfile '.*ours-server.crt'"):
        async with serving(trust.listener() | {"crlfile": trust.server.certfile}):
            pass


# -- files that change


async def test_a_renewed_certificate_is_used(trust: Trust, files: Certificate) -> None:
    """New connections get it, and those that are open go on."""
    renewed = trust.authority.server("renewed")
    async with serving(listener(files)) as broker:
        assert await broker.certificate(trust) == der(trust.server.certfile)
        context = trust.context()
        reader, writer = await asyncio.open_connection(
            broker.host, broker.port, ssl=context, server_hostname="localhost"
        )
        writer.write(connect("old"))
        assert await reader.readexactly(4) == CONNACK_ACCEPTED
        replace(files, renewed)
        await broker.log.wait_for(USES_CHANGED)
        assert await broker.certificate(trust) == der(renewed.certfile)
        writer.write(PINGREQ)
        assert await asyncio.wait_for(reader.readexactly(2), LIMIT) == PINGRESP
        writer.close()


async def test_a_bad_file_changes_nothing(trust: Trust, files: Certificate) -> None:
    """It is named with the reason, once; the next good one is used."""
    renewed = trust.authority.server("renewed")
    async with serving(listener(files)) as broker:
        Path(files.certfile).write_text("no certificate")
        line = await broker.log.wait_for("listener 'default' keeps the TLS files that it has")
        assert line.startswith("ERROR")
        assert f"certfile '{files.certfile}': no start line" in line
        assert await broker.certificate(trust) == der(trust.server.certfile)
        Path(files.keyfile).unlink()
        shutil.copy(renewed.certfile, files.certfile)
        line = await broker.log.wait_for("listener 'default' keeps the TLS files that it has")
        assert f"keyfile '{files.keyfile}': No such file or directory" in line
        replace(files, renewed)
        await broker.log.wait_for(USES_CHANGED)
        assert await broker.certificate(trust) == der(renewed.certfile)


async def test_reload_certificates(trust: Trust, files: Certificate) -> None:
    """At once, and what is wrong is raised."""
    renewed = trust.authority.server("renewed")
    async with serving(listener(files)) as broker:
        replace(files, renewed)
        await broker.broker.reload_certificates()
        assert await broker.certificate(trust) == der(renewed.certfile)
        Path(files.keyfile).write_text("no key")
        with pytest.raises(BrokerError, match=f"listener 'default': keyfile '{files.keyfile}'"):
            await broker.broker.reload_certificates()
        assert await broker.certificate(trust) == der(renewed.certfile)
        stopped = broker.broker
    with pytest.raises(BrokerError, match="it is stopped"):
        await stopped.reload_certificates()


async def test_reload_without_tls() -> None:
    async with serving({}) as broker:
        await broker.broker.reload_certificates()


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="the system has no SIGHUP")
def test_hangup_reloads(trust: Trust, files: Certificate, tmp_path: Path) -> None:
    """The command reads certificates on SIGHUP and goes on, whatever is in them."""
    process = BrokerProcess(
        tmp_path, {}, "", listeners={"tls": {"bind": "127.0.0.1:0", **listener(files)}}
    )
    try:
        Path(files.keyfile).write_text("no key")
        process.send_signal(signal.SIGHUP)
        process.wait_for_log(
            f"Certificates stay as they are: listener 'tls': keyfile '{files.keyfile}'"
        )
        replace(files, trust.server)
        process.send_signal(signal.SIGHUP)
        process.wait_for_log("Certificates were read again")
    finally:
        process.stop()
