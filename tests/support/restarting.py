"""A broker that is killed and started again, on the same port and with the same configuration."""

from __future__ import annotations

import signal
import socket
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import yaml

from support.process import free_port
from support.python import python_command, python_environment

LIMIT = 60.0


class RestartingBroker:
    """Our broker as a subprocess with one listener, not running yet."""

    def __init__(self, folder: Path, plugins: dict[str, Any], **config: Any) -> None:
        """Write its configuration; ``plugins`` come beside the one that admits everybody."""
        self.port = free_port()
        self.uri = f"mqtt://127.0.0.1:{self.port}"
        self.starts = 0
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        content = {
            "listeners": {"default": {"type": "tcp", "bind": f"127.0.0.1:{self.port}"}},
            "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {}, **plugins},
            **config,
        }
        self._config = folder / "broker.yaml"
        self._config.write_text(yaml.safe_dump(content, sort_keys=False))
        self._log = folder / "broker.log"

    @property
    def pid(self) -> int:
        """Return the process id."""
        assert self._process is not None
        return self._process.pid

    def log(self) -> str:
        """Return what all runs have written."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def launch(self) -> None:
        """Start it, without waiting for anything."""
        self._process = subprocess.Popen(
            [*python_command(), "-m", "amqtt.scripts.broker_script", "-c", str(self._config)],
            cwd=self._folder, env=python_environment(), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        # Not to a file of its own: what it logs is to be seen when it must not write files too.
        self._reader = threading.Thread(target=self._copy_log, args=(self._process,))
        self._reader.start()
        self.starts += 1

    def _copy_log(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        with process.stdout as output, self._log.open("ab", buffering=0) as log:
            while data := output.read1():
                log.write(data)

    def start(self) -> None:
        """Start it and wait until it accepts."""
        self.launch()
        assert self._process is not None
        deadline = time.monotonic() + LIMIT
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                assert self._process.poll() is None, self.log()[-4000:]
                assert time.monotonic() < deadline, self.log()[-4000:]
                time.sleep(0.02)
            else:
                return

    def wait(self) -> int:
        """Wait until it ends by itself; return its status."""
        assert self._process is not None
        return self._process.wait(LIMIT)

    def send_signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        """Kill it by SIGKILL."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(LIMIT)
            self._reader.join(LIMIT)
            self._process = None

    def stop(self) -> None:
        """End it in order; its log must be free of what should not be there."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGTERM)
        status = self._process.wait(LIMIT)
        self._reader.join(LIMIT)
        self._process = None
        assert status == 0, self.log()[-4000:]
