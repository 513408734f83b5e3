"""Brokers under test: start one on a free port of 127.0.0.1, wait until it listens, stop it."""

from __future__ import annotations

import getpass
import random
import resource
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template
from types import TracebackType

CONFIG_TEMPLATE = Path(__file__).with_name("mosquitto.conf")
EPHEMERAL_PORTS = Path("/proc/sys/net/ipv4/ip_local_port_range")
HOST = "127.0.0.1"


class PeerError(RuntimeError):
    """A broker that is not installed or does not come up."""


@dataclass(frozen=True)
class Certificate:
    """A throw-away server certificate and its key."""

    cert: Path
    key: Path


@dataclass(frozen=True)
class PeerSpec:
    """How to start one broker: `command(port, folder)` writes its files and returns its command."""

    name: str
    command: Callable[[int, Path], Sequence[str]]
    is_broker: bool = True


def free_port() -> int:
    """Pick a port nobody listens on, outside the range that outgoing connections are given."""
    low = 32768
    if EPHEMERAL_PORTS.exists():
        low = int(EPHEMERAL_PORTS.read_text(encoding="ascii").split()[0])
    first, last = (10000, low - 1) if low > 12000 else (49152, 65535)
    for _ in range(200):
        port = random.randint(first, last)
        with socket.socket() as probe:
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
        return port
    raise PeerError("no free port on 127.0.0.1")


def raise_file_limit() -> int:
    """Lift the limit of open files to what is allowed; brokers started later inherit it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def make_certificate(folder: Path) -> Certificate:
    """Make a self-signed certificate for 127.0.0.1 with the openssl command."""
    found = Certificate(folder / "server.crt", folder / "server.key")
    openssl = shutil.which("openssl")
    if openssl is None:
        raise PeerError("TLS scenarios need the openssl command")
    command = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    command += ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    command += ["-keyout", str(found.key), "-out", str(found.cert)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise PeerError(f"openssl: {done.stderr.strip()}")
    return found


def find_mosquitto() -> str | None:
    """Return the path of the mosquitto broker, also where only root has it on PATH."""
    return shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")


def amqtt_config(
    port: int,
    certificate: Certificate | None = None,
    kind: str = "tcp",
    threads: int = 1,
    extra: str = "",
) -> str:
    """Return broker YAML with one listener, `extra`, and everything else at its default."""
    lines = [f"threads: {threads}"] if threads > 1 else []
    lines += ["listeners:", "  default:", f"    type: {kind}", f"    bind: {HOST}:{port}"]
    if certificate:
        lines += ["    ssl: true", f"    certfile: {certificate.cert}"]
        lines += [f"    keyfile: {certificate.key}"]
    return "\n".join(lines) + "\n" + extra


def mosquitto_config(port: int, certificate: Certificate | None = None) -> str:
    """Return mosquitto's configuration from the template."""
    tls = f"certfile {certificate.cert}\nkeyfile {certificate.key}" if certificate else ""
    text = CONFIG_TEMPLATE.read_text(encoding="utf-8")
    body = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    return Template(body).substitute(PORT=port, USER=getpass.getuser(), TLS=tls) + "\n"


def amqtt_spec(
    name: str = "amqtt",
    python: str = sys.executable,
    certificate: Certificate | None = None,
    kind: str = "tcp",
    threads: int = 1,
    extra: str = "",
) -> PeerSpec:
    """Describe the broker of the `amqtt` package that an interpreter has installed.

    kind: the type of its listener. extra: YAML that is added to its configuration.
    """

    def command(port: int, folder: Path) -> Sequence[str]:
        config = folder / f"{name}.yaml"
        text = amqtt_config(port, certificate, kind, threads, extra)
        config.write_text(text, encoding="utf-8")
        return [python, "-m", "amqtt.scripts.broker_script", "-c", str(config)]

    return PeerSpec(name, command)


def mosquitto_spec(certificate: Certificate | None = None) -> PeerSpec:
    """Describe mosquitto; raise PeerError when it is not installed."""
    program = find_mosquitto()
    if program is None:
        raise PeerError("mosquitto is not installed (Debian, Ubuntu: apt-get install mosquitto)")

    def command(port: int, folder: Path) -> Sequence[str]:
        config = folder / "mosquitto.conf"
        config.write_text(mosquitto_config(port, certificate), encoding="utf-8")
        return [program, "-c", str(config)]

    return PeerSpec("mosquitto", command)


def floor_spec(program: Path) -> PeerSpec:
    """Describe the frame forwarder."""
    return PeerSpec("floor", lambda port, _folder: [str(program), str(port)], is_broker=False)


class Peer:
    """One running broker process; a context manager that stops it, by its pid, on the way out."""

    def __init__(self, spec: PeerSpec, folder: Path, *, start_timeout: float = 20.0) -> None:
        """Remember what to start; `folder` takes its configuration and its log."""
        self.spec = spec
        self.port = 0
        self._folder = folder
        self._start_timeout = start_timeout
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def name(self) -> str:
        """Return the name in tables."""
        return self.spec.name

    @property
    def pid(self) -> int:
        """Return the process id."""
        if self._process is None:
            raise PeerError(f"{self.name} is not running")
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Tell whether the process still runs."""
        return self._process is not None and self._process.poll() is None

    def __enter__(self) -> Peer:
        """Start; a port that somebody took meanwhile is worth another try."""
        for attempt in range(3):
            try:
                self._start()
            except PeerError:
                self.stop()
                if attempt == 2:
                    raise
            except BaseException:
                self.stop()
                raise
            else:
                break
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop."""
        self.stop()

    def _start(self) -> None:
        self.port = free_port()
        log = self._folder / f"{self.name}.log"
        command = list(self.spec.command(self.port, self._folder))
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                command,
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C reaches only us; we stop it
            )
        deadline = time.monotonic() + self._start_timeout
        while not self._listening():
            if not self.alive or time.monotonic() > deadline:
                what = "does not listen" if self.alive else "has exited"
                tail = log.read_text(encoding="utf-8", errors="replace").strip()[-800:]
                raise PeerError(f"{self.name} {what}: {' '.join(command)}\n{tail}")
            time.sleep(0.05)
        time.sleep(0.3)  # let it settle, so that start-up is not measured

    def _listening(self) -> bool:
        try:
            socket.create_connection((HOST, self.port), 1).close()
        except OSError:
            return False
        return True

    def stop(self) -> None:
        """Ask the process to end, and kill it if it has not after some seconds."""
        process, self._process = self._process, None
        if process is None or process.poll() is not None:
            return
        process.terminate()
        try:
            process.wait(8)
        except subprocess.TimeoutExpired:
            print(f"{self.name} did not end on SIGTERM; killed", file=sys.stderr)
            process.kill()
            process.wait()
        except BaseException:
            process.kill()
            process.wait()
            raise
