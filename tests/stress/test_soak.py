"""Everything at once, again and again: nothing is lost. `./dev soak` does so for an hour."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[2]))

from benchmarks.load import soak


@pytest.mark.parametrize("threads", [1, 3])
def test_nothing_is_lost(threads: int, tmp_path: Path) -> None:
    """A few rounds; memory is compared in the long form only."""
    result = soak.run(6, tmp_path, threads)
    assert result.problems == []
    assert result.delivered > 0


def memory_of(*megabytes: float) -> soak.Result:
    return soak.Result(memory=[int(size * 2**20) for size in megabytes])


def test_growth_is_noticed() -> None:
    """Late rounds are compared with early ones, after a warm-up."""
    assert memory_of(*[10, 20, 40, 50, *[50 + n for n in range(12)]]).has_grown()
    assert not memory_of(*[10, 20, 40, 50, *[50] * 12]).has_grown()
    assert not memory_of(10, 20, 30).has_grown()
    assert "not compared" in memory_of(10, 20, 30).render()
