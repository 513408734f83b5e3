"""What the broker's command imports: what it does not need would only make its start slower."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import yaml

from amqtt.contexts import default_broker_plugins

# Slow to import, and of no use to a broker that serves clients with the default plugins.
NOT_NEEDED = {
    *("typer", "click", "rich", "pydantic", "shellingham"),
    *("typing_extensions", "transitions", "six"),
    *("argon2", "bcrypt", "passlib", "scramp", "cryptography", "jwt"),
    *("sqlalchemy", "alembic", "aiohttp", "websockets"),
    *("decimal", "email", "http.client", "importlib.metadata", "urllib.request", "zipfile"),
    *("amqtt.client", "amqtt.contrib", "amqtt.plugins.scram"),
}

OBSERVER = """
import os
import signal
import sys
from pathlib import Path

from amqtt.plugins.base import BasePlugin


class Observer(BasePlugin):
    async def on_broker_post_start(self):
        Path(os.environ["IMPORTED"]).write_text("\\n".join(sys.modules))
        os.kill(os.getpid(), signal.SIGTERM)
"""


def test_a_broker_imports_nothing_that_it_does_not_need(tmp_path: Path) -> None:
    config, imported = tmp_path / "broker.yaml", tmp_path / "imported"
    (tmp_path / "observer.py").write_text(OBSERVER)
    plugins = {**default_broker_plugins(), "observer.Observer": {}}
    listeners = {"default": {"bind": "127.0.0.1:0"}}
    config.write_text(yaml.safe_dump({"listeners": listeners, "plugins": plugins}))
    done = subprocess.run(
        [sys.executable, "-m", "amqtt.scripts.broker_script", "-c", str(config)],
        env={**os.environ, "PYTHONPATH": str(tmp_path), "IMPORTED": str(imported)},
        capture_output=True,
        encoding="utf-8",
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    names = set(imported.read_text().splitlines())
    assert {"amqtt.broker", "amqtt.plugins.sys.broker", "yaml"} <= names
    assert not NOT_NEEDED & names
