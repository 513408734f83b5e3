"""The broker core in a process of its own, obeying line by line (tests/cpp/model/driver.cpp)."""

import os
import subprocess
from pathlib import Path
from types import TracebackType

_BUILT = Path(__file__).parents[2] / "build" / "editable" / "tests" / "cpp" / "model_driver"


def driver_path() -> Path:
    """Return the executable: AMQTT_MODEL_DRIVER, or where ``./dev build`` puts it."""
    return Path(os.environ.get("AMQTT_MODEL_DRIVER", _BUILT))


class DriverError(Exception):
    """The process has ended: the broker crashed, or the driver did not understand."""


class Driver:
    """Talks to one process, which serves any number of brokers, one after the other."""

    def __init__(self) -> None:
        """Start the process."""
        self._start()

    def __enter__(self) -> "Driver":
        """Return the driver."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the process."""
        self._end()

    def _start(self) -> None:
        self._process = subprocess.Popen(
            [driver_path()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def _end(self) -> str:
        """End the process and return how it ended."""
        _, errors = self._process.communicate()
        return f"exit status {self._process.returncode}\n{errors[-4000:]}"

    def reset(self, settings: dict[str, int]) -> None:
        """Begin with a new broker, and a new process if the last one has ended."""
        if self._process.poll() is not None:
            self._start()
        words = [f"{key}={value}" for key, value in settings.items()]
        self.command("reset", *words)

    def command(self, *words: str) -> list[tuple[str, bytes | None]]:
        """Obey, and return what each connection received; None stands for closed."""
        try:
            assert self._process.stdin
            assert self._process.stdout
            self._process.stdin.write(" ".join(words) + "\n")
            self._process.stdin.flush()
            seen: list[tuple[str, bytes | None]] = []
            for line in self._process.stdout:
                if line == ".\n":
                    return seen
                name, what = line.rstrip("\n").split(" ", 1)
                if name == "!":
                    raise DriverError(what)
                seen.append((name, None if what == "closed" else bytes.fromhex(what)))
        except BrokenPipeError:
            pass
        msg = f"the broker's process ended at '{' '.join(words)[:200]}': {self._end()}"
        raise DriverError(msg)
