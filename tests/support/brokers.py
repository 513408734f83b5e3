"""Brokers that our client is tested with: ours, mosquitto, NATS and RabbitMQ."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import yaml

from support import rabbitmq
from support.endpoints import Trust
from support.process import free_port
from support.python import python_command, python_environment

START_LIMIT = 60.0  # RabbitMQ takes 10 to 30 seconds on a machine that has other work
_ATTEMPTS = 5


class MissingBrokerError(RuntimeError):
    """The broker is not installed; the text says what is missing."""


@dataclass(frozen=True)
class Kind:
    """What a broker can do.

    Attributes:
        versions: protocol versions.
        transports: schemes of the URIs it listens for.
        max_qos: greatest QoS that it grants.
        program: what must be installed, a path or a name on the path of the system.

    """

    versions: tuple[int, ...]
    transports: tuple[str, ...]
    max_qos: int = 2
    program: str = ""


KINDS = {
    "amqtt": Kind((3, 4, 5), ("mqtt", "mqtts", "ws", "wss", "unix")),
    "mosquitto": Kind((3, 4, 5), ("mqtt", "mqtts", "unix"), program="mosquitto"),
    "nats": Kind((4,), ("mqtt", "ws"), max_qos=1, program="nats-server"),
    "rabbitmq": Kind((3, 4), ("mqtt", "ws"), max_qos=1, program=rabbitmq.SERVER),
}


class RunningBroker:
    """A broker process with a listener for each of its transports.

    Attributes:
        name: one of `KINDS`.
        kind: what it can do.

    """

    def __init__(self, name: str, folder: Path, trust: Trust) -> None:
        """Start it.

        Raises:
            MissingBrokerError: it is not installed.

        """
        self.name = name
        self.kind = KINDS[name]
        self._folder = folder
        self._trust = trust
        self._names: subprocess.Popen[bytes] | None = None
        self._command = [*python_command(), "-m", "amqtt.scripts.broker_script"]
        if self.kind.program:
            path = shutil.which(self.kind.program, path="/usr/local/bin:/usr/bin:/usr/sbin:/sbin")
            if path is None:
                msg = f"{self.kind.program} is not installed"
                raise MissingBrokerError(msg)
            self._command = [path]
        for attempt in range(_ATTEMPTS):
            self._ports = {each: free_port() for each in self.kind.transports if each != "unix"}
            try:
                self.start()
            except AssertionError:
                if attempt == _ATTEMPTS - 1:
                    raise
            else:
                break

    def uri(self, transport: str = "mqtt") -> str:
        """Return the URI to connect to."""
        if transport == "unix":
            return f"unix://{self._socket}"
        path = {"ws": "/mqtt", "wss": "/mqtt"}.get(transport, "")
        return f"{transport}://127.0.0.1:{self._ports[transport]}{path}"

    @property
    def cafile(self) -> str:
        """Return the file with the authority of the broker's certificate."""
        return self._trust.authority.cafile

    def start(self) -> None:
        """Start the process, at the same ports each time."""
        self._socket.unlink(missing_ok=True)
        self._log = self._folder / f"{self.name}.log"
        config = self._write_config()
        command, environment = [*self._command, "-c", str(config)], python_environment()
        if self.name == "rabbitmq":
            names_port = free_port()
            self._names = rabbitmq.start_names(names_port)
            command = self._command
            environment = rabbitmq.environment(self._folder, config, names_port)
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                cwd=self._folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        deadline = time.monotonic() + START_LIMIT
        for port in self._ports.values():
            while not _accepts(port):
                if self._process.poll() is not None or time.monotonic() > deadline:
                    self.stop()
                    msg = f"{self.name} does not start:\n{self._log.read_text()[-3000:]}"
                    raise AssertionError(msg)
                time.sleep(0.02)

    def stop(self) -> None:
        """End the process."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._names is not None:
            self._names.kill()
            self._names.wait()

    @property
    def _socket(self) -> Path:
        return self._folder / "broker.sock"

    def _write_config(self) -> Path:
        file = self._folder / f"{self.name}.conf"
        write = {
            "amqtt": self._amqtt,
            "mosquitto": self._mosquitto,
            "nats": self._nats,
            "rabbitmq": partial(rabbitmq.write_config, self._folder),
        }
        file.write_text(write[self.name](self._ports))
        return file

    def _amqtt(self, ports: Mapping[str, int]) -> str:
        tls = self._trust.listener()
        listeners = {
            "default": {"type": "tcp", "bind": f"127.0.0.1:{ports['mqtt']}"},
            "tls": {"type": "tcp", "bind": f"127.0.0.1:{ports['mqtts']}", **tls},
            "ws": {"type": "ws", "bind": f"127.0.0.1:{ports['ws']}"},
            "wss": {"type": "ws", "bind": f"127.0.0.1:{ports['wss']}", **tls},
            "unix": {"bind": f"unix:{self._socket}"},
        }
        return yaml.safe_dump({"listeners": listeners}, sort_keys=False)

    def _mosquitto(self, ports: Mapping[str, int]) -> str:
        server = self._trust.server
        return (
            "allow_anonymous true\nset_tcp_nodelay true\nmax_queued_messages 0\n"
            f"listener {ports['mqtt']} 127.0.0.1\n"
            f"listener {ports['mqtts']} 127.0.0.1\n"
            f"certfile {server.certfile}\nkeyfile {server.keyfile}\n"
            f"listener 0 {self._socket}\n"
            "user root\n"  # it would give up the rights that the folder of the tests asks for
        )

    def _nats(self, ports: Mapping[str, int]) -> str:
        return (
            f"listen: 127.0.0.1:{free_port()}\nserver_name: tests\n"
            f'jetstream {{ store_dir: "{self._folder}/jetstream", max_mem: 64MB }}\n'
            f"mqtt {{ listen: 127.0.0.1:{ports['mqtt']} }}\n"
            f"websocket {{ listen: 127.0.0.1:{ports['ws']}, no_tls: true }}\n"
        )


def _accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
