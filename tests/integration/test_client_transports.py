"""MQTTClient over every transport: TLS, WebSocket, Unix sockets, proxies."""

from __future__ import annotations

import asyncio
import os
import ssl
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support.certificates import Authority, have_openssl
from support.serving import serving

from amqtt.client import MQTTClient
from amqtt.errors import ClientError, ConnectError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

LIMIT = 10.0
ANYONE: dict[str, Any] = {"plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {}}}

needs_openssl = pytest.mark.skipif(not have_openssl(), reason="the command openssl is missing")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"), "ours")


@pytest.fixture(autouse=True)
def no_proxy_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


def client(uri: str, version: int = 4, **config: Any) -> MQTTClient:
    connection = {"uri": uri, **config.pop("connection", {})}
    return MQTTClient(
        config={
            "auto_reconnect": False,
            "connection_timeout": 10,
            "protocol_version": version,
            "connection": connection,
            **config,
        }
    )


async def converse(one: MQTTClient) -> None:
    """Send messages of every size there and back."""
    async with one:
        await one.subscribe([("t", 2)])
        for size in (0, 1, 125, 126, 16_384, 70_000, 300_000):
            payload = os.urandom(size)
            await asyncio.wait_for(one.publish("t", payload, qos=size % 3), LIMIT)
            message = await one.deliver_message(LIMIT)
            assert message is not None
            assert message.data == payload
        for number in range(300):
            await one.publish("t", b"%d" % number, qos=0)
        for number in range(300):
            message = await one.deliver_message(LIMIT)
            assert message is not None
            assert message.data == b"%d" % number


def tls_listener(authority: Authority, kind: str, **more: Any) -> dict[str, Any]:
    mine = authority.server()
    return {
        "type": kind,
        "ssl": True,
        "certfile": mine.certfile,
        "keyfile": mine.keyfile,
        **more,
    }


@pytest.mark.parametrize("version", [3, 4, 5])
async def test_tcp_and_unix(version: int, tmp_path: Path) -> None:
    async with serving({"type": "tcp"}, **ANYONE) as there:
        await converse(client(f"mqtt://{there.host}:{there.port}", version))
        await converse(client(f"mqtt://localhost:{there.port}", version))
    path = tmp_path / "broker socket"
    async with serving({"type": "tcp", "bind": f"unix:{path}"}, **ANYONE) as _:
        await converse(client(f"unix://{str(path).replace(' ', '%20')}", version))


# 3.1.1:MQTT-6.0.0-1@client 3.1.1:MQTT-6.0.0-2@client 3.1.1:MQTT-6.0.0-3@client
# 5.0:MQTT-6.0.0-1@client 5.0:MQTT-6.0.0-2@client 5.0:MQTT-6.0.0-3@client: our broker refuses
# WebSocket connections without the subprotocol, and frames that are not binary.
@pytest.mark.parametrize("version", [4, 5])
async def test_websocket(version: int) -> None:
    async with serving({"type": "ws"}, **ANYONE) as there:
        one = client(f"ws://{there.host}:{there.port}/mqtt?token=1", version)
        await converse(one)
        assert one.session is not None
        assert one.session.broker_uri == f"ws://{there.host}:{there.port}/mqtt?token=1"


@needs_openssl
@pytest.mark.parametrize(("kind", "scheme"), [("tcp", "mqtts"), ("ws", "wss")])
async def test_tls(authority: Authority, kind: str, scheme: str) -> None:
    async with serving(tls_listener(authority, kind), **ANYONE) as there:
        trusted = {"cafile": authority.cafile}
        await converse(client(f"{scheme}://localhost:{there.port}", 5, connection=trusted))
        await converse(client(f"{scheme}://127.0.0.1:{there.port}", 4, connection=trusted))
        await converse(
            client(f"{scheme}://localhost:{there.port}", verify_cert=False, check_hostname=False)
        )
        stranger = client(f"{scheme}://localhost:{there.port}")
        with pytest.raises(ConnectError, match="SSL: CERTIFICATE_VERIFY_FAILED") as refused:
            await stranger.connect()
        assert isinstance(refused.value.__cause__, ssl.SSLCertVerificationError)


@needs_openssl
async def test_trust(authority: Authority, tmp_path: Path) -> None:
    only_there = authority.server("there", "DNS:there.example")
    listener = {"type": "tcp", "ssl": True, "certfile": only_there.certfile}
    async with serving({**listener, "keyfile": only_there.keyfile}, **ANYONE) as there:
        uri = f"mqtts://localhost:{there.port}"
        trusted = {"cafile": authority.cafile}
        with pytest.raises(ConnectError, match=r"CERTIFICATE_VERIFY_FAILED.*ostname mismatch"):
            await client(uri, connection=trusted).connect()
        await converse(client(uri, connection=trusted, check_hostname=False))
        pem = Path(authority.cafile).read_text("ascii")
        await converse(client(uri, connection={"cadata": pem}, check_hostname=False))
        one = client(uri, check_hostname=False)
        await one.connect(cafile=authority.cafile)
        await one.disconnect()
        with pytest.raises(ClientError, match="check_hostname"):
            await client(uri, verify_cert=False).connect()
        missing = str(tmp_path / "missing.crt")
        with pytest.raises(ConnectError, match=r"missing\.crt"):
            await client(uri, connection={"cafile": missing}).connect()


@needs_openssl
async def test_certificate_of_the_client(authority: Authority) -> None:
    own = authority.client("me")
    listener = tls_listener(
        authority, "tcp", cafile=authority.cafile, tls_require_client_certificate=True
    )
    async with serving(listener, **ANYONE) as there:
        uri = f"mqtts://localhost:{there.port}"
        files = {"cafile": authority.cafile, "certfile": own.certfile, "keyfile": own.keyfile}
        await converse(client(uri, connection=files))
        with pytest.raises(ConnectError):
            await client(uri, connection={"cafile": authority.cafile}).connect()


async def answering(
    response: bytes,
) -> tuple[asyncio.Server, int, list[bytes], asyncio.Event]:
    """Serve a port that answers whatever comes with the same bytes."""
    requests: list[bytes] = []
    ended = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requests.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(response)
        await writer.drain()
        await reader.read()
        writer.close()
        await writer.wait_closed()
        ended.set()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    return server, server.sockets[0].getsockname()[1], requests, ended


@pytest.mark.parametrize(
    ("response", "problem"),
    [
        (b"HTTP/1.1 404 Not Found\r\n\r\n", "404 Not Found"),
        (b"HTTP/1.1 301 Moved\r\nLocation: /x\r\n\r\n", "301 Moved"),
        (b"SSH-2.0-x\r\n\r\n", "no HTTP response"),
        (
            b"HTTP/1.1 101 S\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n",
            "wrong Sec-WebSocket-Accept",
        ),
        (b"HTTP/1.1 101 S\r\nConnection: Upgrade\r\n\r\n", "no upgrade"),
        (b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 4000, "more than 16 KiB"),
    ],
)
async def test_bad_websocket_handshakes(response: bytes, problem: str) -> None:
    server, port, requests, ended = await answering(response)
    async with server:
        with pytest.raises(ConnectError, match=problem):
            await client(f"ws://user:secret@127.0.0.1:{port}/path").connect(
                additional_headers={"X-Token": "abc"}
            )
        await asyncio.wait_for(ended.wait(), LIMIT)
    assert requests[0].startswith(b"GET /path HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n" % port)
    assert b"\r\nX-Token: abc\r\n" in requests[0]
    assert b"\r\nSec-WebSocket-Protocol: mqtt\r\n" in requests[0]
    assert b"secret" not in requests[0]
    with pytest.raises(ClientError, match="line break"):
        await client("ws://127.0.0.1:1").connect(additional_headers={"X": "a\r\nB: c"})


# -- proxies


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()


class Proxy:
    """A proxy that knows HTTP CONNECT or SOCKS5, and one user."""

    def __init__(self, kind: str, *, secured: bool) -> None:
        self.targets: list[tuple[str, int]] = []
        self._kind = kind
        self._secured = secured
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Proxy:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=LIMIT)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        negotiate: Callable[..., Any] = self._http if self._kind == "http" else self._socks
        target = await negotiate(reader, writer)
        if target is None:
            writer.close()
            return
        self.targets.append(target)
        theirs, ours = await asyncio.open_connection(*target)
        await asyncio.gather(pump(reader, ours), pump(theirs, writer))

    async def _http(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> tuple[str, int] | None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        if self._secured and "Proxy-Authorization: Basic dXM6cHc=\r\n" not in head:
            writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")
            return None
        writer.write(b"HTTP/1.1 200 Connection established\r\nVia: x\r\n\r\n")
        host, _, port = head.split()[1].rpartition(":")
        return host.strip("[]"), int(port)

    async def _socks(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> tuple[str, int] | None:
        _, count = await reader.readexactly(2)
        methods = await reader.readexactly(count)
        if not self._secured:
            writer.write(b"\x05\x00")
        elif 2 not in methods:
            writer.write(b"\x05\xff")
            return None
        else:
            writer.write(b"\x05\x02")
            given = [await reader.readexactly(1)]
            for _ in range(2):
                (size,) = await reader.readexactly(1)
                given.append(await reader.readexactly(size))
            writer.write(b"\x01\x00" if given == [b"\x01", b"us", b"pw"] else b"\x01\x01")
        _, _, _, kind, size = await reader.readexactly(5)
        assert kind == 3
        host = (await reader.readexactly(size)).decode()
        port = int.from_bytes(await reader.readexactly(2), "big")
        writer.write(b"\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x00")
        return host, port


@pytest.fixture
async def broker_port() -> AsyncIterator[int]:
    async with serving({"type": "tcp"}, **ANYONE) as there:
        yield there.port


@pytest.mark.parametrize("kind", ["http", "socks5"])
@pytest.mark.parametrize("secured", [False, True])
async def test_proxy(broker_port: int, kind: str, secured: bool) -> None:
    async with Proxy(kind, secured=secured) as proxy:
        user = "us:pw@" if secured else ""
        uri = f"mqtt://localhost:{broker_port}"
        through = {"proxy": f"{kind}://{user}127.0.0.1:{proxy.port}"}
        await converse(client(uri, connection=through))
        assert proxy.targets == [("localhost", broker_port)]
        if secured:
            with pytest.raises(ConnectError, match=r"proxy 127.0.0.1.*(407|authenticate|password)"):
                await client(
                    uri, connection={"proxy": f"{kind}://127.0.0.1:{proxy.port}"}
                ).connect()


@needs_openssl
@pytest.mark.parametrize("kind", ["http", "socks5"])
@pytest.mark.parametrize(("listener", "scheme"), [("tcp", "mqtts"), ("ws", "wss")])
async def test_tls_through_a_proxy(
    authority: Authority, listener: str, scheme: str, kind: str
) -> None:
    """The proxy sees where to, and the certificate is that of the broker."""
    async with (
        serving(tls_listener(authority, listener), **ANYONE) as there,
        Proxy(kind, secured=False) as proxy,
    ):
        through = {"proxy": f"{kind}://127.0.0.1:{proxy.port}", "cafile": authority.cafile}
        await converse(client(f"{scheme}://localhost:{there.port}", connection=through))
        assert proxy.targets == [("localhost", there.port)]


@pytest.mark.parametrize(
    ("scheme", "variable", "others"),
    [
        ("mqtts", "HTTPS_PROXY", ["HTTP_PROXY", "ALL_PROXY"]),
        ("wss", "https_proxy", ["HTTP_PROXY", "ALL_PROXY"]),
        ("ws", "HTTP_PROXY", ["HTTPS_PROXY", "ALL_PROXY"]),
        ("mqtt", "ALL_PROXY", ["HTTP_PROXY", "HTTPS_PROXY"]),
        ("mqtts", "all_proxy", ["HTTP_PROXY"]),
    ],
)
async def test_variable_of_the_proxy(
    scheme: str, variable: str, others: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in others:
        monkeypatch.setenv(name, "127.0.0.1:1")  # where nobody is
    async with Proxy("http", secured=True) as proxy:
        monkeypatch.setenv(variable, f"http://127.0.0.1:{proxy.port}")
        with pytest.raises(ConnectError, match="407"):
            await client(f"{scheme}://broker.invalid").connect()


async def test_an_unknown_host_is_no_error_of_the_system() -> None:
    """The numbers of errors of the resolver are none of errno, where 1 is `EPERM`."""
    with pytest.raises(ConnectError, match=r"cannot resolve 'broker\.invalid'") as caught:
        await client("mqtt://broker.invalid").connect()
    cause = caught.value.__cause__
    assert isinstance(cause, ConnectionError)
    assert cause.errno is None
    assert "not permitted" not in str(caught.value)


async def test_proxy_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    async with Proxy("http", secured=False) as proxy:
        monkeypatch.setenv("ALL_PROXY", f"127.0.0.1:{proxy.port}")
        # The name leads nowhere, so that only the proxy is asked for it.
        with pytest.raises(ConnectError):
            await client("mqtt://broker.invalid:1883").connect()
        monkeypatch.setenv("NO_PROXY", "*.invalid,.invalid")
        with pytest.raises(ConnectError, match="cannot resolve"):
            await client("mqtt://broker.invalid:1883").connect()
        monkeypatch.delenv("NO_PROXY")
        with pytest.raises(ConnectError, match="cannot resolve"):
            await client("mqtt://broker.invalid", connection={"proxy": ""}).connect()
        assert [host for host, _ in proxy.targets] == ["broker.invalid"]


async def test_nobody_there(tmp_path: Path) -> None:
    with pytest.raises(ConnectError) as refused:
        await client(f"unix://{tmp_path}/nothing").connect()
    assert isinstance(refused.value.__cause__, FileNotFoundError)
    with pytest.raises(ConnectError, match="too long"):
        await client("unix:///" + "x" * 200).connect()
    with pytest.raises(ClientError, match="no URI of a proxy"):
        await client("mqtt://a", connection={"proxy": "ftp://b"}).connect()
    with pytest.raises(ClientError, match="no URI of a broker"):
        await client("http://a").connect()
