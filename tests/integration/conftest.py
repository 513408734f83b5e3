"""Fixtures of the tests of transports."""

from collections.abc import Iterator

import pytest
from support.certificates import have_openssl
from support.commands import Shell
from support.endpoints import Endpoints, Trust, running_endpoints
from support.process import BrokerProcess, broker_kind
from support.wire import DISCONNECT


@pytest.fixture(scope="session")
def trust(tmp_path_factory: pytest.TempPathFactory) -> Trust:
    """Certificates that all tests share."""
    if not have_openssl():
        pytest.skip("not tested: the command openssl is not installed")
    return Trust.make(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="session")
def shared_endpoints(
    trust: Trust, tmp_path_factory: pytest.TempPathFactory, threads: int
) -> Iterator[Endpoints]:
    """Hold the broker of the session; tests ask for ``every``."""
    if broker_kind() != "amqtt":
        pytest.skip("the listeners are configured for ours")
    config = {"limits": {"connect_timeout": 2}, "threads": threads}
    with running_endpoints(trust, tmp_path_factory, config) as endpoints:
        yield endpoints


@pytest.fixture
def every(shared_endpoints: Endpoints) -> Iterator[Endpoints]:
    """Give a broker with every transport, and see that it still serves afterwards."""
    yield shared_endpoints
    with shared_endpoints.open("tcp", "afterwards") as peer:
        peer.send(DISCONNECT)


@pytest.fixture
def shell(broker: BrokerProcess) -> Iterator[Shell]:
    shell = Shell(broker)
    yield shell
    shell.close()


@pytest.fixture
def no_broker() -> Iterator[Shell]:
    shell = Shell()
    yield shell
    shell.close()
