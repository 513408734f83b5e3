"""Wire cases: reading ``tests/conformance/vectors/*.json`` and their byte notation."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ID_LENGTH = 8
MAX_REAL_ADVANCE = 3.0

_TOKEN = re.compile(r"\s*(?:'([^']*)'|([0-9A-Fa-f]{2}))(?:\*(\d+))?(?=\s|$)")
_ACTIONS = ("send", "expect", "expect_set", "expect_close", "abort", "ping", "advance")


@dataclass(frozen=True)
class Case:
    """One wire case: its steps, and where it comes from."""

    name: str
    file: str
    version: str
    steps: list[dict[str, Any]]

    @property
    def advances(self) -> list[float]:
        """Return the clock steps of the case, in seconds."""
        return [float(step["advance"]) for step in self.steps if "advance" in step]


def parse_bytes(text: str, unique: str) -> bytes:
    """Return the bytes that ``text`` denotes, ``{id}`` in quoted text replaced by ``unique``."""
    out = bytearray()
    at = 0
    text = text.rstrip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            msg = f"bad byte notation at {text[at : at + 20]!r}"
            raise ValueError(msg)
        quoted, pair, times = match.groups()
        piece = bytes.fromhex(pair) if pair else quoted.replace("{id}", unique).encode()
        out += piece * int(times or 1)
        at = match.end()
    return bytes(out)


def check_case(case: Case) -> None:
    """Raise ValueError if the case breaks the format."""
    if re.fullmatch(r"[a-z0-9_]+", case.name) is None:
        msg = f"{case.file}: bad case name {case.name!r}"
        raise ValueError(msg)
    for step in case.steps:
        actions = [key for key in step if key in _ACTIONS]
        if len(actions) != 1 or set(step) - {"on", *_ACTIONS}:
            msg = f"{case.file}: {case.name}: bad step {step}"
            raise ValueError(msg)
        if ("on" in step) == (actions[0] == "advance"):
            msg = f"{case.file}: {case.name}: 'on' goes with every action but advance: {step}"
            raise ValueError(msg)
        value = step[actions[0]]
        for text in value if isinstance(value, list) else [value]:
            if isinstance(text, str):
                parse_bytes(text, "0" * ID_LENGTH)


def load_cases(folder: Path) -> Iterator[Case]:
    """Yield every case of every file of ``folder``, in file order."""
    seen: set[str] = set()
    for path in sorted(folder.glob("*.json")):
        document = json.loads(path.read_text(encoding="utf-8"))
        for raw in document["cases"]:
            case = Case(raw["name"], path.name, document["version"], raw["steps"])
            check_case(case)
            if case.name in seen:
                msg = f"{path.name}: case name {case.name!r} is used twice"
                raise ValueError(msg)
            seen.add(case.name)
            yield case
