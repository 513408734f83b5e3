"""How long one client's messages take while another client makes the broker work.

    python -m benchmarks.load.fairness                     # a table of all loads
    python -m benchmarks.load.fairness --load pings,qos0 --seconds 5 --threads 2

A victim publishes at QoS 1 to a subscriber of its own, one message after the other, first without
and then with a load from another process. The project's aim: no load raises the 99th percentile
over ten times that of the quiet broker, or 5 ms, whichever is larger.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import select
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.load import peers

ANSWER_LIMIT = 60.0
CHUNK = 1 << 17
QUIET_SECONDS = 1.0


def _string(text: str) -> bytes:
    raw = text.encode()
    return len(raw).to_bytes(2, "big") + raw


def _packet(first: int, body: bytes = b"") -> bytes:
    length, encoded = len(body), bytearray()
    while True:
        length, digit = divmod(length, 128)
        encoded.append(digit | (0x80 if length else 0))
        if not length:
            return bytes([first]) + bytes(encoded) + body


def _connect(client_id: str, *, clean: bool = True) -> bytes:
    return _packet(0x10, _string("MQTT") + bytes([4, 2 if clean else 0, 0, 0]) + _string(client_id))


def _publish(topic: str, payload: bytes = b"", *, qos: int = 0, retain: bool = False) -> bytes:
    packet_id = b"\x00\x01" if qos else b""
    return _packet(0x30 | qos << 1 | retain, _string(topic) + packet_id + payload)


def _subscribe(filters: Sequence[str], qos: int = 0) -> bytes:
    return _packet(0x82, b"\x00\x01" + b"".join(_string(each) + bytes([qos]) for each in filters))


def _unsubscribe(filters: Sequence[str]) -> bytes:
    return _packet(0xA2, b"\x00\x01" + b"".join(_string(each) for each in filters))


class _Client:
    """One connection that sends and reads packets, and waits for each."""

    def __init__(self, port: int, client_id: str, *, clean: bool = True) -> None:
        self.socket = socket.create_connection((peers.HOST, port), ANSWER_LIMIT)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._pending = bytearray()
        self.send(_connect(client_id, clean=clean))
        self.read()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def read(self) -> bytes:
        """Return the next packet."""
        while True:
            packet = self._take()
            if packet is not None:
                return packet
            data = self.socket.recv(CHUNK)
            if not data:
                raise ConnectionError("the broker has closed the connection")
            self._pending += data

    def _take(self) -> bytes | None:
        size, shift = 0, 0
        for at, byte in enumerate(self._pending[1:5], start=1):
            size |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                whole = at + 1 + size
                if len(self._pending) < whole:
                    return None
                packet = bytes(self._pending[:whole])
                del self._pending[:whole]
                return packet
        return None


# -- loads: what the other client sends over and over, once it is prepared


@dataclass(frozen=True)
class Size:
    """How much a load prepares."""

    filters: int = 20_000
    members: int = 20_000
    retained: int = 20_000
    subscribers: int = 50


SMALL = Size(filters=6_000, members=2_000, retained=10_000)


@dataclass
class Prepared:
    """A load: connections, of which the first sends the packets again and again."""

    sender: _Client
    packets: Iterator[bytes]
    readers: Sequence[_Client] = ()


def _again(data: bytes) -> Iterator[bytes]:
    many = data * max(1, CHUNK // len(data))
    while True:
        yield many


def _wildcards(port: int, size: Size) -> Prepared:
    """Many filters with `+` at many levels, and messages of topics that were never seen."""
    client = _Client(port, "load")
    chosen = random.Random(7)
    filters = ["/".join(chosen.choice("+a") for _ in range(30)) for _ in range(size.filters)]
    for at in range(0, len(filters), 100):
        client.send(_subscribe([each + "/x" for each in filters[at : at + 100]]))
        client.read()

    def packets() -> Iterator[bytes]:
        number = 0
        while True:
            yield b"".join(_publish("a/" * 30 + str(number + n)) for n in range(1000))
            number += 1000

    return Prepared(client, packets())


def _absent(port: int, size: Size) -> Prepared:
    """A shared subscription most members of which are away."""
    for number in range(size.members):
        member = _Client(port, f"member{number}", clean=False)
        member.send(_subscribe(["$share/group/topic"], 0))
        member.read()
        member.socket.close()
    return Prepared(_Client(port, "load"), _again(_publish("topic", b"x" * 16)))


def _retain(port: int, size: Size) -> _Client:
    client = _Client(port, "load")
    for number in range(size.retained):
        client.send(_publish(f"r/{number}", b"x" * 16, retain=True))
    client.send(b"\xc0\x00")
    client.read()
    return client


def _no_retained(port: int, size: Size) -> Prepared:
    """Subscriptions that no retained message matches, though all have to be looked at."""
    unit = b"".join(_subscribe([f"+/+/none{number}"]) for number in range(200))
    return Prepared(_retain(port, size), _again(unit))


def _all_retained(port: int, size: Size) -> Prepared:
    """All retained messages, again and again."""
    return Prepared(_retain(port, size), _again(_subscribe(["r/#"])))


def _fan_out(port: int, size: Size) -> Prepared:
    """Messages for many subscribers."""
    readers = [_Client(port, f"reader{number}") for number in range(size.subscribers)]
    for each in readers:
        each.send(_subscribe(["fan"]))
        each.read()
    return Prepared(_Client(port, "load"), _again(_publish("fan", b"x" * 64)), readers)


def _filters(port: int, size: Size) -> Prepared:
    """Packets with very many filters that come and go."""
    names = [f"f/{number}" for number in range(size.filters)]
    return Prepared(_Client(port, "load"), _again(_subscribe(names) + _unsubscribe(names)))


def _plain(data: bytes) -> Callable[[int, Size], Prepared]:
    def prepare(port: int, _size: Size) -> Prepared:
        return Prepared(_Client(port, "load"), _again(data))

    return prepare


LOADS: dict[str, Callable[[int, Size], Prepared]] = {
    "wildcards": _wildcards,
    "absent": _absent,
    "no_retained": _no_retained,
    "all_retained": _all_retained,
    "fan_out": _fan_out,
    "pings": _plain(b"\xc0\x00"),
    "qos0": _plain(_publish("topic", b"x" * 16)),
    "qos1": _plain(_publish("topic", b"x" * 16, qos=1)),
    "filters": _filters,
}


def attack(port: int, name: str, size: Size) -> None:
    """Prepare a load, say so, and send it until standard input ends."""
    os.nice(10)  # what is measured is the broker, not how the system shares its processors
    load = LOADS[name](port, size)
    sockets = [load.sender.socket, *(each.socket for each in load.readers)]
    for connected in sockets:
        connected.setblocking(False)
    print("ready", flush=True)
    rest = memoryview(next(load.packets))
    while True:
        readable, writable, _ = select.select([sys.stdin, *sockets], [load.sender.socket], [])
        if sys.stdin in readable:
            return
        for source in readable:
            if isinstance(source, socket.socket) and not source.recv(1 << 20):
                raise ConnectionError("the broker has closed the connection")
        if writable:
            with contextlib.suppress(BlockingIOError):
                rest = rest[load.sender.socket.send(rest) :]
            if not rest:
                rest = memoryview(next(load.packets))


@contextlib.contextmanager
def under_load(port: int, name: str, *, small: bool = False) -> Iterator[None]:
    """Let another process send a load, from when it is prepared on."""
    command = [sys.executable, "-m", "benchmarks.load.fairness", "--attack", name]
    command += ["--port", str(port), *(["--small"] if small else [])]
    with subprocess.Popen(
        command,
        cwd=Path(__file__).resolve().parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            if process.stdout.readline() != b"ready\n":
                raise peers.PeerError(f"the load {name} could not be prepared")
            yield
            if process.poll() is not None:
                raise peers.PeerError(f"the load {name} has ended")
        finally:
            process.kill()


# -- the victim


class Victim:
    """A publisher and a subscriber, whose round trips are measured."""

    def __init__(self, port: int) -> None:
        """Connect both."""
        self._sub = _Client(port, "victim-sub")
        self._sub.send(_subscribe(["victim"], 1))
        self._sub.read()
        self._pub = _Client(port, "victim-pub")

    def close(self) -> None:
        """Drop both connections."""
        self._sub.socket.close()
        self._pub.socket.close()

    def round_trip(self) -> float:
        """Return the seconds from a PUBLISH to its PUBACK and its arrival, whichever is later."""
        start = time.perf_counter()
        self._pub.send(_publish("victim", b"x" * 16, qos=1))
        message = self._sub.read()
        at = message.index(b"victim") + len(b"victim")
        self._pub.read()
        elapsed = time.perf_counter() - start
        self._sub.send(b"\x40\x02" + message[at : at + 2])
        return elapsed

    def measure(self, seconds: float, least: int = 100) -> list[float]:
        """Return the sorted round trips of a time, and at least so many."""
        trips: list[float] = []
        end = time.perf_counter() + seconds
        while len(trips) < least or time.perf_counter() < end:
            trips.append(self.round_trip())
        return sorted(trips)


def percentile(trips: Sequence[float], share: float) -> float:
    """Return the round trip that this share of them does not exceed."""
    return trips[min(len(trips) - 1, int(len(trips) * share))]


def _row(name: str, seconds: float, threads: int, folder: Path) -> str:
    with (
        peers.Peer(peers.amqtt_spec(threads=threads), folder) as broker,
        contextlib.closing(Victim(broker.port)) as victim,
    ):
        quiet = victim.measure(QUIET_SECONDS)
        with under_load(broker.port, name):
            loaded = victim.measure(seconds, least=20)
    before, after = percentile(quiet, 0.99), percentile(loaded, 0.99)
    cells = [percentile(quiet, 0.5), before, percentile(loaded, 0.5), after, loaded[-1]]
    shown = " ".join(f"{cell * 1000:10.2f}" for cell in cells)
    return f"{name:14} {shown} {after / before:8.1f}"


def main() -> int:
    """Print a row for each load."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--load", default=",".join(LOADS), help="which, separated by commas")
    parser.add_argument("--seconds", type=float, default=5.0, help="of each measurement")
    parser.add_argument("--threads", type=int, default=1, help="of the broker")
    parser.add_argument("--attack", help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--small", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.attack:
        attack(args.port, args.attack, SMALL if args.small else Size())
        return 0
    print("round trips of a victim, ms")
    heads = ("quiet p50", "p99", "load p50", "p99", "max")
    print(f"{'load':14} " + " ".join(f"{head:>10}" for head in heads) + f" {'p99 x':>8}")
    with tempfile.TemporaryDirectory() as folder:
        for name in args.load.split(","):
            print(_row(name, args.seconds, args.threads, Path(folder)), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
