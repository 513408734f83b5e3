"""What a measurement of one client consists of, and the interface that each client's driver has."""

from __future__ import annotations

import json
import struct
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

MODES = {
    "pub0": "publish QoS 0, ended by one acknowledged message",
    "pub1": "publish QoS 1, each awaited",
    "pub1w": "publish QoS 1, many in flight",
    "pub2": "publish QoS 2, each awaited",
    "recv0": "receive QoS 0",
    "recv1": "receive QoS 1",
    "rtt": "publish and receive the same message, one at a time",
}
PUBLISH_PREFIX = "c"
PUBLISH_TOPIC = f"{PUBLISH_PREFIX}/pub"
END_TOPIC = "end"
RECEIVE_PREFIX = "r"
ECHO_TOPIC = "e"
KEEP_ALIVE = 600
HOST = "127.0.0.1"

HEADER = struct.Struct("<IIQQ")  # magic, stream, sequence, time: the load generator's payload
MAGIC = 0x4D514C44


@dataclass(frozen=True)
class Job:
    """One measurement."""

    mode: str
    count: int
    port: int
    size: int = 64
    window: int = 100

    @property
    def qos(self) -> int:
        """Return the QoS that the mode's name tells."""
        digits = [c for c in self.mode if c.isdigit()]
        return int(digits[0]) if digits else 0


@dataclass
class Meter:
    """A stopwatch of wall time and of this process's CPU time (all its threads)."""

    seconds: float = 0.0
    cpu: float = 0.0
    count: int = 0
    round_trips: list[float] = field(default_factory=list)
    _wall: float = 0.0
    _cpu: float = 0.0

    def start(self) -> None:
        """Start."""
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def stop(self, count: int) -> None:
        """Stop, after so many messages."""
        self.seconds = time.perf_counter() - self._wall
        self.cpu = time.process_time() - self._cpu
        self.count = count

    def result(self) -> dict[str, float]:
        """Return rates and costs."""
        found = {
            "count": self.count,
            "seconds": round(self.seconds, 4),
            "per_s": round(self.count / self.seconds, 1),
            "cpu_us": round(self.cpu / self.count * 1e6, 3),
            "rss_mb": round(peak_memory() / 2**20, 1),
        }
        if self.round_trips:
            ordered = sorted(self.round_trips)
            found["p50_us"] = round(ordered[len(ordered) // 2] * 1e6, 1)
            found["p99_us"] = round(ordered[len(ordered) * 99 // 100] * 1e6, 1)
        return found


def peak_memory() -> int:
    """Return the most memory that this process has had resident, in bytes."""
    # Not getrusage: what it tells begins with the size of the parent process.
    status = Path("/proc/self/status").read_text(encoding="ascii")
    line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


class Driver(ABC):
    """One client library. `run` connects, does the job and disconnects."""

    distribution: str
    keeps_session = False  # in a file; our client only

    @abstractmethod
    def run(self, job: Job, meter: Meter) -> list[bytes]:
        """Do the job; return the payloads that were received, for the account."""


def make_payloads(count: int, size: int) -> list[bytes]:
    """Make numbered payloads before the clock runs, so that a receiver can account for each."""
    fill = b"x" * (size - HEADER.size)
    return [HEADER.pack(MAGIC, 0, number, 0) + fill for number in range(count)]


def count_faults(payloads: Iterable[bytes], expected: int, size: int) -> int:
    """Count what is missing, repeated, out of order or damaged."""
    faults = 0
    due = 0
    for payload in payloads:
        number = -1
        if len(payload) == size:
            magic, _stream, number, _time = HEADER.unpack_from(payload)
            number = number if magic == MAGIC else -1
        faults += number != due
        due = max(due, number) + 1 if number >= 0 else due
    return faults + abs(expected - due)


def announce_ready() -> None:
    """Tell the parent process that the subscription is in place and messages may come."""
    print(json.dumps({"event": "ready"}), flush=True)
