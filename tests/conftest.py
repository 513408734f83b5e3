"""Fixtures that every folder of tests may use."""

from collections.abc import Iterator
from typing import Any

import pytest
from support.process import (
    BrokerProcess,
    BrokerStartError,
    SharedBroker,
    StartBroker,
    broker_kind,
)
from support.threads import brokers_with_threads, wanted
from support.unique import unique_id


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run tests that are marked so with each of several numbers of threads of the broker."""
    mark = metafunc.definition.get_closest_marker("threads")
    if mark is not None and broker_kind() == "amqtt":
        metafunc.fixturenames.append("threads")
        metafunc.parametrize("threads", mark.args, indirect=True, scope="session")


@pytest.fixture(scope="session", autouse=True)
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    """Give brokers that are configured to have one thread as many as the test is run with."""
    count: int = getattr(request, "param", wanted())
    if count == 1:
        yield 1
        return
    with brokers_with_threads(count):
        yield count


@pytest.fixture
def unique() -> str:
    """Eight characters [0-9a-z] that no other test uses, for client ids and topics."""
    return unique_id()


def _skip_if_lacking(log: str) -> None:
    """Skip the test if the broker refuses to start for want of what the test configures."""
    for line in log.splitlines():
        if "not available in this version" in line:
            pytest.skip(f"the broker: {line.strip()}")


@pytest.fixture
def broker_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartBroker]:
    """Start brokers of the test's own, as ``broker_process(config, mosquitto=lines)``.

    ``config`` is merged into the configuration of ours; ``mosquitto`` holds the equivalent lines
    for mosquitto, None if there is no equivalent (the test is then skipped there). Each broker is
    ended by SIGTERM and must have ended well.
    """
    started: list[BrokerProcess] = []

    def start(config: dict[str, Any] | None = None, *, mosquitto: str | None = "") -> BrokerProcess:
        if broker_kind() == "mosquitto" and mosquitto is None:
            pytest.skip("mosquitto has no equivalent of this configuration")
        try:
            process = BrokerProcess(
                tmp_path_factory.mktemp("broker"), config or {}, mosquitto or ""
            )
        except BrokerStartError as error:
            _skip_if_lacking(str(error))
            raise
        started.append(process)
        return process

    yield start
    errors: list[AssertionError] = []
    for process in started:
        try:
            process.stop()
        except AssertionError as error:
            errors.append(error)
    if errors:
        raise errors[0]


@pytest.fixture(scope="session")
def shared_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedBroker]:
    """Hold the broker of the session; tests ask for ``broker``."""
    shared = SharedBroker(lambda: BrokerProcess(tmp_path_factory.mktemp("shared-broker"), {}, ""))
    yield shared
    shared.stop()


@pytest.fixture
def broker(shared_broker: SharedBroker) -> Iterator[BrokerProcess]:
    """Give a broker that other tests use too: take client ids and topics from ``unique``."""
    yield shared_broker.get()
    shared_broker.check()
