"""The PROXY protocol: headers byte by byte, under TLS and WebSocket, and of HAProxy."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support import websocket as ws
from support.endpoints import LIMIT, Trust
from support.process import free_port
from support.serving import Serving, serving
from support.websocket import WebSocketClient
from support.wire import CONNACK_ACCEPTED, DISCONNECT, WireClient, connect

from amqtt.broker import Broker
from amqtt.contexts import ListenerConfig
from amqtt.errors import BrokerError

LOCAL: dict[str, Any] = {"proxy_protocol": True, "proxy_trusted": ["127.0.0.0/8"]}
V1 = b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 1883\r\n"
SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"


def v2(command: int, family: int, block: bytes) -> bytes:
    return SIGNATURE + struct.pack("!BBH", command, family, len(block)) + block


V4_BLOCK = bytes([192, 0, 2, 8, 198, 51, 100, 1]) + struct.pack("!HH", 4712, 1883)
V6_BLOCK = socket.inet_pton(socket.AF_INET6, "2001:db8::9") * 2 + struct.pack("!HH", 4713, 1883)
UNIX_BLOCK = b"/run/app".ljust(108, b"\0") * 2
EXTENSIONS = b"\x02\x00\x04host" + b"\x04\x00\x00" + b"\x20\x01\x00" + bytes(256)


@contextlib.contextmanager
def connected(broker: Serving) -> Iterator[WireClient]:
    if broker.host.startswith("unix:"):
        below = socket.socket(socket.AF_UNIX)
        below.settimeout(LIMIT)
        below.connect(broker.host.removeprefix("unix:"))
    else:
        below = socket.create_connection((broker.host, broker.port), LIMIT)
    with WireClient.over(below) as peer:
        yield peer


# A client that the broker has something to say about: its log record has the address.
BAD_CONNECT = b"\x10\x02\x00\x00"


async def address_behind(broker: Serving, header: bytes, *, slowly: bool = False) -> str:
    """Return the address that the broker takes a client for."""
    with connected(broker) as peer:
        data = header + BAD_CONNECT
        for piece in [bytes([byte]) for byte in data] if slowly else [data]:
            peer.send(piece)
        line = await broker.log.wait_for("closed: ")
        return line.split(" at ", 1)[1].split(" closed: ")[0]


@pytest.mark.threads(1, 2)
@pytest.mark.parametrize("slowly", [False, True])
async def test_the_address_of_the_header_is_the_peers(slowly: bool) -> None:
    async with serving(LOCAL) as broker:
        for header, expected in {
            V1: "192.0.2.7:4711",
            b"PROXY TCP6 2001:db8::5 ::1 4711 1883\r\n": "2001:db8::5:4711",
            v2(0x21, 0x11, V4_BLOCK): "192.0.2.8:4712",
            v2(0x21, 0x11, V4_BLOCK + EXTENSIONS): "192.0.2.8:4712",
            v2(0x21, 0x21, V6_BLOCK): "2001:db8::9:4713",
            v2(0x21, 0x31, UNIX_BLOCK): "unix:/run/app:0",
            # The proxy itself, by whatever port.
            b"PROXY UNKNOWN\r\n": "127.0.0.1:",
            v2(0x20, 0x11, V4_BLOCK): "127.0.0.1:",
            v2(0x21, 0x00, b""): "127.0.0.1:",
        }.items():
            found = await address_behind(broker, header, slowly=slowly)
            assert found.startswith(expected), header


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"PROXY TCP4 192.0.2.256 198.51.100.1 4711 1883\r\n",
        b"PROXY UNKNOWN" + b"x" * 200 + b"\r\n",
        v2(0x21, 0x11, V4_BLOCK[1:]),
        v2(0x21, 0x11, V4_BLOCK + b"\x02\x00\x09host"),
        v2(0x21, 0x12, V4_BLOCK),
        SIGNATURE + b"\x21\x11\xff\xff",
        V1 * 5,
    ],
    ids=["none", "address", "long", "short", "extension", "datagram", "huge", "twice"],
)
async def test_bad_headers(header: bytes) -> None:
    """The connection is closed, and the log says why; others are served."""
    async with serving(LOCAL) as broker:
        with connected(broker) as peer:
            peer.send(header + connect("bad"))
            peer.expect_close()
        if header != V1 * 5:  # all but the first are bad packets of MQTT
            assert "INFO client at 127.0.0.1:" in await broker.log.wait_for("PROXY protocol: ")
        with connected(broker) as peer:
            peer.send(V1)
            peer.login(connect("good")).ping()


async def test_a_header_under_tls_and_websocket(trust: Trust) -> None:
    """It comes first, in the clear, also when the handshake is in the same piece."""
    for kind in ("tcp", "ws"):
        async with serving({**trust.listener(), **LOCAL, "type": kind}) as broker:
            for header in (V1, v2(0x21, 0x11, V4_BLOCK + EXTENSIONS)):
                below = socket.create_connection((broker.host, broker.port), LIMIT)
                below.sendall(header)
                encrypted = trust.context().wrap_socket(below, server_hostname="localhost")
                with WireClient.over(encrypted) as wire:
                    peer = WebSocketClient(wire).open() if kind == "ws" else wire
                    peer.send(connect("encrypted"))
                    peer.expect(CONNACK_ACCEPTED)
    async with serving({**LOCAL, "type": "ws"}) as broker:
        with connected(broker) as wire:
            wire.send(V1 + ws.request(path="/x"))
            peer = WebSocketClient(wire)
            assert peer.read_response()[0] == 101
            peer.send(connect("websocket") + DISCONNECT)
            peer.expect(CONNACK_ACCEPTED)
            peer.expect_close_frame(1000)


async def test_a_problem_behind_the_header_is_logged_with_its_address(trust: Trust) -> None:
    async with serving({**trust.listener(), **LOCAL}) as broker:
        with connected(broker) as peer:
            peer.send(V1 + b"no handshake of TLS")
            line = await broker.log.wait_for("TLS handshake failed")
            assert "client at 192.0.2.7:4711 on listener 'default'" in line


async def test_strangers_are_refused() -> None:
    """With a good header, too; one log record stands for many."""
    options = {"proxy_protocol": True, "proxy_trusted": ["192.0.2.1", "127.0.0.2/32"]}
    async with serving(options) as broker:
        for _ in range(20):
            with connected(broker) as peer:
                peer.send(V1 + connect("stranger"))
                peer.expect_close()
        line = await broker.log.wait_for("refuses the connection of 127.0.0.1:")
        assert line.startswith("WARNING listener 'default'")
        assert line.endswith(": it is not in proxy_trusted")
        assert not any("refuses" in other for other in broker.log.lines)
        with WireClient.over(
            socket.create_connection((broker.host, broker.port), LIMIT, ("127.0.0.2", 0))
        ) as peer:
            peer.send(V1)
            peer.login(connect("proxied")).ping()


async def test_a_header_that_does_not_come() -> None:
    """It is waited for no longer than for CONNECT; what was sent of it makes no difference."""
    async with serving(LOCAL, limits={"connect_timeout": 1}) as broker:
        with contextlib.ExitStack() as stack:
            slow = [stack.enter_context(connected(broker)) for _ in range(4)]
            for peer, sent in zip(slow, (b"", b"PROXY", V1[:-1], SIGNATURE), strict=True):
                peer.send(sent)
            with connected(broker) as peer:
                peer.send(V1)
                peer.login(connect("quick")).ping()
            for peer in slow:
                await asyncio.to_thread(peer.expect_close)


async def test_a_unix_socket_needs_no_list(tmp_path: Path) -> None:
    options = {"bind": f"unix:{tmp_path}/proxied.sock", "proxy_protocol": True}
    async with serving(options) as broker:
        assert await address_behind(broker, V1) == "192.0.2.7:4711"


async def test_wrong_configuration() -> None:
    with pytest.raises(BrokerError, match="proxy_protocol is on, but 'proxy_trusted' names no"):
        await Broker({"listeners": {"default": {"proxy_protocol": True}}}).start()
    for bad in ("localhost", "10.0.0.0/33", "10.0.0.1:80", ""):
        with pytest.raises(ValueError, match="proxy_trusted: expected an address or a network"):
            ListenerConfig(proxy_trusted=["10.0.0.1", bad])
    good = ListenerConfig(proxy_trusted=["10.0.0.1", "10.1.2.3/8", "fd00::/8", "::1"])
    async with serving({"proxy_protocol": True, "proxy_trusted": good.proxy_trusted}):
        pass


# -- a real proxy

# It is a program of the administrator's, whom everybody's search path may leave out.
HAPROXY = shutil.which("haproxy", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin")
HAPROXY_CONFIG = """
global
    maxconn 100
