"""What docs/topics/design.md names is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "topics" / "design.md").read_text(encoding="utf-8")
PATHS = sorted(set(re.findall(r"`((?:cpp|amqtt|tests|fuzz|benchmarks)/[\w/.]+)`", PAGE)))

# A file, and the functions behind it: `path`, `name` and `name`.
STEP = re.compile(r"`((?:cpp|amqtt)/[\w/.]+\.\w+)`, (`\w+`(?:(?:,| and) `\w+`)*)")
FUNCTIONS = sorted(
    {
        (path, name)
        for path, names in STEP.findall(PAGE.replace("\n", " ").replace("   ", " "))
        for name in re.findall(r"\w+", names.replace(" and ", " "))
    }
)


def test_the_page_names_paths_and_functions() -> None:
    assert len(PATHS) > 20
    assert len(FUNCTIONS) > 15


@pytest.mark.parametrize("path", PATHS)
def test_named_paths_exist(path: str) -> None:
    assert (ROOT / path).exists()


@pytest.mark.parametrize(("path", "function"), FUNCTIONS)
def test_named_functions_are_in_their_files(path: str, function: str) -> None:
    source = (ROOT / path).read_text(encoding="utf-8")
    assert re.search(rf"\b{function}\(", source), f"{path} has no {function}()"
