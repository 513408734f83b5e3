"""How a broker behaves when much is asked of it."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.load import peers
from benchmarks.load.answers import Answer, Bench, resident_bytes

# Scenario, and the most system calls a delivery may take.
CALLS = (
    ("p1_q0", "0.01", ("pairs", "--P", "1", "--window", "1000", "--secs", "2")),
    ("p50_q1", "1.2", ("pairs", "--P", "50", "--window", "10", "--qos", "1", "--secs", "2")),
    ("fanout100_q0", "0.10", ("fanout", "--S", "100", "--window", "20", "--secs", "2")),
)
PAIR = ("pairs", "--P", "1", "--window", "1000", "--secs", "2")
CPU = "br_cpu_s_per_m_out"


class TraceError(peers.PeerError):
    """System calls cannot be counted here."""


def calls(bench: Bench) -> Iterator[Answer]:
    """Count the system calls of a broker under strace, for each delivery."""
    for name, aim, args in CALLS:

        def counted(peer: peers.Peer, args: Sequence[str] = args) -> float:
            return calls_per_delivery(bench, peer, args)

        yield Answer(f"system calls for a delivery, {name}", *bench.both(counted), aim, 3)


def calls_per_delivery(bench: Bench, peer: peers.Peer, args: Sequence[str]) -> float:
    """Return the system calls of all threads of a broker for each delivery of a load.

    Raises TraceError where strace does not work.
    """
    with tempfile.NamedTemporaryFile(dir=bench.folder) as summary:
        with _trace(peer.pid, Path(summary.name)) as tracer:
            try:
                row = bench.load(peer, *args)
            finally:
                tracer.terminate()
        return _total_calls(Path(summary.name)) / float(row["delivered"])


def _trace(pid: int, summary: Path) -> subprocess.Popen[str]:
    if shutil.which("strace") is None:
        raise TraceError("strace is not installed (Debian, Ubuntu: apt-get install strace)")
    tracer = subprocess.Popen(
        ["strace", "-f", "-c", "-o", str(summary), "-p", str(pid)],
        stderr=subprocess.PIPE,
        text=True,
    )
    assert tracer.stderr is not None
    line = tracer.stderr.readline()  # "strace: Process 1 attached ..."
    if "attached" not in line:
        tracer.kill()
        tracer.communicate()
        raise TraceError(f"strace cannot look at the broker: {line.strip()}")
    return tracer


def _total_calls(summary: Path) -> int:
    for line in reversed(summary.read_text(encoding="utf-8").splitlines()):
        words = line.split()
        if words and words[-1] == "total":
            return int(words[3])
    raise peers.PeerError("strace has counted nothing")


def churn(bench: Bench) -> Iterator[Answer]:
    """Compare the cost of a delivery before and after 3,000 subscribers were there."""

    def share(peer: peers.Peer) -> float:
        before = float(bench.load(peer, *PAIR)[CPU])
        for _ in range(3):
            bench.load(
                peer, "fanout", "--S", "1000", "--secs", "0.3", "--window", "2", "--conc", "100"
            )
        return 100 * before / float(bench.load(peer, *PAIR)[CPU])

    yield Answer("speed after by CPU, % of that before", *bench.both(share), "90")


def flood(bench: Bench) -> Iterator[Answer]:
    """Time a quiet pair while four publishers send as fast as their subscribers take it."""

    def quiet(peer: peers.Peer) -> float:
        flow = ("pairs", "--P", "4", "--window", "1000", "--secs", "6", "--prefix", "flood")
        with subprocess.Popen(
            bench.load_command(peer, *flow), stdout=subprocess.DEVNULL
        ) as flooding:
            try:
                row = bench.load(peer, "pairs", "--P", "1", "--rate", "200", "--secs", "4")
            finally:
                flooding.terminate()
        return float(row["lat_us"]["p99"]) / 1000

    yield Answer("round trip of a quiet client beside a flood, p99, ms", *bench.both(quiet), "5", 1)
    for rate in (1000, 4000):
        args = ("pairs", "--P", "10", "--rate", str(rate), "--qos", "1", "--secs", "2.5")
        for part in ("p50", "p99"):

            def paced(peer: peers.Peer, args: Sequence[str] = args, part: str = part) -> float:
                return float(bench.load(peer, *args)["lat_us"][part])

            yield Answer(f"latency at {rate:,} a second, QoS 1, {part}, µs", *bench.both(paced),
                         "mosquitto's")  # fmt: skip


def stuck(bench: Bench) -> Iterator[Answer]:
    """Compare a pair with and without a third client that subscribes and never reads."""
    pair = ("pairs", "--P", "1", "--window", "100", "--secs", "3")
    memory: list[float] = []

    def share(peer: peers.Peer) -> float:
        alone = float(bench.load(peer, *pair)[CPU])
        before = resident_bytes(peer.pid)
        row = bench.load(peer, *pair, "--stuck", "1")
        memory.append((row["rss_peak_kb"] * 1024 - before) / 2**20)
        return 100 * alone / float(row[CPU])

    (ours,) = bench.medians([peers.amqtt_spec()], share)
    yield Answer("speed beside it by CPU, % of that without it", ours, None, "95")
    yield Answer("memory it takes at most, MiB", max(memory), None, "bounded")


def blast(bench: Bench) -> Iterator[Answer]:
    """Publish at QoS 0 without any bound on what is on its way."""
    lost: list[float] = []

    def grown(peer: peers.Peer) -> float:
        before = resident_bytes(peer.pid)
        row = bench.load(
            peer, "fanin", "--P", "4", "--window", "0", "--secs", "3", "--stall-ms", "4000",
            lossy=True,
        )  # fmt: skip
        lost.append(100 * float(row["lost"]) / max(1.0, float(row["sent"])))
        return (row["rss_peak_kb"] * 1024 - before) / 2**20

    (ours,) = bench.medians([peers.amqtt_spec()], grown)
    yield Answer("memory that it takes, MiB", ours, None, "flat")
    yield Answer("messages lost, %", max(lost), None, "0", 2)


def state(bench: Bench) -> Iterator[Answer]:
    """Compare the cost of a delivery with many and few subscriptions in the broker."""
    for clients, few in ((10, 10), (100, 100)):

        def cost(count: int, clients: int = clients) -> tuple[float, float]:
            def run(peer: peers.Peer) -> float:
                args = ("subs", "--T", str(count), "--S", str(clients), "--P", "4")
                # Each of the topics is to have come a few times before it counts.
                more = ("--window", "50", "--warm", "3", "--secs", "6", "--timeout", "100")
                more += ("--stall-ms", "8000")
                return float(bench.load(peer, *args, *more)[CPU])

            return bench.both(run)

        shares = [100 * a / b for a, b in zip(cost(few), cost(100_000), strict=True)]
        what = f"speed of {clients} clients with 100,000 by CPU, % of that with {few}"
        yield Answer(what, *shares, "80")

    for scenario, name in (("connect", "connect and disconnect"), ("takeover", "take over")):
        yield from _connecting(bench, scenario, name)


def _connecting(bench: Bench, scenario: str, name: str) -> Iterator[Answer]:
    for key, what in (("conn_s", "connections a second"), ("br_cpu_us_per_conn", "CPU µs each")):

        def connect(peer: peers.Peer, key: str = key) -> float:
            row = bench.load(peer, scenario, "--count", "3000", "--conc", "50", "--spread", "8")
            return float(row[key])

        yield Answer(f"{name}, {what}", *bench.both(connect), "mosquitto's", 1)
