"""Makes the host processes: installs packages, compiles programs, finds browsers.

All that is made goes to ``build/interop`` and is made again when its sources change.
"""

import hashlib
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from support.certificates import public_key_hash
from support.endpoints import Trust

from .host import Host

ROOT = Path(__file__).parents[3]
SOURCES = ROOT / "tests" / "interop" / "hosts"
BUILD = ROOT / "build" / "interop"
PREPARE_LIMIT = 300
_BROWSERS = ("chromium", "chromium-browser", "google-chrome")


class MissingToolError(Exception):
    """There is no such host here; the text says what is missing or what failed."""


def make_host(kind: str, trust: Trust | None) -> Host:
    """Return the host of that kind of client.

    Args:
        kind: a key of ``HOSTS``.
        trust: what a browser trusts; others are told with each connection.

    Raises:
        MissingToolError: it cannot be made.

    """
    return HOSTS[kind](trust)


def _node(_trust: Trust | None) -> Host:
    return Host(["node", "node.mjs"], _npm_packages())


def _chromium(trust: Trust | None) -> Host:
    browser = next(filter(None, map(shutil.which, _BROWSERS)), None)
    if browser is None:
        msg = f"no browser found ({', '.join(_BROWSERS)})"
        raise MissingToolError(msg)
    key = [public_key_hash(trust.server)] if trust else []
    return Host(["node", "browser.mjs", browser, *key], _npm_packages())


def _npm_packages() -> Path:
    _need("node", "npm")
    folder = _sources_in_build("node")
    _make(
        folder, ["package-lock.json"], ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"]
    )
    return folder


def _paho_go(_trust: Trust | None) -> Host:
    _need("go")
    folder = _sources_in_build("go")
    # The module cache is Go's own; what a proxy serves is checked against go.sum.
    _make(folder, ["*.go", "go.mod", "go.sum"], ["go", "build", "-o", "host", "."])
    return Host([folder / "host"], folder)


def _paho_c(_trust: Trust | None) -> Host:
    _need("g++")
    folder = _sources_in_build("paho_c")
    command = ["g++", "-std=c++20", "-O1", "-Wall", "-Wextra", "-Werror", "-o", "host"]
    command += [source.name for source in sorted(folder.glob("*.cpp"))]
    _make(folder, ["*.cpp", "*.hpp"], [*command, "-lpaho-mqtt3as", "-lcrypto", "-pthread"])
    return Host([folder / "host"], folder)


HOSTS: dict[str, Callable[[Trust | None], Host]] = {
    "node": _node,
    "chromium": _chromium,
    "paho-go": _paho_go,
    "paho-c": _paho_c,
}


def _need(*tools: str) -> None:
    if missing := [tool for tool in tools if not shutil.which(tool)]:
        msg = f"{' and '.join(missing)} not found"
        raise MissingToolError(msg)


def _sources_in_build(name: str) -> Path:
    """Copy the sources beside what is made of them; return their folder."""
    folder = BUILD / name
    shutil.copytree(SOURCES / name, folder, dirs_exist_ok=True)
    return folder


def _make(folder: Path, patterns: Sequence[str], command: Sequence[str]) -> None:
    """Run a command in ``folder`` unless it has succeeded on the same inputs."""
    inputs = sorted(file for pattern in patterns for file in folder.glob(pattern))
    digest = hashlib.sha256(repr(command).encode())
    for file in inputs:
        digest.update(file.read_bytes())
    stamp = folder / ".made"
    if stamp.exists() and stamp.read_text() == digest.hexdigest():
        return
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=PREPARE_LIMIT, check=False
        )
    except subprocess.TimeoutExpired:
        msg = f"{' '.join(command[:2])} takes more than {PREPARE_LIMIT} s"
        raise MissingToolError(msg) from None
    if done.returncode != 0:
        msg = f"{' '.join(command[:2])} fails: {(done.stderr or done.stdout)[-2000:]}"
        raise MissingToolError(msg)
    stamp.write_text(digest.hexdigest())
