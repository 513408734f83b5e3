"""The commands of the package as processes."""

from __future__ import annotations

import contextlib
import subprocess
import threading
from collections.abc import Callable
from typing import Any

from support.process import BrokerProcess
from support.python import python_command, python_environment

LIMIT = 30.0


class Command:
    """A running command whose output is read as it comes."""

    def __init__(self, script: str, *arguments: str, **options: Any) -> None:
        self.process = subprocess.Popen(
            [*python_command(), "-m", f"amqtt.scripts.{script}_script", *arguments],
            env=python_environment(),
            stdin=options.pop("stdin", subprocess.DEVNULL),
            stdout=options.pop("stdout", subprocess.PIPE),
            stderr=subprocess.PIPE,
            **options,
        )
        self._changed = threading.Condition()
        self._texts = {"stdout": b"", "stderr": b""}
        self._open = {name for name in self._texts if getattr(self.process, name) is not None}
        self._threads = [
            threading.Thread(target=self._read, args=(name,), daemon=True) for name in self._open
        ]
        for thread in self._threads:
            thread.start()

    def _read(self, name: str) -> None:
        stream = getattr(self.process, name)
        while data := stream.read1():
            with self._changed:
                self._texts[name] += data
                self._changed.notify_all()
        with self._changed:
            self._open.discard(name)
            self._changed.notify_all()

    @property
    def stdout(self) -> bytes:
        return self._texts["stdout"]

    @property
    def stderr(self) -> str:
        return self._texts["stderr"].decode()

    def wait_for_log(self, text: str) -> None:
        self._wait_for(lambda: text in self.stderr)
        assert text in self.stderr

    def wait_for_logs(self, text: str, count: int) -> None:
        self._wait_for(lambda: self.stderr.count(text) >= count)
        assert self.stderr.count(text) == count

    def wait_for_output(self, data: bytes) -> None:
        self._wait_for(lambda: data in self.stdout)
        assert data in self.stdout, self.stderr

    def _wait_for(self, condition: Callable[[], bool]) -> None:
        with self._changed:
            self._changed.wait_for(lambda: condition() or not self._open, LIMIT)

    def send(self, number: int) -> None:
        self.process.send_signal(number)

    def send_twice(self, number: int) -> None:
        """Do what `timeout` and many terminals do: signal the process, and then its group."""
        self.send(number)
        with contextlib.suppress(ProcessLookupError):
            self.send(number)

    def end(self) -> int:
        """Wait for the end and return the exit status."""
        status = self.process.wait(LIMIT)
        for thread in self._threads:
            thread.join(LIMIT)
        return status

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.end()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()


class Shell:
    """Start commands that a test talks to; they are ended with it."""

    def __init__(self, broker: BrokerProcess | None = None) -> None:
        self._broker = broker
        self._commands: list[Command] = []

    def start(self, script: str, *arguments: str, **options: Any) -> Command:
        if self._broker is not None and "--url" not in arguments:
            arguments = ("--url", f"mqtt://127.0.0.1:{self._broker.port}", *arguments)
        command = Command(script, *arguments, **options)
        self._commands.append(command)
        return command

    def publish(self, *arguments: str, **options: Any) -> None:
        command = self.start("pub", *arguments, **options)
        assert command.end() == 0, command.stderr

    def subscribe(self, topic: str, *arguments: str, **options: Any) -> Command:
        """Start `amqtt_sub` and wait until the broker has the subscription."""
        command = self.start("sub", "-t", topic, *arguments, **options)
        command.wait_for_log(f"Subscribed to '{topic}'")
        return command

    def close(self) -> None:
        for command in self._commands:
            command.close()
