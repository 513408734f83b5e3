"""What a broker needs without traffic: time to start, and memory."""

from __future__ import annotations

import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.load import measure, peers
from benchmarks.load.answers import Answer, Bench, Row, resident_bytes

IDLE = 10_000
MILLION = 1_000_000
RETAINED = ("retained", "--count", str(MILLION), "--size", "64", "--filter", "bench/#",
            "--timeout", "200", "--stall-ms", "20000")  # fmt: skip
# What our broker admits by default is less than a million.
UNBOUNDED = (
    "limits:\n  max_retained_messages: 0\n  max_retained_bytes: 0\n  max_subscriptions: 0\n"
    "  max_subscription_bytes: 0\n  max_total_subscription_bytes: 0\n  max_session_bytes: 0\n"
)


def start(bench: Bench) -> Iterator[Answer]:
    """Time `import amqtt`, and a broker from its start until it answers."""
    reps = max(5, bench.reps)
    imported = statistics.median(_import_seconds(bench.folder) for _ in range(reps))
    yield Answer("`import amqtt`, ms more than an empty program", imported * 1e3, None, "60", 0)
    ours = statistics.median(_answer_seconds(bench, peers.amqtt_spec()) for _ in range(reps))
    theirs = statistics.median(_answer_seconds(bench, peers.mosquitto_spec()) for _ in range(reps))
    yield Answer("start until CONNACK, ms", ours * 1e3, theirs * 1e3, "250", 0)
    memory = bench.both(lambda peer: resident_bytes(peer.pid) / 2**20)
    yield Answer("memory without clients, MiB", *memory, "45", 1)


def _as_installed(folder: Path) -> dict[str, str]:
    """Return an environment in which Python keeps byte code, which an installed package has."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "PYTHONPYCACHEPREFIX": str(folder / "bytecode")}


def _run_seconds(code: str, folder: Path) -> float:
    begin = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True, env=_as_installed(folder))
    return time.perf_counter() - begin


def _import_seconds(folder: Path) -> float:
    return _run_seconds("import amqtt", folder) - _run_seconds("", folder)


def _answer_seconds(bench: Bench, spec: peers.PeerSpec) -> float:
    """Return the time from the start of a process until it accepts a client."""
    port = peers.free_port()
    command = list(spec.command(port, bench.folder))
    begin = time.perf_counter()
    with subprocess.Popen(
        command,
        cwd=bench.folder,
        env=_as_installed(bench.folder),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            while time.perf_counter() - begin < 30:
                if _is_accepted(port):
                    return time.perf_counter() - begin
                time.sleep(0.002)
        finally:
            process.terminate()
    raise peers.PeerError(f"{spec.name} does not answer")


def _is_accepted(port: int) -> bool:
    connect = b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x00\x00\x01s"
    try:
        with socket.create_connection((peers.HOST, port), 1) as client:
            client.sendall(connect)
            return client.recv(4) == b"\x20\x02\x00\x00"
    except OSError:
        return False


def idle(bench: Bench) -> Iterator[Answer]:
    """Hold connections that do nothing, and see what a broker has grown by for each."""
    for tls, aim in ((False, "1,536"), (True, "12,288")):
        certificate = peers.make_certificate(bench.folder) if tls else None

        def grown(peer: peers.Peer, tls: bool = tls) -> float:
            row = bench.load(
                peer, "idle", "--count", str(IDLE), "--hold", "2", "--conc", "50", "--spread", "8",
                "--timeout", "120", tls=tls,
            )  # fmt: skip
            return float(row["rss_per_conn_b"])

        numbers = bench.both(grown, certificate=certificate)
        yield Answer(f"bytes for each of {IDLE:,} idle {'TLS' if tls else 'TCP'} connections",
                     *numbers, aim)  # fmt: skip


def retained(bench: Bench) -> Iterator[Answer]:
    """Retain a million messages of 64 bytes, and send them while another pair talks."""
    rows: dict[str, Row] = {}
    alone: dict[str, Row] = {}
    beside: dict[str, Row] = {}

    def run(peer: peers.Peer) -> float:
        rows[peer.name] = bench.load(peer, *RETAINED, "--keep", "1")
        again = (*RETAINED, "--keep", "1", "--stored", "1")
        alone[peer.name] = _talk(bench, peer, lambda: None)
        beside[peer.name] = _talk(bench, peer, lambda: bench.load(peer, *again))
        return float(rows[peer.name]["rss_per_msg_b"])

    numbers = bench.both(run, extra=UNBOUNDED)
    yield Answer("bytes for each of a million retained messages of 64", *numbers, "300")
    yield _of_both(rows, "retained messages stored a second", "store_per_s")
    yield _of_both(rows, "and delivered to a new subscriber of `#` a second", "deliver_per_s")
    grown = [(row["rss_peak_kb"] - row["rss_stored_kb"]) / 1024 for row in _ordered(rows)]
    yield Answer("memory that this takes, MiB", *grown, digits=1)
    for part in ("p50", "p99", "max"):
        for what, those in (("without it", alone), ("meanwhile", beside)):
            trips = [row["lat_us"][part] / 1000 for row in _ordered(those)]
            aim = "5" if part == "p99" and those is beside else ""
            yield Answer(f"round trip of a quiet pair {what}, {part}, ms", *trips, aim, digits=2)


def _talk(bench: Bench, peer: peers.Peer, meanwhile: Callable[[], object]) -> Row:
    """Let a quiet pair talk for six seconds; two of them are over when something else is done."""
    command = bench.load_command(
        peer, "pairs", "--P", "1", "--rate", "500", "--secs", "6", "--prefix", "quiet",
        "--stall-ms", "60000",
    )  # fmt: skip
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as talking:
        time.sleep(2)
        meanwhile()
        row = measure.parse_output(*talking.communicate())
    if row.get("ok") != 1:
        raise peers.PeerError(f"{peer.name}, {' '.join(command)}: {row}")
    return row


def _ordered(rows: dict[str, Row]) -> tuple[Row, Row]:
    return rows["amqtt"], rows["mosquitto"]


def _of_both(rows: dict[str, Row], what: str, key: str) -> Answer:
    return Answer(what, *(float(row[key]) for row in _ordered(rows)))


def subscriptions(bench: Bench) -> Iterator[Answer]:
    """Make a million different subscriptions, a third of them with wildcards."""
    rows: dict[str, Row] = {}

    def run(peer: peers.Peer) -> float:
        row = rows[peer.name] = bench.load(
            peer, "subs", "--T", str(MILLION), "--S", "1000", "--P", "4", "--window", "50",
            "--secs", "1", "--timeout", "200", "--stall-ms", "20000",
        )  # fmt: skip
        return float(row["rss_subscribed_kb"] - row["rss_start_kb"]) * 1024 / MILLION

    numbers = bench.both(run, extra=UNBOUNDED)
    yield Answer("bytes for each of a million subscriptions", *numbers, "300")
    yield Answer("seconds to make them", *(float(row["sub_s"]) for row in _ordered(rows)), digits=1)
