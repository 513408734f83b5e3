"""Memory that strangers can make a broker take: unanswered questions, and packets without end."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import support
from support.abuse import MIB, Watch, crowd, descriptors, watched
from support.blocking import BLOCKED
from support.endpoints import resident_bytes
from support.process import BrokerProcess, StartBroker
from support.wire import CONNACK_ACCEPTED, WireClient, connect, string

PLUGIN = "support.blocking.BlocksTheLoop"
LIMIT = 60.0
# The broker's own bounds.
QUESTIONS = 64 * MIB
STRANGERS = 272 // 4 * MIB
SLACK = 32 * MIB
A_CONNECTION = 8 << 10
KEPT = 24 * MIB  # by allocators, after everything has ended; of questions each thread's keeps all
CONNECTS = 2000
BIG = bytes(60_000)
BUSY = b"\x20\x02\x00\x03"


@pytest.fixture(autouse=True)
def plugin_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let brokers find the plugins of the tests."""
    folder = Path(support.__file__).parent.parent
    path = os.environ.get("PYTHONPATH")
    monkeypatch.setenv("PYTHONPATH", f"{folder}:{path}" if path else str(folder))


@contextlib.contextmanager
def blocked(broker: BrokerProcess, file: Path) -> Iterator[None]:
    """Block the event loop of the broker."""
    file.touch()
    with WireClient(broker.port) as client:
        client.send(connect("block", username="block"))
        try:
            broker.wait_for_log(BLOCKED)
            yield
        finally:
            file.unlink()
        client.expect(CONNACK_ACCEPTED, LIMIT)


def start(broker_process: StartBroker, file: Path, **config: Any) -> BrokerProcess:
    return broker_process({"plugins": {PLUGIN: {"file": str(file)}}, **config}, mosquitto=None)


def big_connect(number: int) -> bytes:
    return connect(
        f"c{number}", username="u", password=BIG.decode(), will=("will", BIG), keep_alive=0
    )


def until_shrunk(broker: BrokerProcess, most: int) -> None:
    """Wait until the broker has given its memory back."""
    deadline = time.monotonic() + LIMIT
    while (resident_bytes(broker.pid) or 0) > most:
        assert time.monotonic() < deadline, f"{(resident_bytes(broker.pid) or 0) / MIB:.0f} MiB"
        time.sleep(0.05)


@pytest.mark.parametrize("threads", [1, 2])
def test_connects_that_wait_for_a_blocked_plugin(
    broker_process: StartBroker, tmp_path: Path, threads: int
) -> None:
    """2,000 CONNECTs of 120 KB, 240 MB in all, while the event loop is blocked."""
    file = tmp_path / "block"
    broker = start(broker_process, file, threads=threads)
    count = descriptors(CONNECTS)
    bound = QUESTIONS + SLACK + count * A_CONNECTION
    before = resident_bytes(broker.pid) or 0
    with watched(broker, memory=bound), crowd(broker.port, count) as peers:
        with blocked(broker, file):
            for number, peer in enumerate(peers):
                peer.send(big_connect(number))
            refused = sum(_is_refused(peer) for peer in peers[-100:])
            assert refused == min(count, 100)
        peers[0].expect(CONNACK_ACCEPTED, LIMIT)
    until_shrunk(broker, before + threads * QUESTIONS + KEPT)
    with WireClient(broker.port) as later:
        later.login(connect("later")).ping()


def _is_refused(peer: WireClient) -> bool:
    peer.expect(BUSY, LIMIT)
    return True


@pytest.mark.parametrize("threads", [1, 2])
def test_clients_that_connect_and_leave(
    broker_process: StartBroker, tmp_path: Path, threads: int
) -> None:
    """3,000 clients send CONNECT with a will and are gone, while the event loop is blocked."""
    file = tmp_path / "block"
    broker = start(broker_process, file, threads=threads)
    before = resident_bytes(broker.pid) or 0
    with watched(broker, memory=QUESTIONS + SLACK):
        with blocked(broker, file):
            for number in range(3000):
                with WireClient(broker.port) as peer:
                    peer.send(big_connect(number))
        with WireClient(broker.port) as later:
            later.send(connect("later", username="u"))
            later.expect(CONNACK_ACCEPTED, LIMIT)
    until_shrunk(broker, before + threads * QUESTIONS + KEPT)


