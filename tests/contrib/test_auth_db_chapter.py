"""The chapter on databases works word for word."""

from __future__ import annotations

import dataclasses
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.process import BrokerProcess, StartBroker, broker_kind

from amqtt.contrib.auth_db import TopicAuthDBPlugin, UserAuthDBPlugin

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "authenticate-with-a-database.md"
MODULES = {
    "user_mgr": "manage_users",
    "topic_mgr": "manage_topics",
    "amqtt_pub": "pub_script",
    "amqtt_sub": "sub_script",
}

pytestmark = pytest.mark.skipif(broker_kind() != "amqtt", reason="the chapter is of amqtt")


def block(language: str) -> str:
    found = re.search(rf"^```{language}\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert found
    return found[1]


def run(line: str, folder: Path, answers: str = "") -> subprocess.CompletedProcess[str]:
    command, *arguments = shlex.split(line)
    return subprocess.run(
        [sys.executable, "-m", f"amqtt.scripts.{MODULES[command]}", *arguments],
        cwd=folder, input=answers, capture_output=True, text=True, timeout=60,
    )  # fmt: skip


@pytest.fixture
def broker(broker_process: StartBroker, tmp_path: Path) -> BrokerProcess:
    for line in block("sh").splitlines():
        done = run(line, tmp_path, "secret\n")
        assert done.returncode == 0, done.stderr
    config = yaml.safe_load(block("yaml"))
    plugins = {
        path: {**options, "connection": f"sqlite+aiosqlite:///{tmp_path}/auth.db"}
        for path, options in config["plugins"].items()
        if options["connection"] == "sqlite+aiosqlite:///auth.db"
    }
    return broker_process({"plugins": plugins})


def test_the_tables_hold_all_options_and_their_defaults() -> None:
    text = PAGE.read_text()
    rows = re.findall(r"^\| `(\w+)` \| ([^|]+) \|", text, re.MULTILINE)
    described = {name: cell.strip("` ") for name, cell in rows}
    options: dict[str, Any] = {}
    for config in (UserAuthDBPlugin.Config, TopicAuthDBPlugin.Config):
        for field in dataclasses.fields(config):
            if field.default_factory is not dataclasses.MISSING:
                options[field.name] = field.default_factory()
            else:
                options[field.name] = field.default
    assert described.pop("connection") == "required"
    assert options.pop("connection") is dataclasses.MISSING
    assert {name: yaml.safe_load(cell) for name, cell in described.items()} == options


def test_who_is_allowed_and_who_is_not(broker: BrokerProcess, tmp_path: Path) -> None:
    def publish(login: str, topic: str) -> int:
        url = f"mqtt://{login}@127.0.0.1:{broker.port}"
        return run(f"amqtt_pub --url {url} -q 1 -t {topic} -m {topic}", tmp_path).returncode

    subscriber = subprocess.Popen(
        [
            sys.executable, "-m", "amqtt.scripts.sub_script", "-t", "home/#", "-n", "1",
            "--url", f"mqtt://alice:secret@127.0.0.1:{broker.port}",
        ],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert subscriber.stderr is not None
        while "Subscribed to" not in (line := subscriber.stderr.readline()):
            assert line, "the subscriber has ended"
        assert publish("alice:guess", "home/alice/x") == 1
        assert publish("eve:secret", "home/alice/x") == 1
        publish("alice:secret", "home/eve/x")
        assert publish("alice:secret", "home/alice/x") == 0
        output, _ = subscriber.communicate(timeout=60)
    finally:
        subscriber.kill()
    assert output == "home/alice/x\n"
