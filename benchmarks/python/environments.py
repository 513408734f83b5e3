"""The interpreters that the clients run in.

Ours runs in the interpreter that runs the benchmark. Other projects' clients may be there too, or
in an environment of their own, so that their dependencies stay out of ours. The original of this
package has the same import name and always needs an environment of its own.
"""

from __future__ import annotations

import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / "build" / "benchmarks"
PEERS = FOLDER / "peers"
ORIGINAL = FOLDER / "original"
PACKAGES = {
    PEERS: ("paho-mqtt", "aiomqtt", "gmqtt", "pymosquitto", "uvloop"),
    ORIGINAL: ("amqtt",),
}


@dataclass(frozen=True)
class Client:
    """How to start the worker of one client."""

    driver: str
    environment: Path | None = PEERS
    uvloop: bool = False
    session_file: bool = False

    @property
    def python(self) -> str | None:
        """Return the interpreter to run it in; None when its environment is missing."""
        if self.environment is None:
            return sys.executable
        python = self.environment / "bin" / "python"
        if python.exists():
            return str(python)
        return None if self.environment == ORIGINAL else sys.executable

    def arguments(self) -> list[str]:
        """Return the first arguments of the worker."""
        options = {"--uvloop": self.uvloop, "--session-file": self.session_file}
        return [self.driver, *(name for name, is_given in options.items() if is_given)]


CLIENTS = {
    "amqtt": Client("amqtt", environment=None),
    "amqtt-file": Client("amqtt", environment=None, session_file=True),
    "paho": Client("paho"),
    "aiomqtt": Client("aiomqtt"),
    "gmqtt": Client("gmqtt"),
    "gmqtt-uvloop": Client("gmqtt", uvloop=True),
    "pymosquitto": Client("pymosquitto"),
    "original": Client("amqtt", environment=ORIGINAL),
}
"""The clients by the name they have in the table.

`amqtt-file` is ours with a session file, `original` is aMQTT as it is on PyPI.
"""


def install(*folders: Path) -> None:
    """Make the environments that are missing and install the packages from the package index.

    Args:
        folders: some of the environments; all, when none is named.

    Raises:
        subprocess.CalledProcessError: pip failed; it has said why.

    """
    for folder in folders or PACKAGES:
        packages = PACKAGES[folder]
        if not (folder / "bin" / "python").exists():
            venv.create(folder, with_pip=True)
        command = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet"]
        subprocess.run([*command, "--disable-pip-version-check", *packages], check=True)
