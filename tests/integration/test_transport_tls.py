"""TLS: handshakes that fail or do not end, certificates, versions, and wrong configurations."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from support import websocket as ws
from support.endpoints import LIMIT, Endpoints, Trust, descriptor_count
from support.websocket import WebSocketClient
from support.wire import (
    CONNACK_ACCEPTED,
    PINGREQ,
    PINGRESP,
    WireClient,
    connect,
    publish,
    suback,
    subscribe,
)

from amqtt.broker import Broker
from amqtt.contexts import ListenerConfig
from amqtt.errors import BrokerError

# -- handshakes


@pytest.mark.parametrize("kind", ["tls", "wss", "unix-tls"])
@pytest.mark.parametrize("sent", [b"", b"\x16", b"\x16\x03\x01\x02\x00\x01\x00"])
def test_slow_tls_handshake(every: Endpoints, kind: str, sent: bytes, unique: str) -> None:
    """A peer that does not go on with the handshake is closed at the time limit."""
    with WireClient.over(every.socket(kind)) as slow:
        slow.send(sent)
        with every.open(kind, unique) as peer:
            peer.send(PINGREQ)
            peer.expect(PINGRESP)
        slow.expect_close()


@pytest.mark.parametrize("kind", ["tls", "wss"])
@pytest.mark.parametrize(
    "garbage",
    [connect("plain"), ws.request(), bytes(1000), os.urandom(20_000), b"\x16\x03\x01\xff\xff"],
    ids=["mqtt", "http", "zeros", "noise", "huge record"],
)
def test_garbage_on_a_tls_port(every: Endpoints, kind: str, garbage: bytes, unique: str) -> None:
    """It hurts nobody else, and the connection is closed, if only at the time limit."""
    with every.open(kind, unique) as peer, WireClient.over(every.socket(kind)) as rude:
        rude.send(garbage)
        with contextlib.suppress(Exception):
            rude.read(1)  # an alert, perhaps
        peer.send(PINGREQ)
        peer.expect(PINGRESP)


def test_garbage_within_a_tls_connection(every: Endpoints, unique: str) -> None:
    """A record that does not decrypt ends the connection, and the will is published."""
    with every.open("tcp", f"{unique}w") as watcher:
        watcher.send(subscribe(1, (unique, 0)))
        watcher.expect(suback(1, 0))
        connection = every.encrypted("tls")
        with WireClient.over(connection) as victim:
            victim.login(connect(unique, will=(unique, b"broken")))
            with socket.socket(fileno=os.dup(connection.fileno())) as below:
                below.sendall(b"\x17\x03\x03\x00\x20" + bytes(32))
            watcher.expect(publish(unique, b"broken"))


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_tls_versions(every: Endpoints, version: ssl.TLSVersion, unique: str) -> None:
    context = every.trust.context(minimum_version=version, maximum_version=version)
    with WireClient.over(every.encrypted("tls", context)) as peer:
        peer.login(connect(unique)).ping()


def test_minimum_version(every: Endpoints, unique: str) -> None:
    old = every.trust.context(maximum_version=ssl.TLSVersion.TLSv1_2)
    with pytest.raises(ssl.SSLError):
        every.encrypted("tls13", old)
    with WireClient.over(every.encrypted("tls13")) as peer:
        peer.login(connect(unique)).ping()


def answer_on(every: Endpoints, port: str, context: ssl.SSLContext) -> bytes:
    with every.encrypted(port, context) as connection:
        connection.sendall(b"\x10")
        return connection.recv(1)


@pytest.mark.parametrize("port", ["tls", "wss", "strict"])
def test_client_certificates(every: Endpoints, port: str, unique: str) -> None:
    """Optional where not required; checked wherever one is presented."""
    known = every.trust.context(every.trust.client)
    stranger = every.trust.context(every.trust.stranger)
    none = every.trust.context()

    def serves(context: ssl.SSLContext) -> None:
        with WireClient.over(every.encrypted(port, context)) as wire:
            peer = WebSocketClient(wire).open() if port == "wss" else wire
            peer.send(connect(unique))
            peer.expect(CONNACK_ACCEPTED)

    def refuses(context: ssl.SSLContext) -> None:
        # With TLS 1.3 the client learns of it by the alert after its own part is done.
        with pytest.raises((ssl.SSLError, ConnectionResetError)):
            answer_on(every, port, context)

    serves(known)
    refuses(stranger)
    if port == "strict":
        refuses(none)
    else:
        serves(none)


def test_no_question_for_browsers(every: Endpoints, unique: str) -> None:
    """Over WebSocket the broker asks for no certificate when it names no authorities.

    Chromium gives up a WebSocket where it is asked. A client that has one does not send it unasked,
    so that one of a stranger does no harm.
    """
    stranger = every.trust.context(every.trust.stranger)
    with WireClient.over(every.encrypted("wss-browser", stranger)) as wire:
        peer = WebSocketClient(wire).open()
        peer.send(connect(unique))
        peer.expect(CONNACK_ACCEPTED)


@pytest.mark.parametrize(("port", "ours"), [("tls", "mqtt"), ("wss", "http/1.1")])
def test_alpn(every: Endpoints, port: str, ours: str) -> None:
    """Ours is chosen wherever it stands; others are refused; none is needed."""
    with every.encrypted(port) as connection:
        assert connection.selected_alpn_protocol() is None
    context = every.trust.context()
    context.set_alpn_protocols(["other", ours])
    with every.encrypted(port, context) as connection:
        assert connection.selected_alpn_protocol() == ours
    for other in ("h2", "x-mqtt", "mqtt5", "MQTT"):
        context.set_alpn_protocols([other])
        with pytest.raises(ssl.SSLError, match=r"(?i)no.application.protocol"):
            every.encrypted(port, context)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_tls_session_resumes(every: Endpoints, version: ssl.TLSVersion, unique: str) -> None:
    """Also for a client with a certificate, by a ticket, and again by that of a resumed one."""
    client = every.trust.client
    context = every.trust.context(client, minimum_version=version, maximum_version=version)
    session = None
    for _ in range(3):
        connection = every.encrypted("tls", context, session=session)
        with WireClient.over(connection) as peer:
            peer.login(connect(unique)).ping()
            assert connection.session_reused == (session is not None)
            session = connection.session


def test_abandoned_handshakes_leave_nothing(every: Endpoints, unique: str) -> None:
    """Descriptors are no more than before, after handshakes broken off at every stage.

    They may be fewer: a connection of an earlier test may still have been closing.
    """
    before = descriptor_count(every.pid)
    if before is None:
        pytest.skip("the system does not tell how many files are open")
    hello = client_hello(every)
    for kind in ("tls", "wss", "ws"):
        for size in (0, 1, 5, 100, len(hello)):
            for _ in range(5):
                with WireClient.over(every.socket(kind)) as broken_off:
                    broken_off.send(hello[:size])
    with every.open("tcp", unique) as peer:
        deadline = time.monotonic() + LIMIT
        while (descriptor_count(every.pid) or 0) > before + 1 and time.monotonic() < deadline:
            # A round trip gives the broker a turn of its loop.
            peer.send(PINGREQ)
            peer.expect(PINGRESP)
        assert (descriptor_count(every.pid) or 0) <= before + 1


def client_hello(every: Endpoints) -> bytes:
    """Return the first flight of a TLS client."""
    outgoing = ssl.MemoryBIO()
    client = every.trust.context().wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="localhost")
    with contextlib.suppress(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


# -- what a wrong configuration says


async def start_error(**listener: Any) -> str:
    broker = Broker({"listeners": {"default": {"bind": "127.0.0.1:0", **listener}}})
    with pytest.raises(BrokerError, match="listener 'default'") as raised:
        await broker.start()
    assert broker.transitions.state == "not_started"
    return str(raised.value)


async def test_wrong_tls_configuration(trust: Trust, tmp_path: Path) -> None:
    good = trust.listener()
    junk = tmp_path / "junk.pem"
    junk.write_text("-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n")
    assert "'certfile' and 'keyfile' are not set" in await start_error(ssl=True)
    for name in ("certfile", "keyfile", "cafile"):
        text = await start_error(**{**good, name: str(junk)})
        assert f"{name} '{junk}'" in text
    other = await start_error(**{**good, "keyfile": trust.client.keyfile})
    assert f"keyfile '{trust.client.keyfile}' is not the key of certfile" in other
    assert "cadata" in await start_error(**good, cadata="nonsense")
    assert "tls_ciphers 'NOPE'" in await start_error(**good, tls_ciphers="NOPE")


async def test_an_encrypted_key_is_an_error_and_no_question(trust: Trust, tmp_path: Path) -> None:
    key = tmp_path / "locked.key"
    subprocess.run(
        ["openssl", "pkcs8", "-topk8", "-in", trust.server.keyfile, "-passout", "pass:secret",
         "-out", str(key)],
        check=True,
    )  # fmt: skip
    text = await start_error(ssl=True, certfile=trust.server.certfile, keyfile=str(key))
    assert f"keyfile '{key}'" in text


async def test_ciphers_and_authorities_as_text(trust: Trust) -> None:
    listener = {
        **trust.listener(),
        "bind": "127.0.0.1:0",
        "cafile": None,
        "cadata": Path(trust.authority.cafile).read_text() * 2,
        "tls_ciphers": "ECDHE-ECDSA-AES256-GCM-SHA384:TLS_CHACHA20_POLY1305_SHA256",
    }
    broker = Broker({"listeners": {"default": listener}})
    await broker.start()
    try:
        for version, cipher in (
            (ssl.TLSVersion.TLSv1_2, "ECDHE-ECDSA-AES256-GCM-SHA384"),
            (ssl.TLSVersion.TLSv1_3, "TLS_CHACHA20_POLY1305_SHA256"),
        ):
            context = trust.context(trust.client, minimum_version=version, maximum_version=version)
            address = broker.addresses["default"][0]
            wrapped = context.wrap_socket(
                socket.create_connection(address, LIMIT), server_hostname="localhost"
            )
            with WireClient.over(wrapped) as peer:
                peer.login(connect("cipher"))
                assert (wrapped.cipher() or [""])[0] == cipher
    finally:
        await broker.shutdown()


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"tls_min_version": "1.1"}, "tls_min_version: expected 1.2 or 1.3"),
        ({"tls_min_version": 1.0}, "tls_min_version: expected 1.2 or 1.3"),
        ({"ws_path": "mqtt"}, "ws_path: expected a path"),
        ({"unix_mode": "rw-"}, "unix_mode: expected an octal number"),
        ({"unix_mode": "99"}, "unix_mode: expected an octal number"),
    ],
)
def test_wrong_values(values: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        ListenerConfig(**values)


def test_new_options_change_nothing_by_default() -> None:
    config = ListenerConfig()
    assert (config.tls_min_version, config.tls_ciphers) == ("1.2", None)
    assert (config.ws_path, config.ws_origins, config.unix_mode) == (None, None, None)
    assert config.tls_require_client_certificate is False
    assert ListenerConfig(tls_min_version=1.3).tls_min_version == "1.3"