defaults
    mode tcp
    timeout connect 5s
    timeout client 20s
    timeout server 20s
"""


@pytest.mark.skipif(HAPROXY is None, reason="not tested: haproxy is not installed")
async def test_behind_haproxy(tmp_path: Path) -> None:
    """Both versions, clients over TCP and a Unix socket, and health checks without end."""
    async with serving(LOCAL) as broker:
        fronts = {"send-proxy": free_port(), "send-proxy-v2": free_port()}
        text = HAPROXY_CONFIG
        for option, port in fronts.items():
            text += (
                f"listen {option}\n    bind 127.0.0.1:{port}\n    bind {tmp_path}/{option}.sock\n"
                f"    server broker {broker.host}:{broker.port} check inter 50ms {option}\n"
            )
        file = tmp_path / "haproxy.cfg"
        file.write_text(text)
        process = await asyncio.create_subprocess_exec(str(HAPROXY), "-q", "-db", "-f", str(file))
        try:
            for option, port in fronts.items():
                front = await asyncio.to_thread(connect_when_up, port)
                client = f"127.0.0.1:{front.getsockname()[1]}"
                with WireClient.over(front) as peer:
                    peer.send(BAD_CONNECT)
                    assert client in await broker.log.wait_for("closed: "), option
                with WireClient.over(connect_when_up(port)) as peer:
                    peer.login(connect(option)).ping()
                unix_front = socket.socket(socket.AF_UNIX)
                unix_front.settimeout(LIMIT)
                unix_front.connect(f"{tmp_path}/{option}.sock")
                with WireClient.over(unix_front) as peer:
                    peer.login(connect(option)).ping()
        finally:
            process.terminate()
            await process.wait()
        assert not [line for line in broker.log.lines if "PROXY protocol: " in line]


def connect_when_up(port: int) -> socket.socket:
    """Connect as soon as the proxy listens and has found the broker."""
    for _ in range(500):
        with contextlib.suppress(ConnectionRefusedError):
            return socket.create_connection(("127.0.0.1", port), LIMIT)
        time.sleep(0.02)
    msg = "haproxy does not listen"
    raise AssertionError(msg)
