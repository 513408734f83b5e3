"""The programs of samples/ are run as processes, and what they print is compared."""

from __future__ import annotations

import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import Empty, Queue
from threading import Thread

import pytest
from support.process import broker_kind
from support.python import python_command, python_environment

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "samples"
LIMIT = 30.0
# By the tests of connections that the application hands in.
RUN_ELSEWHERE = {"websocket_in_aiohttp"}

pytestmark = pytest.mark.skipif(broker_kind() != "amqtt", reason="the samples are of amqtt")


class Program:
    """A sample that runs."""

    def __init__(self, name: str, arguments: tuple[str, ...], folder: Path) -> None:
        """Start it in a folder of the test."""
        self.name = name
        command = [*python_command(), "-W", "error", str(SAMPLES / f"{name}.py"), *arguments]
        self._errors = folder / f"{name}.stderr"
        with self._errors.open("wb") as errors:
            self._process = subprocess.Popen(
                command,
                cwd=folder,
                env=python_environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        self._lines: Queue[str | None] = Queue()
        self._reading = Thread(target=self._read)
        self._reading.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line.rstrip("\n"))
        self._lines.put(None)

    @property
    def errors(self) -> str:
        """Return what it has written to stderr."""
        return self._errors.read_text(encoding="utf-8")

    def line(self) -> str:
        """Return the next line that it prints."""
        try:
            line = self._lines.get(timeout=LIMIT)
        except Empty:
            line = None
        assert line is not None, f"{self.name} prints nothing more:\n{self.errors}"
        return line

    def interrupt(self) -> None:
        """Do what Ctrl-C does."""
        self._process.send_signal(signal.SIGINT)

    def end(self, status: int = 0) -> list[str]:
        """Wait until it ends, and return the lines that are left."""
        assert self._process.wait(LIMIT) == status, self.errors
        assert "Traceback" not in self.errors, self.errors
        self._reading.join(LIMIT)
        return [line for line in iter(self._lines.get_nowait, None) if line is not None]

    def kill(self) -> None:
        """End it at once, if it runs, and let go of it."""
        self._process.kill()
        self._process.wait()
        self._reading.join()
        assert self._process.stdout is not None
        self._process.stdout.close()


