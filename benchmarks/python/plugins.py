#!/usr/bin/env python3
"""Measure what plugins in Python cost the broker for each message.

    events       a plugin that counts the messages received, beside no plugin
    decisions    topic plugins that are asked for each message and each delivery
    remembered   a topic plugin whose verdicts the engine remembers, beside no plugin

The load is that of benchmarks/load: publishers, each with a subscriber of its own, QoS 0, 64 bytes.
A client's next message waits until its last one is decided, so one publisher alone gets as many
decisions as there are round trips between two threads. CPU is that of the broker's process, all
threads, what it takes without plugins included. Exit status: 0 when a message costs the counting
plugin less than 2 microseconds, plugins decide 60,000 times a second, and remembered verdicts leave
90 % of the throughput; 1 when not, or when a message or a call is missing.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parents[2]))

import yaml

from benchmarks.load import measure, peers, tools
from benchmarks.load.scenarios import Scenario

ROOT = Path(__file__).resolve().parents[2]
MODULE = "benchmarks.python.measured_plugins"
ANYBODY: dict[str, Any] = {"amqtt.plugins.authentication.AnonymousAuthPlugin": {}}
REPORT = "calls"

MOST_CPU = 2.0  # microseconds for each message
LEAST_DECISIONS = 60_000  # a second
LEAST_SHARE = 0.9


@dataclass(frozen=True)
class Kind:
    """A broker with a plugin: `calls` is how often it is called for each message."""

    name: str
    plugin: str | None = None
    calls: int = 0


NOTHING = Kind("no plugin")
COUNTING = Kind("counts events", "CountingPlugin", 1)
ASKED = Kind("decides", "AskedPlugin", 2)
WAITING = Kind("decides, awaits", "WaitingPlugin", 2)
REMEMBERED = Kind("remembered verdicts", "RememberedPlugin")
KINDS = (NOTHING, COUNTING, ASKED, WAITING, REMEMBERED)


@dataclass(frozen=True)
class Result:
    """One run: messages a second, CPU microseconds for each, and calls of the plugin."""

    rate: float
    cpu: float
    delivered: int
    calls: int


def spec(kind: Kind, report: Path) -> peers.PeerSpec:
    """Describe a broker with a plugin."""

    def command(port: int, folder: Path) -> Sequence[str]:
        plugins = dict(ANYBODY)
        if kind.plugin is not None:
            plugins[f"{MODULE}.{kind.plugin}"] = {"report": str(report)}
        config = {"listeners": {"default": {"bind": f"{peers.HOST}:{port}"}}, "plugins": plugins}
        file = folder / "broker.yaml"
        file.write_text(yaml.safe_dump(config), encoding="utf-8")
        return [sys.executable, "-m", "amqtt.scripts.broker_script", "-c", str(file)]

    return peers.PeerSpec("amqtt", command)


def run(program: Path, kind: Kind, pairs: int, seconds: float) -> Result:
    """Load a broker with a plugin; an error ends the run."""
    options = f"pairs --P {pairs} --window {1000 // pairs} --secs {seconds} --stall-ms 20000"
    scenario = Scenario(kind.name, tuple(options.split()))
    with tempfile.TemporaryDirectory(prefix="amqtt-bench-") as name:
        report = Path(name) / REPORT
        with peers.Peer(spec(kind, report), Path(name)) as peer:
            plan = measure.Plan([scenario], [peer.spec], 1)
            row = measure.run_once(program, scenario, peer, plan, 0)
        calls = int(report.read_text()) if report.exists() else 0
    if not row.get("ok"):
        raise SystemExit(f"{kind.name}: {row.get('error', row)}")
    if calls < kind.calls * row["delivered"]:
        raise SystemExit(f"{kind.name}: {calls} calls for {row['delivered']} messages")
    return Result(row["out_s"], row["br_cpu_s_per_m_out"], row["delivered"], calls)


def median(results: list[Result], value: str) -> float:
    """Return the median of one number of some runs."""
    return float(statistics.median(getattr(each, value) for each in results))


def spread(results: list[Result], value: str, places: int = 0) -> str:
    """Return the median of one number, with the least and the most behind it."""
    found = [getattr(each, value) for each in results]
    low, high = min(found), max(found)
    return f"{statistics.median(found):,.{places}f} ({low:,.{places}f}-{high:,.{places}f})"


def verdicts(results: dict[Kind, list[Result]]) -> list[tuple[bool, str]]:
    """Compare what was measured with the aims."""
    base_cpu, base_rate = median(results[NOTHING], "cpu"), median(results[NOTHING], "rate")
    extra = median(results[COUNTING], "cpu") - base_cpu
    share = median(results[REMEMBERED], "rate") / base_rate
    found = [(extra < MOST_CPU, f"a counted event costs {extra:.2f} us of CPU (aim: {MOST_CPU})")]
    for kind in (ASKED, WAITING):
        rate = median(results[kind], "rate") * kind.calls
        text = f"{kind.name}: {rate:,.0f} decisions a second (aim: {LEAST_DECISIONS:,})"
        found.append((rate >= LEAST_DECISIONS, text))
    by_cpu = base_cpu / median(results[REMEMBERED], "cpu")
    text = (
        f"remembered verdicts leave {share:.2f} of the throughput, {by_cpu:.2f} by CPU time"
        f" (aim: {LEAST_SHARE})"
    )
    return [*found, (share >= LEAST_SHARE, text)]


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=3.0, help="of publishing, each time")
    parser.add_argument("--pairs", type=int, default=50, help="publishers, each with a subscriber")
    parser.add_argument("--reps", type=int, default=3, help="how often, by turns")
    args = parser.parse_args()
    os.environ["PYTHONPATH"] = os.pathsep.join(
        filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])
    )
    program = tools.build("mqttload")
    results: dict[Kind, list[Result]] = {kind: [] for kind in KINDS}
    for rep in range(args.reps):
        for kind in KINDS[rep % len(KINDS) :] + KINDS[: rep % len(KINDS)]:
            results[kind].append(run(program, kind, args.pairs, args.seconds))
    print(f"{'':22}{'messages a second':>32}{'broker CPU, us/message':>28}")
    for kind, found in results.items():
        print(f"{kind.name:22}{spread(found, 'rate'):>32}{spread(found, 'cpu', 2):>28}")
    outcome = verdicts(results)
    for reached, text in outcome:
        print(f"{'reached' if reached else 'MISSED '}  {text}")
    return 0 if all(reached for reached, _ in outcome) else 1


if __name__ == "__main__":
    sys.exit(main())
