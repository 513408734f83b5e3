"""System calls for a delivered message: a measure of speed that any machine repeats."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[2]))

from benchmarks.load import peers, pressure
from benchmarks.load.answers import Bench

TRIES = 4


@pytest.mark.parametrize(
    ("most", "load"),
    [(most, load) for _, most, load in pressure.CALLS],
    ids=[name for name, _, _ in pressure.CALLS],
)
def test_calls_per_delivery(most: str, load: tuple[str, ...], tmp_path: Path) -> None:
    """At most so many in the best run: other work on the machine makes batches smaller."""
    bench = Bench(tmp_path, reps=1)
    counted: list[float] = []
    with peers.Peer(peers.amqtt_spec(python=sys.executable), tmp_path) as broker:
        while len(counted) < TRIES and min(counted, default=math.inf) > float(most):
            try:
                counted.append(pressure.calls_per_delivery(bench, broker, load))
            except pressure.TraceError as error:
                pytest.skip(f"system calls are not counted: {error}")
    assert min(counted) <= float(most)
