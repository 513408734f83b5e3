"""A broker as a subprocess: ours, or mosquitto for cross-checking the tests."""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import yaml

from support.python import python_command, python_environment

START_LIMIT = float(os.environ.get("AMQTT_TEST_START_LIMIT", "20"))
STOP_LIMIT = 20.0
BAD_SIGNS = ("Traceback", "Sanitizer", "runtime error:")
_PORT_ATTEMPTS = 5


class BrokerStartError(RuntimeError):
    """The broker ended instead of starting; the text holds its log."""


def broker_kind() -> str:
    """Return which broker the tests run against: ``amqtt`` or ``mosquitto``."""
    kind = os.environ.get("AMQTT_TEST_BROKER", "amqtt")
    if kind not in ("amqtt", "mosquitto"):
        msg = f"AMQTT_TEST_BROKER={kind!r}, not 'amqtt' or 'mosquitto'"
        raise ValueError(msg)
    return kind


def free_port() -> int:
    """Return a TCP port of the loopback interface that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class BrokerProcess:
    """A running broker with one TCP listener on the loopback interface."""

    def __init__(
        self,
        folder: Path,
        config: dict[str, Any],
        mosquitto: str,
        *,
        listeners: dict[str, Any] | None = None,
    ) -> None:
        """Start it.

        ``config`` is for ours, ``mosquitto`` holds configuration lines for that. ``listeners``
        are those that ours has beside the one that ``port`` belongs to.
        """
        self._folder = folder
        self._listeners = listeners or {}
        self._config = config
        self._mosquitto = mosquitto
        for attempt in range(_PORT_ATTEMPTS):
            self.port = free_port()
            self._log = folder / f"broker-{attempt}.log"
            with self._log.open("wb") as log:
                self._process = subprocess.Popen(
                    self._command(),
                    cwd=folder,
                    env=python_environment(),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                )
            if self._wait_until_it_accepts():
                return
            if not self._port_was_taken():
                break
        self.kill()
        msg = f"the broker does not start:\n{self.log_tail()}"
        raise BrokerStartError(msg)

    @property
    def pid(self) -> int:
        """Return the process id."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Return whether the process is there."""
        return self._process.poll() is None

    def log(self) -> str:
        """Return everything the broker has written to stdout and stderr."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def log_tail(self, lines: int = 40) -> str:
        """Return the last lines of the log."""
        return "\n".join(self.log().splitlines()[-lines:])

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        self._process.send_signal(number)

    def wait_for_log(self, text: str) -> None:
        """Wait until the broker has written this."""
        deadline = time.monotonic() + START_LIMIT
        while text not in self.log():
            if time.monotonic() > deadline or not self.running:
                msg = f"{text!r} is not in the broker's log:\n{self.log_tail()}"
                raise AssertionError(msg)
            time.sleep(0.02)

    def stop(self) -> None:
        """End it by SIGTERM and check that it ended well and logged nothing bad."""
        if self.running:
            self._process.send_signal(signal.SIGTERM)
        try:
            status = self._process.wait(STOP_LIMIT)
        except subprocess.TimeoutExpired:
            self.kill()
            msg = f"the broker ignores SIGTERM for {STOP_LIMIT} s:\n{self.log_tail()}"
            raise AssertionError(msg) from None
        self.check(status)

    def check(self, status: int = 0) -> None:
        """Raise AssertionError for a bad exit status or a bad sign in the log."""
        text = self.log()
        for sign in BAD_SIGNS:
            at = text.find(sign)
            if at >= 0:
                msg = f"{sign!r} in the broker's log:\n{text[max(0, at - 1000) : at + 4000]}"
                raise AssertionError(msg)
        if status != 0:
            msg = f"the broker ended with status {status}:\n{self.log_tail()}"
            raise AssertionError(msg)

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()
        self._process.wait()

    def _command(self) -> list[str]:
        if broker_kind() == "mosquitto":
            path = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
            file = self._folder / "mosquitto.conf"
            file.write_text(
                f"listener {self.port} 127.0.0.1\n"
                "allow_anonymous true\n"
                "queue_qos0_messages true\n"
                "max_queued_messages 0\n"
                "set_tcp_nodelay true\n"
                "log_type error\nlog_type warning\n" + self._mosquitto
            )
            return [path, "-c", str(file)]
        file = self._folder / "broker.yaml"
        listener = {"type": "tcp", "bind": f"127.0.0.1:{self.port}"}
        # Listeners are opened in order: when this one accepts, all do.
        listeners = {**self._listeners, "default": listener}
        # Tests compare bytes: those of texts for people are left out unless one asks for them.
        # And many leave messages unread that nobody is to wait for at the end.
        quiet = {"protocol": {"reason_strings": False}, "shutdown_timeout": 0.5}
        config = {"listeners": listeners, **quiet, **self._config}
        file.write_text(yaml.safe_dump(config, sort_keys=False))
        return [*python_command(), "-m", "amqtt.scripts.broker_script", "-c", str(file)]

    def _wait_until_it_accepts(self) -> bool:
        deadline = time.monotonic() + START_LIMIT
        while time.monotonic() < deadline and self.running:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                time.sleep(0.02)
            else:
                # A stranger may sit on the port: then our broker cannot have bound it.
                return self.running and not self._port_was_taken()
        return False

    def _port_was_taken(self) -> bool:
        return "address already in use" in self.log().lower()


class SharedBroker:
    """One broker for many tests; a new one after a crash, so that only one test fails by it."""

    def __init__(self, start: Callable[[], BrokerProcess]) -> None:
        """Remember how to start it."""
        self._start = start
        self._process: BrokerProcess | None = None

    def get(self) -> BrokerProcess:
        """Return the broker, started if need be."""
        if self._process is None:
            self._process = self._start()
        return self._process

    def check(self) -> None:
        """Fail the test in which the broker has ended."""
        process = self._process
        if process is not None and not process.running:
            self._process = None
            process.stop()
            msg = "the broker ended while this test ran"
            raise AssertionError(msg)

    def stop(self) -> None:
        """End it; it must end well."""
        if self._process is not None:
            self._process.stop()


class StartBroker(Protocol):
    """The ``broker_process`` fixture."""

    def __call__(
        self, config: dict[str, Any] | None = None, *, mosquitto: str | None = ""
    ) -> BrokerProcess:
        """Start a broker of the test's own."""