Start = Callable[..., Program]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start samples, as ``start(name, *arguments)``."""
    programs: list[Program] = []

    def start_one(name: str, *arguments: str) -> Program:
        programs.append(Program(name, arguments, tmp_path))
        return programs[-1]

    yield start_one
    for program in programs:
        program.kill()


def address_of(broker: Program) -> str:
    """Return where a broker listens."""
    found = re.fullmatch(r"listening on (.+)", broker.line())
    assert found
    return found[1]


def test_every_sample_is_run_here_and_listed() -> None:
    every = {path.stem for path in SAMPLES.glob("*.py")}
    own = Path(__file__).read_text(encoding="utf-8")
    readme = (SAMPLES / "README.md").read_text(encoding="utf-8")
    run = set(re.findall(r'start\(\s*["\'](\w+)["\']', own))
    assert every == run | {"serving", *RUN_ELSEWHERE}
    assert every == set(re.findall(r"`(\w+)\.py\b", readme))


def test_publish_and_subscribe(start: Start) -> None:
    broker = start("broker", "--bind", "127.0.0.1:0")
    url = f"mqtt://{address_of(broker)}"
    subscriber = start("client_subscribe", "--url", url, "--count", "3")
    assert subscriber.line() == "subscribed to samples/#"
    assert start("client_publish", "--url", url).end() == ["published"]
    assert sorted(subscriber.end()) == [
        "samples/publish at QoS 0: may be lost",
        "samples/publish at QoS 1: may come twice",
        "samples/publish at QoS 2: comes once",
    ]
    broker.interrupt()
    assert broker.end() == ["stopped"]
    assert "EVENT FIRED" in broker.errors


def test_a_client_says_why_it_cannot_connect(start: Start) -> None:
    broker = start("broker_plugin", "--bind", "127.0.0.1:0")
    address = address_of(broker)
    publisher = start("client_publish", "--url", f"mqtt://{address}")
    publisher.end(status=1)
    reason = f"Connection rejected by broker {address}: code 5"
    assert publisher.errors == f"cannot connect: {reason}\n"


def test_subscribing_again_after_a_restart(start: Start) -> None:
    broker = start("broker", "--bind", "127.0.0.1:0")
    address = address_of(broker)
    subscriber = start("client_subscribe", "--url", f"mqtt://{address}", "--count", "1")
    assert subscriber.line() == "subscribed to samples/#"
    broker.interrupt()
    broker.end()
    address_of(start("broker", "--bind", address))
    assert subscriber.line() == "subscribed to samples/#"


def test_keep_alive(start: Start) -> None:
    url = f"mqtt://{address_of(start('broker', '--bind', '127.0.0.1:0'))}"
    # The broker would wait for 1.5 seconds.
    client = start("client_keep_alive", "--url", url, "--keep-alive", "1", "--seconds", "2.5")
    assert client.end() == ["still connected after 2.5 seconds"]


def test_access_control_list(start: Start) -> None:
    address = address_of(start("broker_acl", "--bind", "127.0.0.1:0"))
    panel, sensor = (f"mqtt://{user}:{user}@{address}" for user in ("panel", "sensor"))
    all_topics = start("client_subscribe", "--url", panel, "--topic", "#")
    all_topics.end(status=1)
    assert all_topics.errors == "the broker refuses #\n"

    topic = "measurements/+/temperature"
    display = start("client_subscribe", "--url", panel, "--topic", topic, "--count", "3")
    assert display.line() == f"subscribed to {topic}"
    for name in ("elsewhere/kitchen/temperature", "measurements/kitchen/temperature"):
        assert start("client_publish", "--url", sensor, "--topic", name).end() == ["published"]
    assert all(line.startswith("measurements/kitchen/temperature at") for line in display.end())

    stranger = start("client_publish", "--url", f"mqtt://sensor:wrong@{address}")
    stranger.end(status=1)
    reason = f"Connection rejected by broker {address}: code 5"
    assert stranger.errors == f"cannot connect: {reason}\n"


def test_plugins(start: Start) -> None:
    broker = start("broker_plugin", "--bind", "127.0.0.1:0", "--token", "t0ken")
    url = f"mqtt://me:t0ken@{address_of(broker)}"
    assert start("client_publish", "--url", url).end() == ["published"]
    assert broker.line() == "messages of me: 3"


def test_unix_socket(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "amqtt.socket"
    broker = start("broker_unix")
    assert address_of(broker) == "unix:amqtt.socket"
    assert path.stat().st_mode & 0o777 == 0o660
    assert start("client_unix").end() == ["greetings/unix: hello"]
    broker.interrupt()
    assert broker.end() == ["stopped"]


def test_tls_with_the_certificate_of_the_readme(start: Start, tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("not tested: the command openssl is not installed")
    readme = (SAMPLES / "README.md").read_text(encoding="utf-8")
    [command] = re.findall(r"^openssl .*$", readme, re.MULTILINE)
    subprocess.run(shlex.split(command), cwd=tmp_path, check=True, capture_output=True)
    broker = start("broker_tls", "--bind", "127.0.0.1:0")
    port = address_of(broker).rpartition(":")[2]
    assert start("client_tls", "--port", port).end() == ["published over TLSv1.3"]


def test_the_types_of_the_public_api_are_enough(tmp_path: Path) -> None:
    """An application that checks its types strictly needs nothing but the package."""
    finished = subprocess.run(
        [
            *(sys.executable, "-m", "mypy", "--strict", "--config-file="),
            *("--cache-dir", str(tmp_path), "--follow-imports", "silent", str(SAMPLES)),
        ],
        env={**python_environment(), "MYPYPATH": str(SAMPLES)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
