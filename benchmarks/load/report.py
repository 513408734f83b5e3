"""Turn results into tables: medians, spread, ratios, and whether every message came.

A ratio above 1 always speaks for the first broker: throughput is ours / theirs, a cost (CPU time,
latency, memory) is theirs / ours.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

Row = dict[str, Any]
MISSING = "-"
BUSY_PCT = 95.0
DISTURBED_PCT = 25.0


@dataclass(frozen=True)
class Metric:
    """One number of a result line."""

    path: str
    label: str
    digits: int = 0
    more_is_better: bool = False
    headline: str = ""  # the summary column it goes into: "throughput", "cpu" or none

    def value(self, row: Row) -> float | None:
        """Look the number up; `lat_us.p99` is a number inside an object."""
        found: Any = row
        for part in self.path.split("."):
            found = found.get(part) if isinstance(found, dict) else None
        return float(found) if isinstance(found, int | float) else None


FLOW = (
    Metric("out_s", "deliveries/s", 0, more_is_better=True, headline="throughput"),
    Metric("br_cpu_s_per_m_out", "broker CPU, s per million deliveries", 3, headline="cpu"),
    Metric("rss_peak_kb", "peak RSS, KiB"),
)
PACED = (
    Metric("out_s", "deliveries/s", 0, more_is_better=True),
    Metric("br_cpu_s_per_m_out", "broker CPU, s per million deliveries", 3, headline="cpu"),
    Metric("lat_us.p50", "latency p50, µs"),
    Metric("lat_us.p99", "latency p99, µs"),
    Metric("lat_us.p999", "latency p99.9, µs"),
)
SUBSCRIBE = (
    *FLOW,
    Metric("sub_s", "time to subscribe, s", 3),
    Metric("rss_subscribed_kb", "RSS when subscribed, KiB"),
)
CONNECT = (
    Metric("conn_s", "connections/s", 0, more_is_better=True, headline="throughput"),
    Metric("br_cpu_us_per_conn", "broker CPU, µs per connection", 1, headline="cpu"),
    Metric("connack_us.p50", "CONNACK p50, µs"),
    Metric("connack_us.p99", "CONNACK p99, µs"),
)
PACED_CONNECT = CONNECT[1:]
IDLE = (
    Metric("rss_start_kb", "RSS at start, KiB"),
    Metric("rss_per_conn_b", "RSS per idle connection, bytes"),
    Metric("br_cpu_us_per_conn", "broker CPU, µs per connection", 1, headline="cpu"),
    Metric("hold_cpu_pct", "CPU while idle, %", 2),
)
RETAINED = (
    Metric("store_per_s", "stored/s", 0, more_is_better=True),
    Metric("store_cpu_s_per_m", "broker CPU, s per million stored", 3),
    Metric("deliver_per_s", "delivered/s", 0, more_is_better=True, headline="throughput"),
    Metric("deliver_cpu_s_per_m", "broker CPU, s per million delivered", 3, headline="cpu"),
    Metric("rss_per_msg_b", "RSS per retained message, bytes"),
)
BY_KIND = {"subs": SUBSCRIBE, "idle": IDLE, "retained": RETAINED}

FAULTS = (
    "lost", "gaps", "dup", "reorder", "foreign", "ack_err", "unacked", "sub_fail",
    "connect_fail", "disconnects", "protocol_err",
)  # fmt: skip
ALLOWED_WHEN_LOSSY = frozenset({"lost", "gaps"})


def metrics_for(row: Row) -> Sequence[Metric]:
    """Choose what is worth showing of a scenario."""
    kind = row.get("kind") or str(row.get("args", "")).split(" ", 1)[0]
    paced = "--rate" in str(row.get("args", "")).split()
    if kind in ("connect", "takeover"):
        return PACED_CONNECT if paced else CONNECT
    return BY_KIND.get(kind) or (PACED if paced else FLOW)


def problems(row: Row) -> list[str]:
    """Say what was wrong with a run: empty when every message is accounted for."""
    found = [str(row["error"])] if row.get("error") else []
    if not row.get("broker_alive", True):
        found.append("the broker is gone")
    allowed = ALLOWED_WHEN_LOSSY if row.get("lossy") else frozenset()
    for name in FAULTS:
        count = row.get(name) or 0
        if count and name not in allowed:
            found.append(f"{name} {count:.0f}")
    if "retain_flag" in row and row["retain_flag"] != row.get("delivered"):
        found.append(f"retain flag on {row['retain_flag']:.0f} of {row.get('delivered', 0):.0f}")
    if row.get("hold_s") and row.get("alive_after_hold") != row.get("count"):
        found.append(f"{row.get('alive_after_hold')} of {row.get('count')} connections left")
    if not found and not row.get("lossy") and row.get("ok") != 1:
        found.append("not ok")
    return found


def values(metric: Metric, rows: Iterable[Row]) -> list[float]:
    """Collect one number over runs."""
    return [v for row in rows if (v := metric.value(row)) is not None]


def ratio(metric: Metric, ours: float, theirs: float) -> float | None:
    """Return how many times better ours is; nothing to divide by gives None."""
    above, below = (ours, theirs) if metric.more_is_better else (theirs, ours)
    return above / below if below > 0 and above > 0 else None


def median_ratio(metric: Metric, ours: Iterable[Row], theirs: Iterable[Row]) -> float | None:
    """Return the ratio of the medians."""
    a, b = values(metric, ours), values(metric, theirs)
    return ratio(metric, statistics.median(a), statistics.median(b)) if a and b else None


def ratio_range(
    metric: Metric, ours: Iterable[Row], theirs: Iterable[Row]
) -> tuple[float, float] | None:
    """Return the least and the greatest ratio of runs that were neighbours in time."""
    beside = {row.get("rep"): metric.value(row) for row in theirs}
    found = []
    for row in ours:
        a, b = metric.value(row), beside.get(row.get("rep"))
        if a is not None and b is not None and (r := ratio(metric, a, b)) is not None:
            found.append(r)
    return (min(found), max(found)) if len(found) > 1 else None


def cell(metric: Metric, rows: Sequence[Row]) -> str:
    """Format the median, and the spread around it when there are several runs."""
    found = values(metric, rows)
    if not found:
        return MISSING
    middle = statistics.median(found)
    text = f"{middle:,.{metric.digits}f}"
    if len(found) > 1 and middle > 0:
        text += f" ({min(found) / middle:.2f}-{max(found) / middle:.2f})"
    return text


def ratio_cell(metric: Metric, ours: Sequence[Row], theirs: Sequence[Row]) -> str:
    """Format the ratio of medians and the range of the ratios run by run."""
    middle = median_ratio(metric, ours, theirs)
    if middle is None:
        return MISSING
    between = ratio_range(metric, ours, theirs)
    return f"{middle:.2f}x" + (f" ({between[0]:.2f}-{between[1]:.2f})" if between else "")


class Report:
    """All results, by scenario and broker in the order they first appear."""

    def __init__(self, rows: Iterable[Row], ours: str = "amqtt", base: str = "mosquitto") -> None:
        """Group the rows; `ours` is compared with `base`."""
        self.ours = ours
        self.base = base
        self.groups: dict[str, dict[str, list[Row]]] = {}
        for row in rows:
            self.groups.setdefault(row["key"], {}).setdefault(row["label"], []).append(row)
        labels = list(dict.fromkeys(n for group in self.groups.values() for n in group))
        rank = {ours: 0, base: 1}
        self.labels = sorted(labels, key=lambda n: (rank.get(n, 2), labels.index(n)))

    @property
    def comparable(self) -> bool:
        """Tell whether both sides of the ratio are there."""
        return self.ours in self.labels and self.base in self.labels

    def failures(self) -> list[str]:
        """List the runs of real brokers that did not account for every message."""
        return [
            f"{key}, {label}, run {row.get('rep', 0)}: {'; '.join(found)}"
            for key, group in self.groups.items()
            for label, rows in group.items()
            for row in rows
            if row.get("is_broker", True) and (found := problems(row))
        ]

    def scenario_table(self, key: str) -> list[str]:
        """Return the Markdown table of one scenario, and remarks about how it was measured."""
        group = self.groups[key]
        here = [n for n in self.labels if n in group]
        sample = next(iter(group.values()))[0]
        head = ["", *here] + ([f"{self.ours} better by"] if self.comparable else [])
        lines = [f"### {key}", "", f"`{sample.get('args', '')}`", ""]
        lines += ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
        ours, theirs = group.get(self.ours, []), group.get(self.base, [])
        for metric in metrics_for(sample):
            cells = [metric.label, *(cell(metric, group[n]) for n in here)]
            if self.comparable:
                cells.append(ratio_cell(metric, ours, theirs))
            lines.append("| " + " | ".join(cells) + " |")
        whole = [f"{_whole(group[n])} of {len(group[n])}" for n in here]
        cells = ["runs with every message accounted for", *whole]
        lines.append("| " + " | ".join(cells + ([""] if self.comparable else [])) + " |")
        remarks = [r for n in here for r in _remarks(n, group[n])]
        return [*lines, *([""] if remarks else []), *remarks]

    def summary(self) -> list[str]:
        """Return one line a scenario with the two ratios that matter."""
        lines = [
            f"| scenario | throughput, {self.ours} / {self.base} "
            f"| broker CPU, {self.base} / {self.ours} | aim | {self.base} / floor "
            "| every message |",
            "|---|---|---|---|---|---|",
        ]
        for key, group in self.groups.items():
            rows = [row for n in group for row in group[n] if row.get("is_broker", True)]
            ratios = {"throughput": MISSING, "cpu": MISSING}
            if self.comparable:
                ours, theirs = group.get(self.ours, []), group.get(self.base, [])
                for metric in metrics_for(next(iter(group.values()))[0]):
                    if metric.headline:
                        ratios[metric.headline] = ratio_cell(metric, ours, theirs)
            every = "yes" if _whole(rows) == len(rows) else f"{_whole(rows)} of {len(rows)} runs"
            cells = [key, ratios["throughput"], ratios["cpu"], *self._bounds(group), every]
            lines.append(f"| {' | '.join(cells)} |")
        return lines

    def _bounds(self, group: dict[str, list[Row]]) -> tuple[str, str]:
        """Return what the ratio of CPU is to be, and what it is for the frame forwarder."""
        sample = next(iter(group.values()))[0]
        aim = sample.get("aim")
        cpu = next((m for m in metrics_for(sample) if m.headline == "cpu"), None)
        floor = cpu and median_ratio(cpu, group.get("floor", []), group.get(self.base, []))
        return (
            MISSING if aim is None or self.base != "mosquitto" else f"{aim:g}x",
            f"{floor:.1f}x" if floor else MISSING,
        )

    def render(self) -> str:
        """Return the whole report as Markdown."""
        parts = [line for key in self.groups for line in [*self.scenario_table(key), ""]]
        parts += ["### Summary", "", *self.summary()]
        if failures := self.failures():
            parts += ["", "### Not accounted for", "", *(f"- {f}" for f in failures)]
        return "\n".join(parts) + "\n"


def _whole(rows: Sequence[Row]) -> int:
    return sum(not problems(row) for row in rows)


def _remarks(label: str, rows: Sequence[Row]) -> list[str]:
    """Say what makes the numbers of one broker less than they seem."""
    found = []
    limited = [
        r for r in rows
        if (r.get("lg_cpu_pct") or 0) >= BUSY_PCT and (r.get("br_cpu_pct") or 0) < BUSY_PCT
    ]  # fmt: skip
    if limited:
        found.append(
            f"- {label}: the load generator was the limit in {len(limited)} of {len(rows)} runs; "
            "compare CPU, not throughput."
        )
    other = max((r.get("other_cpu_pct") or 0 for r in rows), default=0)
    if other >= DISTURBED_PCT:
        found.append(f"- {label}: other processes used up to {other:.0f} % of a core meanwhile.")
    lossy = [r for r in rows if r.get("lossy") and r.get("expected")]
    if dropped := [r for r in lossy if r.get("lost")]:
        share = statistics.median(100 * (r.get("lost") or 0) / r["expected"] for r in lossy)
        found.append(
            f"- {label}: dropped {share:.1f} % of the messages (allowed here) "
            f"in {len(dropped)} of {len(rows)} runs."
        )
    return found
