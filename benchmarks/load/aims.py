#!/usr/bin/env python3
"""Measure what one table of throughput cannot show, beside what it should be.

Start and memory, system calls, churn, floods, large state, transports. Each question is answered
for our broker and, where it makes sense, for mosquitto in the same run; the aim stands beside it.
Exit status: 0 when everything could be measured, 2 when not. Whether an aim is reached is for the
reader: a busy machine misses most of those that are about time.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[2]))

from benchmarks.load import footprint, peers, pressure, tools, transports
from benchmarks.load.answers import Answer, Bench

QUESTIONS: dict[str, tuple[str, Callable[[Bench], Iterator[Answer]]]] = {
    "start": ("import, start, memory of a broker without clients", footprint.start),
    "idle": ("memory of idle connections", footprint.idle),
    "retained": ("a million retained messages", footprint.retained),
    "subscriptions": ("a million subscriptions", footprint.subscriptions),
    "calls": ("system calls of the broker for a delivery", pressure.calls),
    "churn": ("a topic after 3,000 subscribers of it have come and gone", pressure.churn),
    "flood": ("the round trip of a quiet client beside a flood", pressure.flood),
    "stuck": ("a subscriber that never reads", pressure.stuck),
    "blast": ("four publishers without flow control", pressure.blast),
    "state": ("throughput with 100,000 subscriptions beside 10", pressure.state),
    "versions": ("MQTT 5.0 beside 3.1.1", transports.versions),
    "tls": ("TLS beside mosquitto's", transports.tls),
    "handshakes": ("TLS handshakes, with one thread and two", transports.handshakes),
    "websocket": ("WebSocket beside TCP", transports.websocket),
}


@dataclass
class Chapter:
    """The answers to one question, or why there are none."""

    title: str
    answers: list[Answer] = field(default_factory=list)
    problem: str = ""


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = ", ".join(QUESTIONS)
    parser.add_argument("--only", metavar="A,B", help=f"some of: {names}")
    parser.add_argument("--reps", type=int, default=3, metavar="N", help="runs of each (3)")
    args = parser.parse_args(argv)
    args.only = [name.strip() for name in args.only.split(",")] if args.only else list(QUESTIONS)
    if unknown := set(args.only) - set(QUESTIONS):
        parser.error(f"--only: unknown {', '.join(sorted(unknown))}; there are {names}")
    if args.reps < 1:
        parser.error("--reps must be at least 1")
    return args


def measure(names: Sequence[str], reps: int) -> Iterator[Chapter]:
    """Answer the questions one after the other."""
    peers.raise_file_limit()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mqtt-aims-")))
        bench = Bench(folder, reps)
        for name in names:
            title, question = QUESTIONS[name]
            print(f"{name}: {title}", file=sys.stderr)
            chapter = Chapter(f"{name}: {title}")
            try:
                chapter.answers.extend(question(bench))
            except (peers.PeerError, tools.BuildError, OSError) as error:
                chapter.problem = str(error)
            yield chapter


def render(chapter: Chapter) -> str:
    """Return the chapter as a table."""
    lines = [f"### {chapter.title}", ""]
    if chapter.answers:
        lines += ["| what | amqtt | mosquitto | aim |", "|---|---|---|---|"]
        lines += [answer.row() for answer in chapter.answers]
    if chapter.problem:
        lines += ["", f"Not measured: {chapter.problem}"]
    return "\n".join([*lines, ""])


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    args = parse_args(argv)
    complete = True
    for chapter in measure(args.only, args.reps):
        print(render(chapter), flush=True)
        complete = complete and not chapter.problem
    return 0 if complete else 2


if __name__ == "__main__":
    sys.exit(main())