def test_half_connects(broker_process: StartBroker) -> None:
    """1,000 strangers send 254 KiB of a CONNECT each; what they had is given back."""
    broker = broker_process(mosquitto=None)
    count = descriptors(1000)
    half = b"\x10\xf0\xff\x0f" + string("MQTT") + b"\x05\x02\x00\x00" + bytes(254 << 10)
    before = resident_bytes(broker.pid) or 0
    bound = STRANGERS + SLACK + count * A_CONNECTION
    with watched(broker, memory=bound), crowd(broker.port, count) as peers:
        for peer in peers:
            peer.send(half)
        with WireClient(broker.port) as client:
            client.login(connect("client")).ping()
    until_shrunk(broker, before + KEPT)


def test_half_publishes(broker_process: StartBroker) -> None:
    """Eight clients without keep alive send 20 MiB of a PUBLISH each and then nothing."""
    limits = {"max_unfinished_bytes": 64 * MIB, "packet_timeout": 1}
    broker = broker_process({"limits": limits}, mosquitto=None)
    before = resident_bytes(broker.pid) or 0
    with watched(broker, memory=64 * MIB + SLACK), crowd(broker.port, 8) as peers:
        for number, peer in enumerate(peers):
            peer.login(connect(f"c{number}", keep_alive=0))
            peer.send(b"\x30\xff\xff\xff\x7f" + string("t") + bytes(20 * MIB))
        for peer in peers:
            peer.expect_close(LIMIT)
    until_shrunk(broker, before + KEPT)


@pytest.mark.parametrize("keep_alive", [0, 1])
def test_packets_that_trickle(broker_process: StartBroker, keep_alive: int) -> None:
    """A byte now and then keeps nobody connected: a packet has its time limit."""
    broker = broker_process({"limits": {"packet_timeout": 1}}, mosquitto=None)
    count = 20
    with watched(broker, memory=SLACK), crowd(broker.port, count) as peers:
        for number, peer in enumerate(peers):
            peer.login(connect(f"c{number}", keep_alive=keep_alive))
            peer.send(b"\x30\xff\xff\x03" + string("t"))
        open_peers, end = list(peers), time.monotonic() + LIMIT
        while open_peers and time.monotonic() < end:
            for peer in open_peers:
                peer.send(b"x")
            # The time between two bytes; closes are noticed meanwhile.
            open_peers = [peer for peer in open_peers if not _closes(peer, 0.3 / count)]
        assert not open_peers


def _closes(peer: WireClient, limit: float) -> bool:
    with contextlib.suppress(AssertionError):
        peer.expect_close(limit)
        return True
    return False


def test_first_bytes_that_are_not_connect(broker_process: StartBroker) -> None:
    """Whoever does not begin with CONNECT is not waited for."""
    broker = broker_process({"limits": {"connect_timeout": 3600}}, mosquitto=None)
    with watched(broker, memory=SLACK):
        for first in (0x00, 0x11, 0x16, 0x30, 0x47, 0x82, 0xC0, 0xFF):
            with WireClient(broker.port) as peer:
                peer.send(bytes([first]))
                peer.expect_close()


def test_the_watch_sees_what_a_peer_makes_a_broker_keep(broker_process: StartBroker) -> None:
    """The bounds of these tests are worth something: what one client may send is measured."""
    broker = broker_process(mosquitto=None)
    watch = Watch(broker)
    with WireClient(broker.port) as client:
        client.login(connect("c", keep_alive=0))
        client.send(b"\x30\xff\xff\xff\x7f" + string("t") + bytes(48 * MIB))
        deadline = time.monotonic() + LIMIT
        while watch.peak_growth() < 40 * MIB:
            assert time.monotonic() < deadline
            time.sleep(0.02)
