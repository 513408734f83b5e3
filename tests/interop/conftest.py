"""Fixtures for tests with the clients of other projects."""

import asyncio
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from support.certificates import have_openssl
from support.endpoints import Endpoints, Trust, running_endpoints
from support.peers import NodeHost, Peer, PeerOptions, missing_tool, open_peer
from support.process import BrokerProcess, broker_kind

HERE = Path(__file__).parent
NODE_FILES = ("package.json", "package-lock.json")
NPM_LIMIT = 180


def missing(reason: str) -> None:
    """Skip the test for want of a tool; in CI that is a failure."""
    if os.environ.get("CI"):
        pytest.fail(f"not tested: {reason}")
    pytest.skip(f"not tested: {reason}")


@pytest.fixture(scope="session")
def node_folder() -> Path | str:
    """Install the npm packages; return their folder, or why there is none."""
    if reason := missing_tool("node"):
        return reason
    folder = HERE.parents[1] / "build" / "interop-node"
    folder.mkdir(parents=True, exist_ok=True)
    stamp = folder / "installed.json"
    lock = (HERE / "node" / "package-lock.json").read_text()
    if not stamp.exists() or stamp.read_text() != lock:
        for name in NODE_FILES:
            shutil.copy(HERE / "node" / name, folder / name)
        command = ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"]
        try:
            done = subprocess.run(
                command, cwd=folder, capture_output=True, text=True, timeout=NPM_LIMIT, check=False
            )
        except subprocess.TimeoutExpired:
            return f"npm ci takes more than {NPM_LIMIT} s"
        if done.returncode != 0:
            return f"npm ci fails: {done.stderr[-500:]}"
        stamp.write_text(lock)
    shutil.copy(HERE / "node" / "client.mjs", folder / "client.mjs")
    return folder


class Peers:
    """Opens clients for one test, and closes what the test leaves open."""

    def __init__(self, port: int, unique: str, node: NodeHost | str, version: int) -> None:
        self.unique = unique
        self._version = version
        self._port = port
        self._node = node
        self._opened: list[Peer] = []

    def make(self, kind: str, name: str, *, port: int | None = None, **how: Any) -> Peer:
        """Return a client that is not connected yet.

        ``name`` completes its client id; ``how`` are other fields of ``PeerOptions``.
        """
        if reason := missing_tool(kind):
            missing(reason)
        host = self._node if kind == "node" else None
        if isinstance(host, str):
            missing(host)
            raise AssertionError
        how.setdefault("version", self._version)
        options = PeerOptions(port or self._port, f"{self.unique}{name}", **how)
        peer = open_peer(kind, options, host)
        self._opened.append(peer)
        return peer

    async def open(self, kind: str, name: str, **options: Any) -> Peer:
        """Return a connected client."""
        peer = self.make(kind, name, **options)
        await peer.connect()
        return peer

    async def close(self) -> None:
        """Disconnect every client that is still there."""
        await asyncio.gather(*(peer.disconnect() for peer in self._opened))


@pytest.fixture(scope="session")
def secure_endpoints(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoints]:
    """Give a broker that also listens with TLS and over WebSocket."""
    if broker_kind() != "amqtt":
        pytest.skip("the listeners are configured for ours")
    if not have_openssl():
        missing("the command openssl is not installed")
    trust = Trust.make(tmp_path_factory.mktemp("certificates"))
    with running_endpoints(trust, tmp_path_factory, {}) as endpoints:
        yield endpoints


@pytest.fixture
def version(request: pytest.FixtureRequest) -> int:
    """Return the protocol level of clients for which the test asks for no other."""
    level: int = getattr(request, "param", 4)
    return level


@pytest_asyncio.fixture
async def peers(
    broker: BrokerProcess, unique: str, node_folder: Path | str, version: int
) -> AsyncIterator[Peers]:
    """Open clients of any kind against the shared broker."""
    node = NodeHost(node_folder) if isinstance(node_folder, Path) else node_folder
    opened = Peers(broker.port, unique, node, version)
    try:
        yield opened
        await opened.close()
    finally:
        if isinstance(node, NodeHost):
            await node.stop()
