"""The list of load scenarios in `scen.txt`, and the choice of some of them."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

SCENARIO_FILE = Path(__file__).with_name("scen.txt")
QUICK = ("p1_q0", "p1_q1", "p50_q0", "fanout100_q0")
FLAGS = frozenset({"floor", "lossy"})


class ScenarioError(ValueError):
    """A scenario file or a choice of scenarios that makes no sense."""


@dataclass(frozen=True)
class Scenario:
    """One run of the load generator: a name, its arguments and what is known about it."""

    key: str
    args: tuple[str, ...]
    flags: frozenset[str] = frozenset()
    aim: float | None = None  # how many times less CPU than mosquitto it is to need

    @property
    def kind(self) -> str:
        """Return the load generator's scenario word (`pairs`, `connect`, ...)."""
        return self.args[0]

    @property
    def lossy(self) -> bool:
        """Tell whether missing messages are allowed here."""
        return "lossy" in self.flags

    @property
    def floor(self) -> bool:
        """Tell whether the frame forwarder can serve this."""
        return "floor" in self.flags

    @property
    def on_request(self) -> bool:
        """Tell whether it needs more than MQTT 3.1.1, and so runs only when it is named."""
        return self.option("--ver", "4") != "4"

    def option(self, name: str, default: str) -> str:
        """Return the value of one load generator option."""
        if name in self.args:
            return self.args[self.args.index(name) + 1]
        return default


def parse(text: str) -> list[Scenario]:
    """Read scenario lines; blank lines and `#` comments are skipped."""
    found: dict[str, Scenario] = {}
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.split("#", 1)[0].strip()
        if not line:
            continue
        key, colon, rest = line.partition(":")
        args, _, marks = rest.partition("@")
        words = [word.strip() for word in marks.split(",") if word.strip()]
        flags = frozenset(word for word in words if not word.startswith("aim="))
        scenario = Scenario(key.strip(), tuple(args.split()), flags, _aim(number, words))
        if not colon or not scenario.args:
            raise ScenarioError(f"line {number}: expected 'key: arguments', got {raw!r}")
        if unknown := scenario.flags - FLAGS:
            raise ScenarioError(f"line {number}: unknown flag {', '.join(sorted(unknown))}")
        if scenario.key in found:
            raise ScenarioError(f"line {number}: {scenario.key} is there twice")
        found[scenario.key] = scenario
    return list(found.values())


def _aim(line: int, words: list[str]) -> float | None:
    for word in words:
        name, _, value = word.partition("=")
        if name == "aim":
            try:
                return float(value)
            except ValueError:
                raise ScenarioError(f"line {line}: expected aim=NUMBER, got {word!r}") from None
    return None


def load(path: Path = SCENARIO_FILE) -> list[Scenario]:
    """Read the scenario file."""
    return parse(path.read_text(encoding="utf-8"))


def select(scenarios: list[Scenario], wanted: str | None, *, quick: bool = False) -> list[Scenario]:
    """Pick scenarios by comma separated names or patterns (`p1_*`), keeping the file's order.

    Without names: the quick ones, or all that MQTT 3.1.1 is enough for.
    """
    if not wanted:
        if quick:
            return [s for s in scenarios if s.key in QUICK]
        return [s for s in scenarios if not s.on_request]
    patterns = [p.strip() for p in wanted.split(",") if p.strip()]
    for pattern in patterns:
        if not any(fnmatchcase(s.key, pattern) for s in scenarios):
            raise ScenarioError(f"no scenario is called {pattern}")
    return [s for s in scenarios if any(fnmatchcase(s.key, p) for p in patterns)]
