"""The chapter on keeping sessions works word for word."""

from __future__ import annotations

import dataclasses
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from support.process import broker_kind, free_port
from support.python import python_environment

from amqtt.contrib.persistence import SessionDBPlugin

PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "keep-sessions.md"
SCRIPTS = {"amqtt": "broker_script", "amqtt_pub": "pub_script", "amqtt_sub": "sub_script"}

pytestmark = pytest.mark.skipif(broker_kind() != "amqtt", reason="the chapter is of amqtt")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)


def test_the_table_holds_all_options_and_their_defaults() -> None:
    rows = re.findall(r"^\| `(\w+)` \|([^|]*)\|", PAGE.read_text(), re.MULTILINE)
    described = {name: cell.split(",")[0].strip("` ") or None for name, cell in rows}
    assert described.pop("file") == SessionDBPlugin.Config().file.name  # type: ignore[union-attr]
    options = {f.name: f.default for f in dataclasses.fields(SessionDBPlugin.Config)}
    del options["file"]
    assert {k: v and yaml.safe_load(v) for k, v in described.items()} == options


def test_what_it_shows(tmp_path: Path) -> None:
    """The commands are run one after the other, as by someone who waits for the broker to start."""
    port = str(free_port())
    (tmp_path / "broker.yaml").write_text(blocks("yaml")[0].replace("1883", port))
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, module in SCRIPTS.items():
        program = programs / name
        url = "" if name == "amqtt" else f" --url mqtt://127.0.0.1:{port}"
        program.write_text(
            f'#!/bin/sh\nexec "{sys.executable}" -m amqtt.scripts.{module} "$@"{url}\n'
        )
        program.chmod(0o755)
    script = ["set -m", "trap 'kill $(jobs -p)' EXIT"]
    for line in "".join(blocks("sh")).splitlines():
        script.append(line)
        if line.startswith("amqtt "):
            script.append(f"until (: </dev/tcp/127.0.0.1/{port}); do sleep 0.1; done 2>/dev/null")
    environment = python_environment()
    environment["PATH"] = f"{programs}:{environment['PATH']}"
    done = subprocess.run(
        ["bash", "-c", "\n".join(script)],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=100,
    )  # fmt: skip
    assert done.stdout.splitlines()[-1:] == blocks("text")[1].splitlines(), done.stderr
    assert (tmp_path / "sessions.db").exists()
