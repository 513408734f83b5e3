#!/usr/bin/env python3
"""Load a broker with everything at once, for long, and see that it loses nothing and does not grow.

Rounds of the same work follow each other until the time is over. In each, at the same time: flows
of QoS 0 over TCP, QoS 1 over WebSocket and QoS 2 over TLS, one message to many, many subscriptions,
retained messages, connections that come and go; wills, take-overs, and messages for a client that
is away. Every message is accounted for. After the first quarter, the memory of the broker's process
is compared between rounds early and late.

Exit status: 0 when all is well, 1 when something was lost or the broker has grown, 2 when nothing
could be measured.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[2]))

from benchmarks.load import measure, peers, tools, visitors
from benchmarks.load.answers import resident_bytes

# What the load generator does in a round, by name. Paced, as the point is not to be fast.
FLOWS: dict[str, tuple[str, ...]] = {
    "qos0": ("pairs", "--P", "10", "--rate", "5000", "--secs", "1"),
    "qos1-ws": ("pairs", "--P", "10", "--rate", "2000", "--qos", "1", "--secs", "1", "--ws", "1"),
    "qos2-tls": ("pairs", "--P", "10", "--rate", "1000", "--qos", "2", "--secs", "1", "--tls", "1"),
    "fanout": ("fanout", "--S", "50", "--window", "20", "--qos", "1", "--secs", "0.5"),
    "subscriptions": ("subs", "--T", "5000", "--S", "20", "--P", "2", "--window", "20",
                      "--secs", "0.5"),
    "retained": ("retained", "--count", "3000"),
    "connections": ("connect", "--count", "300", "--conc", "20"),
}  # fmt: skip
# Fewest rounds whose memory is compared; with fewer the allocator's habits are all there is to see.
ENOUGH = 12
# How much of the memory may be more in late rounds than in early ones.
TOLERANCE = 0.02


@dataclass
class Result:
    """What a run has shown."""

    problems: list[str] = field(default_factory=list)
    memory: list[int] = field(default_factory=list)  # bytes, at the end of each round
    delivered: int = 0

    def windows(self) -> tuple[float, float] | None:
        """Return the median memory of early and of late rounds, if there were enough."""
        steady = self.memory[len(self.memory) // 4 :]
        if len(self.memory) < ENOUGH:
            return None
        third = len(steady) // 3
        return statistics.median(steady[:third]), statistics.median(steady[-third:])

    def has_grown(self) -> bool:
        """Tell whether late rounds need more memory than early ones, beyond the tolerance."""
        found = self.windows()
        return found is not None and found[1] > found[0] * (1 + TOLERANCE)

    def render(self) -> str:
        """Return the result as text."""
        lines = [f"{len(self.memory)} rounds, {self.delivered:,} messages delivered"]
        if found := self.windows():
            early, late = (size / 2**20 for size in found)
            grown = 100 * (late / early - 1)
            lines.append(
                f"memory: {early:.1f} MiB early, {late:.1f} MiB late, {grown:+.1f} %"
                f" (at most +{100 * TOLERANCE:.0f} %)"
            )
        else:
            lines.append(f"memory: not compared, which takes {ENOUGH} rounds")
        lines += [f"PROBLEM: {problem}" for problem in self.problems]
        return "\n".join(lines)


@dataclass(frozen=True)
class Listeners:
    """Where the broker listens, beside its first port, which is TCP."""

    certificate: peers.Certificate
    tls: int = field(default_factory=peers.free_port)
    websocket: int = field(default_factory=peers.free_port)

    def config(self) -> str:
        """Return YAML that follows the first listener."""
        return (
            f"  tls:\n    type: tcp\n    bind: {peers.HOST}:{self.tls}\n    ssl: true\n"
            f"    certfile: {self.certificate.cert}\n    keyfile: {self.certificate.key}\n"
            f"  websocket:\n    type: ws\n    bind: {peers.HOST}:{self.websocket}\n"
        )

    def port_for(self, args: Sequence[str], tcp: int) -> int:
        """Return where a flow is to connect."""
        return self.tls if "--tls" in args else self.websocket if "--ws" in args else tcp


async def _flow(name: str, port: int, pid: int) -> measure.Row:
    args = FLOWS[name]
    program = tools.build("mqttload", tls="--tls" in args)
    command = [str(program), *args, "--prefix", name, "--timeout", "60", "--stall-ms", "20000"]
    if args[0] == "retained":
        command += ["--filter", f"{name}/#"]
    running = await asyncio.create_subprocess_exec(
        *command, "--port", str(port), "--pid", str(pid),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    output, errors = await running.communicate()
    row = measure.parse_output(output.decode(), errors.decode())
    row["name"] = name
    return row


async def _round(number: int, broker: peers.Peer, listeners: Listeners, result: Result) -> None:
    flows = [
        _flow(name, listeners.port_for(args, broker.port), broker.pid)
        for name, args in FLOWS.items()
    ]
    met = visitors.Visitors(broker.port)
    rows, problems = await asyncio.gather(asyncio.gather(*flows), met.visit())
    result.problems += [f"round {number}: {problem}" for problem in problems]
    result.delivered += met.delivered
    for row in rows:
        result.delivered += int(row.get("delivered", 0))
        if row.get("ok") != 1:
            result.problems.append(f"round {number}, {row['name']}: {row}")
    result.memory.append(resident_bytes(broker.pid))


@contextlib.contextmanager
def _broker(folder: Path, threads: int) -> Iterator[tuple[peers.Peer, Listeners]]:
    listeners = Listeners(peers.make_certificate(folder))
    spec = peers.amqtt_spec(threads=threads, extra=listeners.config())
    with peers.Peer(spec, folder) as broker:
        yield broker, listeners


async def _rounds(
    broker: peers.Peer, listeners: Listeners, seconds: float, tell: Callable[[str], None]
) -> Result:
    result = Result()
    until = time.monotonic() + seconds
    while time.monotonic() < until and broker.alive and len(result.problems) < 10:
        await _round(len(result.memory), broker, listeners, result)
        tell(f"round {len(result.memory)}: {result.memory[-1] / 2**20:.1f} MiB")
    if not broker.alive:
        result.problems.append("the broker has exited")
    if result.has_grown():
        result.problems.append("the broker has grown")
    return result


def run(
    seconds: float, folder: Path, threads: int = 1, tell: Callable[[str], None] = lambda _: None
) -> Result:
    """Load a broker of its own for some seconds; at least one round."""
    for tls in (False, True):
        tools.build("mqttload", tls=tls)
    with _broker(folder, threads) as (broker, listeners):
        return asyncio.run(_rounds(broker, listeners, seconds, tell))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("seconds", type=float, nargs="?", default=3600, help="how long (3600)")
    parser.add_argument("--threads", type=int, default=1, help="of the broker (1)")
    args = parser.parse_args(argv)
    peers.raise_file_limit()
    with tempfile.TemporaryDirectory(prefix="mqtt-soak-") as folder:
        try:
            result = run(
                args.seconds,
                Path(folder),
                args.threads,
                lambda line: print(line, file=sys.stderr, flush=True),
            )
        except (peers.PeerError, tools.BuildError, OSError) as error:
            print(error, file=sys.stderr)
            return 2
    print(result.render())
    return 1 if result.problems else 0


if __name__ == "__main__":
    sys.exit(main())
