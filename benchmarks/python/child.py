"""A child process that speaks JSON lines and does not outlive its time."""

from __future__ import annotations

import json
import subprocess
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any


class ChildError(RuntimeError):
    """A child process that failed or said nothing of use."""


class Child:
    """A process as a context manager, killed by its pid at the deadline or on the way out."""

    def __init__(self, command: Sequence[str], timeout: float, cwd: Path | None = None) -> None:
        """Start the command."""
        self._name = Path(command[0]).name
        self._errors = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115
        self._process = subprocess.Popen(
            list(command),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )
        self._late = False
        self._timeout = timeout
        self._timer = threading.Timer(timeout, self._expire)
        self._timer.daemon = True
        self._timer.start()

    def __enter__(self) -> Child:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Kill it if it still runs, and collect it."""
        self._timer.cancel()
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        if self._process.stdout:
            self._process.stdout.close()
        self._errors.close()

    def _expire(self) -> None:
        self._late = True
        self._process.kill()

    def next_line(self) -> dict[str, Any]:
        """Return the next JSON line; raise ChildError when there is none."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise ChildError(self._why())
        try:
            row: dict[str, Any] = json.loads(line)
        except json.JSONDecodeError as error:
            raise ChildError(f"{self._name} printed {line[:200]!r}") from error
        return row

    def wait_ready(self) -> None:
        """Wait until it says that it is subscribed."""
        row = self.next_line()
        if row.get("event") != "ready":
            raise ChildError(f"{self._name} is not ready: {row}")

    def _why(self) -> str:
        if self._late:
            return f"{self._name} gave no result in {self._timeout:.0f} s"
        code = self._process.wait()
        self._errors.seek(0)
        lines = self._errors.read().strip().splitlines()
        return f"{self._name} ended with {code}: {lines[-1] if lines else 'nothing on stderr'}"
