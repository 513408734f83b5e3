#!/usr/bin/env python3
"""Measure QoS 1 messages into a session that is away: what a durable acknowledgement costs.

A publisher sends QoS 1 messages to a topic that a persistent session has subscribed to whose client
is away, so that every message has to be stored. First as fast as its window allows, then at half of
the rate that was reached, and at a rate that is the same for all, with the time from PUBLISH to
PUBACK. Brokers start from nothing for each run and take turns:

    memory        amqtt without storage
    sqlite        amqtt with SessionDBPlugin on a SQLite file, everything at its default
    sqlite_lazy   the same with `durable: false`
    postgresql    amqtt with SessionDBPlugin on PostgreSQL (Debian's package), if there is any
    mosquitto     with `persistence true` and autosave: a crash loses what came since. Debian 12 has
                  2.0.11, which knows no SQLite plugin; that came with 2.1

The folder of the databases is `--folder`: it should be on a real disk.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import statistics
import struct
import sys
import tempfile
import time
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[2]))

from benchmarks.load import peers
from benchmarks.load.databases import cpu_seconds, fsync_seconds, postgresql

TOPIC = b"durable/benchmark"
WINDOW = 2000


def field(text: bytes) -> bytes:
    """Encode a string."""
    return struct.pack(">H", len(text)) + text


def packet(first: int, body: bytes) -> bytes:
    """Put a fixed header in front of a body of less than 16,384 bytes."""
    size = len(body)
    length = bytes([size]) if size < 128 else bytes([size % 128 | 128, size // 128])
    return bytes([first]) + length + body


def connect(client_id: bytes, clean: bool) -> bytes:
    """Encode a CONNECT of MQTT 3.1.1 without keep alive."""
    flags = 2 if clean else 0
    return packet(0x10, field(b"MQTT") + bytes([4, flags, 0, 0]) + field(client_id))


class Publisher(asyncio.Protocol):
    """Send messages with packet identifiers in turn, and note when each is acknowledged."""

    def __init__(self, size: int) -> None:
        """Prepare the part of a PUBLISH behind its identifier."""
        self.ready = asyncio.Event()
        self.payload = b"x" * size
        self.sent_at: dict[int, float] = {}
        self.latencies: list[float] = []
        self.progress = asyncio.Event()
        self._next = 0
        self._rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Introduce itself."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.write(connect(b"publisher", True))

    def data_received(self, data: bytes) -> None:
        """Take acknowledgements, which all have four bytes as CONNACK has."""
        now = time.perf_counter()
        data = self._rest + data
        whole = len(data) // 4 * 4
        self._rest = data[whole:]
        for at in range(0, whole, 4):
            if data[at] == 0x20:
                self.ready.set()
                continue
            if data[at] != 0x40:
                raise RuntimeError(f"the broker answers with packet type {data[at] >> 4}")
            packet_id = data[at + 2] << 8 | data[at + 3]
            self.latencies.append(now - self.sent_at.pop(packet_id))
        self.progress.set()

    def send(self, count: int) -> None:
        """Send so many messages in one go."""
        out = bytearray()
        now = time.perf_counter()
        for _ in range(count):
            self._next = self._next % 60_000 + 1
            self.sent_at[self._next] = now
            out += packet(0x32, field(TOPIC) + struct.pack(">H", self._next) + self.payload)
        self.transport.write(bytes(out))

    async def wait(self) -> None:
        """Wait for the next acknowledgement."""
        self.progress.clear()
        await self.progress.wait()


async def leave_session(port: int) -> None:
    """Make the session that is away."""
    reader, writer = await asyncio.open_connection(peers.HOST, port)
    writer.write(connect(b"away", False))
    writer.write(packet(0x82, struct.pack(">H", 1) + field(TOPIC) + b"\x01"))
    await reader.readexactly(4 + 5)
    writer.write(b"\xe0\x00")
    await reader.read()
    writer.close()


async def load(port: int, count: int, size: int, rate: float | None) -> tuple[float, list[float]]:
    """Publish; return messages per second and the latencies."""
    await leave_session(port)
    loop = asyncio.get_running_loop()
    _, publisher = await loop.create_connection(lambda: Publisher(size), peers.HOST, port)
    await publisher.ready.wait()
    start = time.perf_counter()
    sent = 0
    while sent < count or publisher.sent_at:
        if rate is None:
            more = min(WINDOW - len(publisher.sent_at), count - sent)
            if more >= WINDOW // 4 or (more > 0 and not publisher.sent_at):
                publisher.send(more)
                sent += more
            await publisher.wait()
        else:
            due = min(int((time.perf_counter() - start) * rate) + 1, count) - sent
            if due > 0:
                publisher.send(due)
                sent += due
            await asyncio.sleep(0.001) if sent < count else await publisher.wait()
    taken = time.perf_counter() - start
    publisher.transport.close()
    return count / taken, publisher.latencies


def amqtt_spec(name: str, url: str | None, options: str = "") -> peers.PeerSpec:
    """Describe our broker with a database, or without."""

    def command(port: int, folder: Path) -> list[str]:
        text = peers.amqtt_config(port) + (
            "limits:\n  max_queued_messages: 10000000\n  max_queued_bytes: 4294967296\n"
            "  max_total_queued_bytes: 0\n"
        )
        if url is not None:
            where = url.format(folder=folder)
            text += (
                "plugins:\n"
                "  amqtt.plugins.authentication.AnonymousAuthPlugin: {}\n"
                "  amqtt.contrib.persistence.SessionDBPlugin:\n"
                f"    connection: {where}\n    clear_on_shutdown: true\n{options}"
            )
        config = folder / f"{name}.yaml"
        config.write_text(text, encoding="utf-8")
        return [sys.executable, "-m", "amqtt.scripts.broker_script", "-c", str(config)]

    return peers.PeerSpec(name, command)


def mosquitto_spec() -> peers.PeerSpec:
    """Describe mosquitto with its file, which it writes every now and then."""
    plain = peers.mosquitto_spec()

    def command(port: int, folder: Path) -> list[str]:
        text = peers.mosquitto_config(port).replace("persistence false", "")
        text += f"persistence true\npersistence_location {folder}/\n"
        config = folder / "mosquitto.conf"
        config.write_text(text, encoding="utf-8")
        return [plain.command(port, folder)[0], "-c", str(config)]

    return peers.PeerSpec("mosquitto", command)


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--messages", type=int, default=100_000)
    parser.add_argument("--size", type=int, default=64, help="bytes of a payload")
    parser.add_argument("--rate", type=float, default=15_000, help="messages a second")
    parser.add_argument("--reps", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="where the databases are made")
    args = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="mqtt-durable-", dir=args.folder))
    sync = fsync_seconds(folder)
    results: dict[str, list[tuple[float, ...]]] = {}
    try:
        with postgresql(folder) as server:
            specs = [
                amqtt_spec("memory", None),
                amqtt_spec("sqlite", "sqlite+aiosqlite:///{folder}/sqlite.db"),
                amqtt_spec(
                    "sqlite_lazy", "sqlite+aiosqlite:///{folder}/lazy.db", "    durable: false\n"
                ),
            ]
            if server is not None:
                specs.append(amqtt_spec("postgresql", server))
            if peers.find_mosquitto():
                specs.append(mosquitto_spec())
            for rep in range(args.reps):
                for spec in specs[rep % len(specs) :] + specs[: rep % len(specs)]:
                    row = run(spec, folder, args)
                    results.setdefault(spec.name, []).append(row)
                    print(f"run {rep + 1} {spec.name}: {row[0]:.0f}/s", file=sys.stderr)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"fdatasync of a page takes {sync * 1000:.2f} ms there")
    at_rate = f"at {args.rate:.0f}/s"
    print(f"{'':41}{'at half of that':>20}{at_rate:>20}")
    print(f"{'':14}{'messages/s':>12}{'broker CPU us':>15}" + f"{'p50 ms':>10}{'p99 ms':>10}" * 2)
    for name, rows in results.items():
        medians = [statistics.median(column) for column in zip(*rows, strict=True)]
        latencies = "".join(f"{each:10.2f}" for each in medians[2:])
        print(f"{name:14}{medians[0]:12.0f}{medians[1]:15.2f}{latencies}")
    return 0


def run(spec: peers.PeerSpec, folder: Path, args: argparse.Namespace) -> tuple[float, ...]:
    """Measure a broker: rate, CPU microseconds a message, median and p99 of latency, twice."""
    count, size = args.messages, args.size

    def clean() -> None:
        for old in folder.glob("*.db*"):
            old.unlink()

    clean()
    with peers.Peer(spec, folder) as peer:
        before = cpu_seconds(peer.pid)
        rate, _ = asyncio.run(load(peer.port, count, size, None))
        cpu = (cpu_seconds(peer.pid) - before) / count * 1e6
    row = [rate, cpu]
    for slower in (rate / 2, args.rate):
        clean()
        with peers.Peer(spec, folder) as peer:
            _, latencies = asyncio.run(load(peer.port, min(count, int(slower * 4)), size, slower))
        latencies.sort()
        row += [latencies[int(len(latencies) * part)] * 1000 for part in (0.5, 0.99)]
    return tuple(row)


if __name__ == "__main__":
    sys.exit(main())
