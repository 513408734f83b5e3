"""Python programs in processes of their own, on the package that the tests import."""

import os
import subprocess
import sys
from pathlib import Path

import amqtt
from support import threads

PROGRAM_LIMIT = 60.0


def python_command() -> list[str]:
    """Return how to start the interpreter of the tests, with its options that matter here."""
    return [sys.executable, *(["-S"] if sys.flags.no_site else [])]


def python_environment() -> dict[str, str]:
    """Return an environment in which a subprocess imports the ``amqtt`` that we import."""
    path = [str(Path(amqtt.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    if threads.wanted() > 1:
        path.insert(0, str(threads.STARTUP))
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, path))}


def run_program(source: str, *arguments: str) -> str:
    """Run a program, which must exit with status 0 and write nothing to stderr.

    Returns:
        What it wrote to stdout.

    """
    finished = subprocess.run(
        [*python_command(), "-X", "faulthandler", "-W", "error", "-c", source, *arguments],
        env=python_environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PROGRAM_LIMIT,
        check=False,
    )
    assert finished.returncode == 0, f"status {finished.returncode}:\n{finished.stderr}"
    assert finished.stderr == "", finished.stderr
    return finished.stdout
