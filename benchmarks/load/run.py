#!/usr/bin/env python3
"""Measure this broker and mosquitto side by side on 127.0.0.1.

Builds the load generator, starts each broker on a free port for each run, and prints medians,
spread and ratios. Exit status: 0 when every message is accounted for, 1 when not, 2 when the
measurement could not be made.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import TextIO

sys.path.append(str(Path(__file__).resolve().parents[2]))

from benchmarks.load import measure, peers, report, scenarios, tools
from benchmarks.python import environments


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--scenario", metavar="A,B", help="names or patterns, as in 'p1_q0,fan*'")
    add("--list", action="store_true", help="list the scenarios and end")
    add("--reps", type=int, metavar="N", help="runs of each (default 3; 1 with --quick)")
    add("--quick", action="store_true", help=f"only {', '.join(scenarios.QUICK)}, once")
    add("--floor", action="store_true", help="measure the bare frame forwarder too")
    add("--tls", choices=("no", "yes"), default="no", help="run the scenarios over TLS")
    add(
        "--threads",
        default="1",
        metavar="A,B",
        help="our broker with so many threads, each as a contestant, as in '1,2'",
    )
    add("--brokers", default="amqtt,mosquitto", metavar="A,B", help="which of amqtt, mosquitto")
    add(
        "--also",
        action="append",
        default=[],
        metavar="NAME=PYTHON",
        help="one more interpreter whose amqtt package is measured, e.g. an older build",
    )
    add("--original", action="store_true", help="measure aMQTT as it is on PyPI too")
    add("--base", metavar="NAME", help="compare with this one (default mosquitto)")
    add("--out", type=Path, metavar="FILE", help="append each run to FILE as a JSON line")
    add("--report", type=Path, metavar="FILE", help="only print the report of an earlier --out")
    args = parser.parse_args(argv)
    if args.reps is None:
        args.reps = 1 if args.quick else 3
    if args.reps < 1:
        parser.error("--reps must be at least 1")
    args.brokers = [name.strip() for name in args.brokers.split(",") if name.strip()]
    if unknown := set(args.brokers) - {"amqtt", "mosquitto"}:
        parser.error(f"--brokers: unknown {', '.join(sorted(unknown))}")
    if args.original and args.tls == "yes":
        parser.error("--original goes without --tls")
    try:
        args.threads = [int(number) for number in args.threads.split(",")]
    except ValueError:
        parser.error("--threads: expected whole numbers, as in '1,2'")
    if any(number < 1 for number in args.threads):
        parser.error("--threads: at least 1")
    args.also = [tuple(text.split("=", 1)) for text in args.also]
    if any(len(pair) != 2 or not all(pair) for pair in args.also):
        parser.error("--also: expected NAME=PYTHON")
    return args


def choose_peers(
    args: argparse.Namespace, certificate: peers.Certificate | None
) -> list[peers.PeerSpec]:
    """Return the brokers that were asked for, ours first."""
    specs = []
    if "amqtt" in args.brokers:
        for threads in args.threads:
            name = "amqtt" if threads == args.threads[0] else f"threads{threads}"
            specs.append(peers.amqtt_spec(name, certificate=certificate, threads=threads))
    if "mosquitto" in args.brokers:
        specs.append(peers.mosquitto_spec(certificate))
    if args.original:
        environments.install(environments.ORIGINAL)
        python = environments.CLIENTS["original"].python
        if python is None:
            raise peers.PeerError("aMQTT could not be installed from the package index")
        specs.append(peers.amqtt_spec("original", python))
    for name, python in args.also:  # absolute, as brokers run in another folder
        specs.append(peers.amqtt_spec(name, str(Path(python).absolute()), certificate))
    if args.floor and not certificate:
        specs.append(peers.floor_spec(tools.build("fwdfloor")))
    return specs


def run(args: argparse.Namespace) -> list[measure.Row]:
    """Build, start, measure; return the results."""
    chosen = scenarios.select(scenarios.load(), args.scenario, quick=args.quick)
    limit = peers.raise_file_limit()
    tls = args.tls == "yes"
    rows: list[measure.Row] = []
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mqtt-load-")))
        certificate = peers.make_certificate(folder) if tls else None
        specs = choose_peers(args, certificate)
        program = tools.build("mqttload", tls=tls)
        able = [s for s in chosen if _connections(s) + 200 <= limit]
        for scenario in set(chosen) - set(able):
            print(f"{scenario.key}: skipped, only {limit} open files allowed", file=sys.stderr)
        plan = measure.Plan(able, specs, args.reps, tls)
        out: TextIO | None = None
        if args.out:
            out = stack.enter_context(args.out.open("a", encoding="utf-8"))
        for row in measure.run_plan(program, plan, folder):
            rows.append(row)
            if out:
                print(json.dumps(row), file=out, flush=True)
            state = "; ".join(report.problems(row)) or "ok"
            print(f"{row['key']} run {row['rep']} {row['label']}: {state}", file=sys.stderr)
    return rows


def _connections(scenario: scenarios.Scenario) -> int:
    if scenario.kind == "idle":
        return int(scenario.option("--count", "1000"))
    return int(scenario.option("--P", "1")) + int(scenario.option("--S", "1"))


def _on_terminate(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    args = parse_args(argv)
    if args.list:
        for scenario in scenarios.load():
            note = "  (on request)" if scenario.on_request else ""
            print(f"{scenario.key:14} {' '.join(scenario.args)}{note}")
        return 0
    signal.signal(signal.SIGTERM, _on_terminate)
    try:
        rows = measure.read_rows(args.report) if args.report else run(args)
    except (peers.PeerError, tools.BuildError, scenarios.ScenarioError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted; everything that was started is stopped", file=sys.stderr)
        return 130
    if not rows:
        print("nothing was measured", file=sys.stderr)
        return 2
    result = report.Report(rows, base=args.base or "mosquitto")
    print(result.render(), end="")
    return 1 if result.failures() else 0


if __name__ == "__main__":
    sys.exit(main())
