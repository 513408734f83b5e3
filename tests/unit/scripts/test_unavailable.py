from __future__ import annotations

import subprocess
import sys

import pytest

MODULES = {
    "ca_creds": "ca_creds",
    "server_creds": "server_creds",
    "device_creds": "device_creds",
}


@pytest.mark.parametrize(("module", "command"), MODULES.items())
def test_says_so(module: str, command: str) -> None:
    result = subprocess.run(
        [sys.executable, "-m", f"amqtt.scripts.{module}", "--help"],
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr.startswith(f"{command}: not available yet")
