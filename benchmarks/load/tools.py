"""Build the C++ tools of this folder, when their source is newer than what was built."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCES = Path(__file__).resolve().parent
OUTPUT = ROOT / "build" / "benchmarks"
FLAGS = ("-O2", "-std=c++20", "-Wall", "-Wextra")


class BuildError(RuntimeError):
    """A tool that could not be built."""


def last_change(name: str) -> float:
    """Return when the source of a tool, or a header in the folder of its name, last changed."""
    sources = [SOURCES / f"{name}.cpp", *(SOURCES / name).glob("*.hpp")]
    return max(source.stat().st_mtime for source in sources)


def build(name: str, *, tls: bool = False) -> Path:
    """Return the path of a tool's binary, compiled anew if its source has changed."""
    source = SOURCES / f"{name}.cpp"
    target = OUTPUT / (f"{name}-tls" if tls else name)
    if target.exists() and target.stat().st_mtime >= last_change(name):
        return target
    compiler = shutil.which(os.environ.get("CXX", "g++"))
    if compiler is None:
        raise BuildError("no C++ compiler: install g++ or set CXX")
    OUTPUT.mkdir(parents=True, exist_ok=True)
    fresh = target.with_name(f"{target.name}.{os.getpid()}")
    extra = ("-DUSE_TLS", "-lssl", "-lcrypto") if tls else ()
    done = subprocess.run(
        [compiler, *FLAGS, str(source), "-o", str(fresh), *extra],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise BuildError(f"{source.name} does not compile:\n{done.stderr.strip()}")
    fresh.replace(target)
    return target
