"""A broker with a listener for each transport, and connections to it at every level."""

import os
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from support.certificates import Authority, Certificate
from support.process import BrokerProcess, BrokerStartError, free_port
from support.websocket import WebSocketClient
from support.wire import CONNACK_ACCEPTED, WireClient, connect

LIMIT = 10.0
TRANSPORTS = ("tcp", "tls", "ws", "wss", "unix", "unix-tls", "unix-ws")
_PORTS = ("tls", "ws", "wss", "wss-browser", "strict", "tls13", "narrow")
_ATTEMPTS = 5


@dataclass(frozen=True)
class Trust:
    """Certificates: of the broker, of a client it trusts, and of a client it does not."""

    authority: Authority
    server: Certificate
    client: Certificate
    stranger: Certificate

    @classmethod
    def make(cls, folder: Path) -> "Trust":
        """Make them in `folder`."""
        ours, theirs = Authority(folder, "ours"), Authority(folder, "theirs")
        return cls(ours, ours.server(), ours.client("device"), theirs.client("stranger"))

    def listener(self) -> dict[str, Any]:
        """Return the options of a listener with TLS."""
        files = {"certfile": self.server.certfile, "keyfile": self.server.keyfile}
        return {"ssl": True, **files, "cafile": self.authority.cafile}

    def context(self, client: Certificate | None = None, **settings: Any) -> ssl.SSLContext:
        """Return what a client needs that trusts the broker."""
        context = ssl.create_default_context(cafile=self.authority.cafile)
        for name, value in settings.items():
            setattr(context, name, value)
        if client is not None:
            context.load_cert_chain(client.certfile, client.keyfile)
        return context


@dataclass
class Endpoints:
    """Where a broker listens.

    Attributes:
        trust: the certificates.
        ports: by transport; the listeners `wss-browser` (without authorities for client
            certificates), `strict` (with client certificates only), `tls13` and `narrow`
            (WebSocket, one path, one origin) beside them.
        folder: holds the Unix sockets, each named like its transport.
        pid: the broker's process.

    """

    trust: Trust
    ports: dict[str, int]
    folder: Path
    pid: int

    def socket(self, name: str) -> socket.socket:
        """Return a connection below TLS and WebSocket."""
        if name.startswith("unix"):
            connected = socket.socket(socket.AF_UNIX)
            connected.settimeout(LIMIT)
            connected.connect(str(self.folder / f"{name}.sock"))
            return connected
        return socket.create_connection(("127.0.0.1", self.ports[name]), LIMIT)

    def encrypted(
        self, name: str, context: ssl.SSLContext | None = None, **more: Any
    ) -> ssl.SSLSocket:
        """Return a connection over TLS."""
        connected = self.socket(name)
        try:
            context = context or self.trust.context()
            return context.wrap_socket(connected, server_hostname="localhost", **more)
        except OSError:
            connected.close()
            raise

    def wire(self, name: str) -> WireClient:
        """Return a connection below WebSocket."""
        encrypts = name in ("tls", "wss", "unix-tls")
        return WireClient.over(self.encrypted(name) if encrypts else self.socket(name))

    def peer(self, name: str) -> WireClient | WebSocketClient:
        """Return a connection that is ready for MQTT."""
        wire = self.wire(name)
        return WebSocketClient(wire).open() if name in ("ws", "wss", "unix-ws") else wire

    def open(self, name: str, client_id: str, **options: Any) -> WireClient | WebSocketClient:
        """Return a client that has logged in."""
        peer = self.peer(name)
        peer.send(connect(client_id, **options))
        peer.expect(CONNACK_ACCEPTED)
        return peer


def listeners_on(ports: dict[str, int], trust: Trust, folder: Path) -> dict[str, Any]:
    """Return the configuration of all listeners but that of TCP."""
    bind = {name: f"127.0.0.1:{port}" for name, port in ports.items()}
    tls = trust.listener()
    asks_nothing = {name: value for name, value in tls.items() if name != "cafile"}
    narrow = {"ws_path": "/mqtt", "ws_origins": ["https://good.example"]}
    return {
        "tls": {"bind": bind["tls"], **tls},
        "ws": {"type": "ws", "bind": bind["ws"]},
        "wss": {"type": "ws", "bind": bind["wss"], **tls},
        "wss-browser": {"type": "ws", "bind": bind["wss-browser"], **asks_nothing},
        "unix": {"bind": f"unix:{folder}/unix.sock", "unix_mode": "0600"},
        "unix-tls": {"bind": f"unix:{folder}/unix-tls.sock", **tls},
        "unix-ws": {"type": "ws", "bind": f"unix:{folder}/unix-ws.sock"},
        "strict": {"bind": bind["strict"], **tls, "tls_require_client_certificate": True},
        "tls13": {"bind": bind["tls13"], **tls, "tls_min_version": 1.3},
        "narrow": {"type": "ws", "bind": bind["narrow"], **narrow},
    }


@contextmanager
def running_endpoints(
    trust: Trust, factory: pytest.TempPathFactory, config: dict[str, Any]
) -> Iterator[Endpoints]:
    """Run a broker in a process of its own; it must end well."""
    folder = factory.mktemp("t")
    for attempt in range(_ATTEMPTS):
        ports = {name: free_port() for name in _PORTS}
        try:
            process = BrokerProcess(
                factory.mktemp("broker"), config, "", listeners=listeners_on(ports, trust, folder)
            )
            break
        except BrokerStartError as error:
            # Somebody else has taken a port that was free a moment ago.
            if attempt == _ATTEMPTS - 1 or "already in use" not in str(error):
                raise
    try:
        yield Endpoints(trust, {"tcp": process.port, **ports}, folder, process.pid)
    finally:
        process.stop()


def resident_bytes(pid: int) -> int | None:
    """Return how much memory a process occupies; None where the system does not tell."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except OSError:
        return None
    return pages * os.sysconf("SC_PAGE_SIZE")


def descriptor_count(pid: int) -> int | None:
    """Return how many files a process has open; None where the system does not tell."""
    try:
        return len(list(Path(f"/proc/{pid}/fd").iterdir()))
    except OSError:
        return None
