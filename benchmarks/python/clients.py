#!/usr/bin/env python3
"""Compare Python MQTT clients: messages a second and CPU time a message.

Each measurement is a process of its own against one broker on 127.0.0.1; clients take turns.
Exit status: 0 when every message is accounted for, 1 when not, 2 when nothing could be measured.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import signal
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, TextIO

sys.path.append(str(Path(__file__).resolve().parents[2]))

from benchmarks.load import peers, tools
from benchmarks.python.child import Child, ChildError
from benchmarks.python.driver import HEADER, MODES, PUBLISH_PREFIX, RECEIVE_PREFIX
from benchmarks.python.environments import CLIENTS, install

Row = dict[str, Any]
OURS = "amqtt"
WORKER = Path(__file__).with_name("worker.py")
ONE_BY_ONE = 3000
STREAMED = 20000
MEASURED = ("per_s", "cpu_us", "rss_mb", "p50_us", "p99_us")
COUNTS = {"pub1": ONE_BY_ONE, "pub2": ONE_BY_ONE, "rtt": ONE_BY_ONE}


@dataclass(frozen=True)
class Bench:
    """What every measurement needs to know."""

    load: Path
    port: int
    folder: Path
    size: int
    window: int
    timeout: float

    def worker(self, client: str, mode: str, count: int) -> list[str]:
        """Return the command that measures one client."""
        chosen = CLIENTS[client]
        command = [chosen.python or sys.executable, str(WORKER), *chosen.arguments()]
        command += ["--mode", mode, "--count", str(count)]
        command += ["--port", str(self.port), "--size", str(self.size)]
        return [*command, "--window", str(self.window)]

    def sink(self, mode: str, count: int) -> list[str]:
        """Return the command that accounts for what a client publishes."""
        qos = "0" if mode == "pub0" else "1"
        command = [str(self.load), "sink", "--count", str(count), "--port", str(self.port)]
        command += ["--prefix", PUBLISH_PREFIX, "--qos", qos, "--stall-ms", "5000"]
        return [*command, "--timeout", f"{self.timeout:.0f}"]

    def source(self, mode: str, count: int) -> list[str]:
        """Return the command that publishes what a client receives."""
        command = [str(self.load), "pairs", "--count", str(count), "--port", str(self.port)]
        command += ["--prefix", RECEIVE_PREFIX, "--qos", mode[-1], "--size", str(self.size)]
        return [*command, "--window", "200", "--timeout", f"{self.timeout:.0f}"]


def measure(bench: Bench, client: str, mode: str, count: int) -> Row:
    """Measure one client once and add `problem` when a message is not accounted for."""
    row: Row = {}
    try:
        if mode.startswith("pub"):
            with Child(bench.sink(mode, count), bench.timeout, bench.folder) as sink:
                sink.wait_ready()
                with _worker(bench, client, mode, count) as worker:
                    row = worker.next_line()
                account = sink.next_line()
            if account.get("ok") != 1:
                row["problem"] = _describe(account)
        else:
            with _worker(bench, client, mode, count) as worker:
                if mode == "rtt":
                    row = worker.next_line()
                else:
                    worker.wait_ready()
                    with Child(bench.source(mode, count), bench.timeout, bench.folder) as source:
                        row = worker.next_line()
                        account = source.next_line()
                    if account.get("ok") != 1:
                        row["problem"] = f"source: {_describe(account)}"
            if row.get("faults"):
                row["problem"] = f"{row['faults']} of {count} messages missing or out of order"
    except ChildError as error:
        row["problem"] = str(error)
    row.update(client=client, mode=mode)
    return row


def _worker(bench: Bench, client: str, mode: str, count: int) -> Child:
    return Child(bench.worker(client, mode, count), bench.timeout, bench.folder)


def _describe(account: Row) -> str:
    wrong = [f"{k} {account[k]}" for k in ("lost", "dup", "foreign", "error") if account.get(k)]
    return "; ".join(wrong) or "not every message accounted for"


def turns(
    modes: Sequence[str], clients: Sequence[str], reps: int
) -> Iterator[tuple[int, str, str]]:
    """Yield (repetition, mode, client); who comes first changes from one repetition to the next."""
    for rep in range(reps):
        first = rep % len(clients)
        for mode in modes:
            for client in [*clients[first:], *clients[:first]]:
                yield rep, mode, client


def render(rows: Sequence[Row], clients: Sequence[str]) -> str:
    """Return the comparison as a Markdown table."""
    head = ["mode", "client", "msg/s", "spread", "CPU, s/million", "RSS, MB", "rtt p50 / p99, µs"]
    head += [f"{OURS} faster by", f"{OURS} cheaper by", "accounted"]
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for mode in dict.fromkeys(row["mode"] for row in rows):
        ours = [r for r in rows if (r["mode"], r["client"]) == (mode, OURS)]
        for client in clients:
            mine = [r for r in rows if (r["mode"], r["client"]) == (mode, client)]
            if not mine:
                continue
            rate, cpu = _median(mine, "per_s"), _median(mine, "cpu_us")
            cells = [mode, client, _format(rate, ",.0f"), _spread(mine), _format(cpu, ".2f")]
            cells.append(_format(_median(mine, "rss_mb"), ".1f"))
            cells.append(
                f"{_format(_median(mine, 'p50_us'), ',.0f')} / "
                f"{_format(_median(mine, 'p99_us'), ',.0f')}"
                if mode == "rtt"
                else ""
            )
            cells.append(
                "" if client == OURS else _format(_over(_median(ours, "per_s"), rate), ".2f", "x")
            )
            cells.append(
                "" if client == OURS else _format(_over(cpu, _median(ours, "cpu_us")), ".2f", "x")
            )
            cells.append(f"{sum('problem' not in r for r in mine)} of {len(mine)}")
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def summarize(rows: Sequence[Row], broker: str, versions: dict[str, str]) -> dict[str, Any]:
    """Return the medians of each mode and client, for programs."""
    results: list[dict[str, Any]] = []
    for mode, client in dict.fromkeys((row["mode"], row["client"]) for row in rows):
        mine = [r for r in rows if (r["mode"], r["client"]) == (mode, client)]
        found = {name: _median(mine, name) for name in MEASURED}
        problems = sum("problem" in row for row in mine)
        results.append(
            {"mode": mode, "client": client, "runs": len(mine), "problems": problems}
            | {name: value for name, value in found.items() if value is not None}
        )
    return {"broker": broker, "versions": versions, "results": results}


def _median(rows: Sequence[Row], name: str) -> float | None:
    found = [float(r[name]) for r in rows if name in r]
    return statistics.median(found) if found else None


def _spread(rows: Sequence[Row]) -> str:
    found = [float(r["per_s"]) for r in rows if "per_s" in r]
    if len(found) < 2:
        return ""
    middle = statistics.median(found)
    return f"{min(found) / middle:.2f}-{max(found) / middle:.2f}"


def _over(above: float | None, below: float | None) -> float | None:
    return above / below if above and below else None


def _format(number: float | None, spec: str, unit: str = "") -> str:
    return "-" if number is None else f"{number:{spec}}{unit}"


def installed(clients: Sequence[str], folder: Path) -> dict[str, str]:
    """Return the versions of the clients that can be imported; say which cannot."""
    found = {}
    for client in clients:
        chosen = CLIENTS[client]
        if chosen.python is None:
            print(f"{client} is left out: --install installs it", file=sys.stderr)
            continue
        command = [chosen.python, str(WORKER), *chosen.arguments()]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            found[client] = str(json.loads(done.stdout)["version"])
        else:
            reason = done.stderr.strip().splitlines()[-1:] or ["?"]
            print(f"{client} is left out: {reason[0]}", file=sys.stderr)
    return found


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    modes = "\n".join(f"  {name:6} {what}" for name, what in MODES.items())
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog=f"modes:\n{modes}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--modes", default=",".join(MODES), metavar="A,B", help="default: all")
    add("--clients", default=",".join(CLIENTS), metavar="A,B", help="default: all")
    add(
        "--n", type=int, metavar="N", help=f"messages (default {STREAMED}; {ONE_BY_ONE} one by one)"
    )
    add("--reps", type=int, default=3, metavar="N", help="runs of each (default 3)")
    add("--size", type=int, default=64, help="payload bytes (default 64)")
    add("--window", type=int, default=100, help="messages in flight in pub1w (default 100)")
    add("--broker", choices=("amqtt", "mosquitto"), default="amqtt")
    add("--install", action="store_true", help="install other clients into build/benchmarks first")
    add("--timeout", type=float, default=60, help="seconds that one measurement may take")
    add("--out", type=Path, metavar="FILE", help="append each measurement to FILE as a JSON line")
    add("--json", action="store_true", help="print the medians as JSON instead of the table")
    args = parser.parse_args(argv)
    args.modes = _choice(parser, "--modes", args.modes, MODES)
    args.clients = _choice(parser, "--clients", args.clients, CLIENTS)
    if args.n is not None and args.n < 2:
        parser.error("--n must be at least 2")
    if args.reps < 1 or args.window < 1 or args.size < HEADER.size:
        parser.error(f"--reps and --window must be at least 1, --size at least {HEADER.size}")
    return args


def _choice(
    parser: argparse.ArgumentParser, option: str, text: str, known: Sequence[str] | dict[str, str]
) -> list[str]:
    chosen = [name.strip() for name in text.split(",") if name.strip()]
    if unknown := [name for name in chosen if name not in known]:
        parser.error(f"{option}: unknown {', '.join(unknown)} (known: {', '.join(known)})")
    return chosen


def run(args: argparse.Namespace) -> tuple[list[Row], dict[str, str]]:
    """Start the broker, measure, and return the results and the clients' versions."""
    rows: list[Row] = []
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mqtt-clients-")))
        versions = installed(args.clients, folder)
        if not versions:
            return rows, versions
        load = tools.build("mqttload")
        spec = peers.mosquitto_spec() if args.broker == "mosquitto" else peers.amqtt_spec()
        out: TextIO | None = None
        if args.out:
            out = stack.enter_context(args.out.open("a", encoding="utf-8"))
        broker = stack.enter_context(peers.Peer(spec, folder))
        bench = Bench(load, broker.port, folder, args.size, args.window, args.timeout)
        for rep, mode, client in turns(args.modes, list(versions), args.reps):
            count = args.n or COUNTS.get(mode, STREAMED)
            row = {**measure(bench, client, mode, count), "rep": rep, "broker": args.broker}
            rows.append(row)
            if out:
                print(json.dumps(row), file=out, flush=True)
            print(f"{mode} run {rep} {client}: {row.get('problem', 'ok')}", file=sys.stderr)
    return rows, versions


def _on_terminate(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    args = parse_args(argv)
    signal.signal(signal.SIGTERM, _on_terminate)
    try:
        if args.install:
            install()
        rows, versions = run(args)
    except (peers.PeerError, tools.BuildError, OSError, subprocess.CalledProcessError) as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted; everything that was started is stopped", file=sys.stderr)
        return 130
    if not rows:
        print("nothing was measured", file=sys.stderr)
        return 2
    if args.json:
        print(json.dumps(summarize(rows, args.broker, versions), indent=1))
    else:
        told = ", ".join(f"{name} {version}" for name, version in versions.items())
        print(f"broker: {args.broker}; {told}\n")
        print(render(rows, list(versions)), end="")
    problems = [row for row in rows if "problem" in row]
    for row in problems:
        told = f"- {row['mode']}, {row['client']}, run {row['rep']}: {row['problem']}"
        print(told, file=sys.stderr if args.json else sys.stdout)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
