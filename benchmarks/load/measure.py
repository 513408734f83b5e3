"""Run scenarios against several brokers in turn, and keep one JSON object a run."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.load.peers import Peer, PeerSpec
from benchmarks.load.scenarios import Scenario

Row = dict[str, Any]


@dataclass(frozen=True)
class Plan:
    """What is run: every scenario, `reps` times, on every broker."""

    scenarios: Sequence[Scenario]
    peers: Sequence[PeerSpec]
    reps: int
    tls: bool = False
    timeout: float = 180.0

    def turns(self) -> Iterator[tuple[int, Scenario, PeerSpec]]:
        """Yield the runs; the order of brokers rotates, so that slow drifts hit all alike."""
        for rep in range(self.reps):
            for scenario in self.scenarios:
                able = [p for p in self.peers if p.is_broker or scenario.floor]
                first = rep % len(able) if able else 0
                for spec in able[first:] + able[:first]:
                    yield rep, scenario, spec


def parse_output(output: str, errors: str) -> Row:
    """Return the result line of the load generator, or an error made of what it said instead."""
    rows: list[Row] = []
    for line in output.splitlines():
        try:
            row = json.loads(line)
        except json.JSONDecodeError:
            return {"error": f"not JSON: {line[:200]}"}
        if "scenario" in row:
            rows.append(row)
    return rows[-1] if rows else {"error": errors.strip()[-300:] or "no result"}


def run_once(program: Path, scenario: Scenario, peer: Peer, plan: Plan, rep: int) -> Row:
    """Run one scenario on a broker that is up."""
    command = [str(program), *scenario.args, "--port", str(peer.port)]
    command += ["--pid", str(peer.pid), "--label", peer.name]
    if plan.tls:
        command += ["--tls", "1"]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=plan.timeout, check=False
        )
        row = parse_output(done.stdout, done.stderr)
    except subprocess.TimeoutExpired:
        row = {"error": f"no result in {plan.timeout:.0f} s"}
    row.update(
        key=scenario.key + ("+tls" if plan.tls else ""),
        label=peer.name,
        rep=rep,
        args=" ".join(scenario.args),
        kind=scenario.kind,
        lossy=scenario.lossy,
        aim=scenario.aim,
        is_broker=peer.spec.is_broker,
        broker_alive=peer.alive,
    )
    return row


def run_plan(program: Path, plan: Plan, folder: Path) -> Iterator[Row]:
    """Run everything, each run on a broker that was just started, and yield the results."""
    for rep, scenario, spec in plan.turns():
        with Peer(spec, folder) as peer:
            yield run_once(program, scenario, peer, plan, rep)


def read_rows(path: Path) -> list[Row]:
    """Read the results that an earlier run wrote."""
    with path.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file if line.strip()]
