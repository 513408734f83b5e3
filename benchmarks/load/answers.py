"""What `aims.py` asks with: brokers, the load generator, and the form of an answer."""

from __future__ import annotations

import statistics
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.load import measure, peers, tools

Row = dict[str, Any]


@dataclass(frozen=True)
class Answer:
    """One line of a table: a number of ours, of mosquitto's if there is one, and the aim."""

    what: str
    ours: float
    theirs: float | None = None
    aim: str = ""
    digits: int = 0

    def row(self) -> str:
        """Return the line."""
        theirs = "-" if self.theirs is None else self._shown(self.theirs)
        return f"| {self.what} | {self._shown(self.ours)} | {theirs} | {self.aim or '-'} |"

    def _shown(self, number: float) -> str:
        return f"{number:,.{self.digits}f}"


class Bench:
    """Where brokers are started and loaded."""

    def __init__(self, folder: Path, reps: int) -> None:
        """Remember the folder for their files, and how often each thing is measured."""
        self.folder = folder
        self.reps = reps

    def load(
        self,
        peer: peers.Peer,
        *args: str,
        tls: bool = False,
        lossy: bool = False,
        timeout: float = 300,
    ) -> Row:
        """Run the load generator against a broker, and return its result.

        Raises PeerError when there is no result or, unless it may be so, messages are missing.
        """
        done = subprocess.run(
            self.load_command(peer, *args, tls=tls),
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        row = measure.parse_output(done.stdout, done.stderr)
        if "error" in row or (row.get("ok") == 0 and not lossy):
            problem = row.get("error", "messages are missing")
            raise peers.PeerError(f"{peer.name}, {' '.join(args)}: {problem}")
        return row

    def load_command(self, peer: peers.Peer, *args: str, tls: bool = False) -> Sequence[str]:
        """Return the command that loads a broker."""
        program = tools.build("mqttload", tls=tls)
        command = [str(program), *args, "--port", str(peer.port), "--pid", str(peer.pid)]
        return [*command, "--tls", "1"] if tls else command

    def both(
        self,
        question: Callable[[peers.Peer], float],
        *,
        certificate: peers.Certificate | None = None,
        extra: str = "",
    ) -> tuple[float, float]:
        """Return the medians of a number for our broker and for mosquitto, which take turns.

        extra: YAML that is added to the configuration of ours.
        """
        ours = peers.amqtt_spec(certificate=certificate, extra=extra)
        specs = (ours, peers.mosquitto_spec(certificate))
        first, second = self.medians(specs, question)
        return first, second

    def medians(
        self, specs: Sequence[peers.PeerSpec], question: Callable[[peers.Peer], float]
    ) -> list[float]:
        """Return the median of a number for each of some brokers, started anew for each run."""
        found: list[list[float]] = [[] for _ in specs]
        for rep in range(self.reps):
            for place in range(len(specs)):
                which = (place + rep) % len(specs)
                with peers.Peer(specs[which], self.folder) as peer:
                    found[which].append(question(peer))
        return [statistics.median(numbers) for numbers in found]


def resident_bytes(pid: int) -> int:
    """Return how much memory a process has at this moment."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise peers.PeerError(f"no process {pid}")
