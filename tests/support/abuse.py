"""What the tests of abuse share: a broker under watch, and peers that send without manners."""

import contextlib
import os
import resource
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from support.unique import unique_id
from support.wire import WireClient, connect, publish

MIB = 1 << 20
# Seconds of CPU time for any one test: far from what the work takes, and near enough to notice
# work that grows with the square of what was sent, or that does not end.
CPU_LIMIT = 30.0
ROUND_TRIPS_AFTERWARDS = 20
# Without progress for this long a flood counts as held up.
_HELD_UP = 1.0


def _status_bytes(pid: int, field_name: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(field_name + ":"):
            return int(line.split()[1]) * 1024
    msg = f"no {field_name} in /proc/{pid}/status"
    raise AssertionError(msg)


def cpu_seconds(pid: int) -> float:
    """Return the CPU time that a process has used, in user and system mode."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    ticks: float = os.sysconf("SC_CLK_TCK")
    return (int(fields[11]) + int(fields[12])) / ticks


class Witness:
    """A pair of clients that exchange numbered messages and must not notice anything.

    Attributes:
        round_trips: messages that have arrived, each before the next was published.

    """

    def __init__(self, port: int) -> None:
        """Connect both clients and start to exchange messages."""
        name = unique_id()
        self._topic = f"witness/{name}"
        self._sub = WireClient(port).login(connect(f"{name}s", keep_alive=0))
        self._sub.subscribe(self._topic)
        self._pub = WireClient(port).login(connect(f"{name}p", keep_alive=0))
        self.round_trips = 0
        self._error: BaseException | None = None
        self._last: int | None = None
        self._thread = threading.Thread(target=self._run, name="witness")
        self._thread.start()

    def _run(self) -> None:
        try:
            while self._last is None or self.round_trips < self._last:
                message = publish(self._topic, b"%d" % self.round_trips)
                self._pub.send(message)
                self._sub.expect(message)
                self.round_trips += 1
            self._pub.ping()
            self._sub.ping()
        except BaseException as error:  # reported where the test runs
            self._error = error

    def finish(self) -> None:
        """Require some more round trips, all in order, and nothing else; then leave."""
        self._last = self.round_trips + ROUND_TRIPS_AFTERWARDS
        self._thread.join()
        self._sub.abort()
        self._pub.abort()
        if self._error is not None:
            msg = f"the witness noticed after {self.round_trips} round trips: {self._error}"
            raise AssertionError(msg) from self._error


class Target(Protocol):
    """A broker in a process of its own with a listener for TCP."""

    @property
    def pid(self) -> int:
        """Return the process id."""

    @property
    def port(self) -> int:
        """Return the port of the listener."""


@dataclass
class Watch:
    """A broker process whose memory and CPU time are bounded while a test abuses it."""

    process: Target
    _memory_before: int = field(init=False)
    _cpu_before: float = field(init=False)

    def __post_init__(self) -> None:
        """Start to measure."""
        # Makes VmHWM begin anew, so that it is the peak of this test.
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")
        self._memory_before = _status_bytes(self.process.pid, "VmRSS")
        self._cpu_before = cpu_seconds(self.process.pid)

    def peak_growth(self) -> int:
        """Return by how many bytes the process was larger at most than before."""
        return _status_bytes(self.process.pid, "VmHWM") - self._memory_before

    def cpu(self) -> float:
        """Return the CPU time since the beginning."""
        return cpu_seconds(self.process.pid) - self._cpu_before


@contextlib.contextmanager
def watched(process: Target, *, memory: int, cpu: float = CPU_LIMIT) -> Iterator[None]:
    """Run a test's abuse beside a witness.

    Args:
        process: the broker.
        memory: bytes by which it may grow in the meantime.
        cpu: seconds of CPU time it may use.

    Yields:
        Nothing.

    Raises:
        AssertionError: a bound was exceeded, or the witness missed a message.

    """
    witness = Witness(process.port)
    watch = Watch(process)
    try:
        yield
    finally:
        witness.finish()
    grown = watch.peak_growth()
    assert grown <= memory, f"the broker grew by {grown / MIB:.1f} MiB"
    used = watch.cpu()
    assert used <= cpu, f"the broker used {used:.1f} s of CPU time"


def descriptors(wanted: int) -> int:
    """Return how many connections a test may open: those it wants, or what the system admits."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return wanted if soft == resource.RLIM_INFINITY else min(wanted, soft - 200)


@contextlib.contextmanager
def crowd(port: int, count: int) -> Iterator[list[WireClient]]:
    """Open connections, and drop those that are left at the end.

    Args:
        port: where the broker listens.
        count: how many.

    Yields:
        The connections.

    """
    peers: list[WireClient] = []
    try:
        for _ in range(count):
            peers.append(WireClient(port))
        yield peers
    finally:
        for peer in peers:
            peer.abort()


def flood(client: WireClient, unit: bytes, total: int) -> int:
    """Send ``unit`` over and over without reading, until the peer takes no more.

    Args:
        client: the connection.
        unit: whole packets.
        total: bytes after which to stop in any case.

    Returns:
        How many whole units were sent; of the next one part may be sent, see ``complete``.

    """
    many = unit * max(2, 65536 // len(unit))
    sent = 0
    while sent < total:
        count = client.send_some(many[sent % len(unit) :], _HELD_UP)
        if count == 0:
            break
        sent += count
    client.unfinished = unit[sent % len(unit) :] if sent % len(unit) else b""
    return sent // len(unit)


def drain(client: WireClient, unit_answer: bytes, units: int) -> None:
    """Read the answers to a flood, and require that it is answered to the end.

    Args:
        client: the connection that ``flood`` was called for.
        unit_answer: the answer to each unit.
        units: what ``flood`` has returned.

    """
    step = max(1, 65536 // len(unit_answer))
    for done in range(0, units, step):
        client.expect(unit_answer * min(step, units - done))
    if client.unfinished:
        client.send(client.unfinished)
        client.expect(unit_answer)
