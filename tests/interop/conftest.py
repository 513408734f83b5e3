"""Fixtures for tests with the clients of other projects."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import pytest_asyncio
from support.certificates import have_openssl
from support.endpoints import Endpoints, Trust, running_endpoints
from support.peers import (
    HOSTS,
    TRANSPORTS,
    Host,
    MissingToolError,
    Peer,
    PeerOptions,
    make_host,
    missing_tool,
    open_peer,
)
from support.process import BrokerProcess, SharedBroker, broker_kind, free_port


def missing(reason: str) -> None:
    """Skip the test for want of a tool; in CI that is a failure."""
    if os.environ.get("CI"):
        pytest.fail(f"not tested: {reason}")
    pytest.skip(f"not tested: {reason}")


class Hosts:
    """The host processes of the session, each made when it is first asked for."""

    def __init__(self, trust: Trust | None) -> None:
        self._trust = trust
        self._made: dict[str, Host | str] = {}

    def get(self, kind: str) -> Host | None:
        """Return the host for that kind of client, None if it needs none."""
        if kind not in HOSTS:
            return None
        if kind not in self._made:
            try:
                self._made[kind] = make_host(kind, self._trust)
            except MissingToolError as error:
                self._made[kind] = str(error)
        host = self._made[kind]
        if isinstance(host, str):
            missing(host)
            raise AssertionError
        return host

    def stop(self) -> None:
        """End them all."""
        for host in self._made.values():
            if isinstance(host, Host):
                host.stop()


@pytest.fixture(scope="session")
def trust(tmp_path_factory: pytest.TempPathFactory) -> Trust | None:
    """Make the session's certificates, if there is the tool for it."""
    if not have_openssl():
        return None
    return Trust.make(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="session")
def hosts(trust: Trust | None) -> Iterator[Hosts]:
    """Give the host processes."""
    made = Hosts(trust)
    yield made
    made.stop()


class Peers:
    """Opens clients for one test, and closes what the test leaves open."""

    def __init__(self, ports: dict[str, int], unique: str, hosts: Hosts, version: int) -> None:
        self.unique = unique
        self._version = version
        self._ports = ports
        self._hosts = hosts
        self._opened: list[Peer] = []

    def make(self, kind: str, name: str, *, port: int | None = None, **how: Any) -> Peer:
        """Return a client that is not connected yet.

        ``name`` completes its client id, ``port`` is that of another broker; ``how`` are other
        fields of ``PeerOptions``.
        """
        if reason := missing_tool(kind):
            missing(reason)
        host = self._hosts.get(kind)
        how.setdefault("version", self._version)
        transport = how.setdefault("transport", TRANSPORTS[kind][0])
        how.setdefault("client_id", f"{self.unique}{name}")
        if port is None and transport not in self._ports:
            pytest.skip(f"this broker has no listener for {kind}, which speaks {transport}")
        peer = open_peer(kind, PeerOptions(port or self._ports[transport], **how), host)
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
def secure_endpoints(
    trust: Trust | None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Endpoints]:
    """Give a broker that also listens with TLS and over WebSocket."""
    if broker_kind() != "amqtt":
        pytest.skip("the listeners are configured for ours")
    if trust is None:
        missing("the command openssl is not installed")
        raise AssertionError
    with running_endpoints(trust, tmp_path_factory, {}) as endpoints:
        yield endpoints


@pytest.fixture
def version(request: pytest.FixtureRequest) -> int:
    """Return the protocol level of clients for which the test asks for no other."""
    level: int = getattr(request, "param", 4)
    return level


@pytest.fixture(scope="session")
def ports() -> dict[str, int]:
    """Hold the ports of the broker by transport, from when it runs."""
    return {}


@pytest.fixture(scope="session")
def shared_broker(
    ports: dict[str, int], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SharedBroker]:
    """Hold a broker of the session that listens over TCP and over WebSocket."""

    def start() -> BrokerProcess:
        ports["ws"] = free_port()
        bind = f"127.0.0.1:{ports['ws']}"
        process = BrokerProcess(
            tmp_path_factory.mktemp("interop-broker"),
            {},
            f"listener {ports['ws']} 127.0.0.1\nprotocol websockets\n",
            listeners={"ws": {"type": "ws", "bind": bind}},
        )
        ports["tcp"] = process.port
        return process

    shared = SharedBroker(start)
    yield shared
    shared.stop()


@pytest_asyncio.fixture
async def peers(
    broker: BrokerProcess,  # noqa: ARG001 the ports are there when it runs
    ports: dict[str, int],
    unique: str,
    hosts: Hosts,
    version: int,
) -> AsyncIterator[Peers]:
    """Open clients of any kind against the shared broker."""
    opened = Peers(ports, unique, hosts, version)
    yield opened
    await opened.close()
