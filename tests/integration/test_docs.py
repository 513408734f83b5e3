"""What README and documentation show is run; docs/topics/testing.md says how blocks are marked."""

from __future__ import annotations

import dataclasses
import enum
import functools
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml
from support.certificates import Authority
from support.endpoints import Trust
from support.process import BrokerProcess, StartBroker, broker_kind, free_port

from amqtt import contexts

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
LIMIT = 30.0
MODULES = {"amqtt": "broker_script", "amqtt_pub": "pub_script", "amqtt_sub": "sub_script"}

MARK = re.compile(r"^<!-- (?:test|output): ", re.MULTILINE)
BLOCK = re.compile(
    r"^<!-- (?P<kind>test|output): (?P<name>[^,\n]+?)(?:, (?P<how>[^\n]+?))? -->\n"
    r"```(?P<language>\w+)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)

pytestmark = pytest.mark.skipif(broker_kind() != "amqtt", reason="the documentation is of amqtt")


class Example(NamedTuple):
    """The blocks of one page that have one name."""

    where: str
    how: str
    language: str
    blocks: list[str]
    output: str | None


def examples_of(page: Path) -> Iterator[Example]:
    found: dict[str, list[re.Match[str]]] = {}
    for match in BLOCK.finditer(page.read_text(encoding="utf-8")):
        found.setdefault(match["name"], []).append(match)
    for name, matches in found.items():
        tests = [match for match in matches if match["kind"] == "test"]
        outputs = [match["text"] for match in matches if match["kind"] == "output"]
        assert tests, f"{page.name}: output of '{name}' without a test"
        assert len({(match["language"], match["how"]) for match in tests}) == 1
        yield Example(
            where=f"{page.relative_to(ROOT)}: {name}",
            how=tests[0]["how"] or "",
            language=tests[0]["language"],
            blocks=[match["text"] for match in tests],
            output=outputs[0] if outputs else None,
        )


EXAMPLES = [example for page in PAGES for example in examples_of(page)]


def examples(language: str, *hows: str) -> pytest.MarkDecorator:
    """Parametrize a test with the examples of a language that are to be run in these ways."""
    chosen = [each for each in EXAMPLES if each.language == language and each.how in hows]
    assert chosen
    return pytest.mark.parametrize("example", chosen, ids=lambda example: example.where)


def with_port(text: str, port: int) -> str:
    return re.sub(r"\b1883\b", str(port), text)


def module(command: str) -> list[str]:
    return [sys.executable, "-m", f"amqtt.scripts.{MODULES[command]}"]


def run(
    command: list[str], folder: Path, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        command, cwd=folder, env=environment,
        capture_output=True, text=True, timeout=LIMIT, check=False,
    )  # fmt: skip
    assert "Traceback" not in done.stderr
    return done


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_mark_has_a_block_that_is_run(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert len(MARK.findall(text)) == len(BLOCK.findall(text))
    ways = {
        "python": {
            "",
            "until SIGTERM",
            "the module office_plugins",
            "with certificates",
            "with uvicorn",
        },
        "yaml": {"", "of a client", "with the module office_plugins"},
        "sh": {"", "publish first"},
    }
    for example in examples_of(page):
        assert example.how in ways[example.language], example.where
        assert len(example.blocks) == (2 if example.language == "sh" else 1), example.where


@examples("python", "")
def test_program(example: Example, broker_process: StartBroker, tmp_path: Path) -> None:
    file = tmp_path / "example.py"
    file.write_text(with_port(example.blocks[0], broker_process().port))
    done = run([sys.executable, "-W", "error", str(file)], tmp_path)
    assert done.returncode == 0, done.stderr
    assert example.output is not None
    assert done.stdout == example.output


@examples("python", "with certificates")
def test_program_with_certificates(example: Example, trust: Trust, tmp_path: Path) -> None:
    port = free_port()
    tls = {**trust.listener(), "tls_require_client_certificate": True}
    listener = {"type": "tcp", "bind": f"127.0.0.1:{port}", **tls}
    broker = BrokerProcess(tmp_path, {}, "", listeners={"tls": listener})
    for name, source in (
        ("ca.crt", trust.authority.cafile),
        ("client.crt", trust.client.certfile),
        ("client.key", trust.client.keyfile),
    ):
        shutil.copy(source, tmp_path / name)
    file = tmp_path / "example.py"
    file.write_text(re.sub(r"\b8883\b", str(port), example.blocks[0]))
    done = run([sys.executable, "-W", "error", str(file)], tmp_path)
    broker.stop()
    assert done.returncode == 0, done.stderr
    assert done.stdout == example.output


def ask(port: int, method: str, path: str) -> str:
    """Return the answer of a web application when it has one."""
    deadline = time.monotonic() + LIMIT
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", method=method)
    code, text = 0, ""
    while code != 200 and time.monotonic() < deadline:
        time.sleep(0.02)
        try:
            with urllib.request.urlopen(request, timeout=LIMIT) as answer:
                code, text = answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            error.close()
            code = error.code  # it connects still, or the message is on its way
    assert code == 200
    return text


@examples("python", "with uvicorn")
def test_web_application(example: Example, broker_process: StartBroker, tmp_path: Path) -> None:
    port = free_port()
    file = tmp_path / "example.py"
    file.write_text(with_port(example.blocks[0], broker_process().port))
    command = [sys.executable, "-m", "uvicorn", "example:app", "--port", str(port)]
    with running(command, tmp_path) as process:
        wait_until_it_accepts(process.process, port)
        ask(port, "POST", "/rooms/kitchen?degrees=21.5")
        assert example.output is not None
        assert ask(port, "GET", "/rooms/kitchen") == example.output.strip()
        process.process.send_signal(signal.SIGINT)
        process.process.wait(LIMIT)
    assert "Traceback" not in process.text("stderr")


@examples("python", "until SIGTERM")
def test_program_that_serves(example: Example, tmp_path: Path) -> None:
    port = free_port()
    file = tmp_path / "example.py"
    file.write_text(with_port(example.blocks[0], port))
    with running([sys.executable, "-W", "error", str(file)], tmp_path) as process:
        wait_until_it_accepts(process.process, port)
        url = f"mqtt://127.0.0.1:{port}"
        done = run([*module("amqtt_pub"), "--url", url, "-t", "a", "-m", "b", "-q", "1"], tmp_path)
        assert done.returncode == 0, done.stderr
        process.process.send_signal(signal.SIGTERM)
        assert process.process.wait(LIMIT) == 0
    assert "Traceback" not in process.text("stderr")


@functools.cache
def content_of_files() -> dict[str, str]:
    """Return what stands in files of TLS that the examples name."""
    with tempfile.TemporaryDirectory() as folder:
        authority = Authority(Path(folder), "docs")
        server = authority.server()
        files = {
            "ca": authority.cafile,
            "crl": authority.revocations(),
            "cert": server.certfile,
            "key": server.keyfile,
        }
        contents = {kind: Path(file).read_text() for kind, file in files.items()}
    return {**contents, "tls_psk_": "device:000102030405060708090a0b0c0d0e0f\n"}


@examples("yaml", "")
def test_broker_configuration(example: Example, tmp_path: Path) -> None:
    (tmp_path / "broker.yaml").write_text(example.blocks[0])
    files = r"^[ -]*(ca|crl|cert|key|tls_psk_|password_|acl_)file: (\S+)$"
    for kind, name in re.findall(files, example.blocks[0], re.MULTILINE):
        (tmp_path / name).write_text(content_of_files().get(kind, ""))
    done = run([*module("amqtt"), "--check", "-c", "broker.yaml"], tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "broker.yaml: ok\n"


@examples("yaml", "with the module office_plugins")
def test_broker_configuration_with_a_module(example: Example, tmp_path: Path) -> None:
    [module_text] = [each.blocks[0] for each in EXAMPLES if each.how == "the module office_plugins"]
    folder, elsewhere = tmp_path / "folder", tmp_path / "elsewhere"
    for each in (folder, elsewhere):
        each.mkdir()
    port = free_port()
    (folder / "office_plugins.py").write_text(module_text)
    (folder / "broker.yaml").write_text(with_port(example.blocks[0], port))
    # Not in the folder itself, where "python -m" would find the module without being told.
    command = [*module("amqtt"), "-c", str(folder / "broker.yaml")]
    done = run([*command, "--check"], elsewhere)
    assert done.returncode == 1
    assert "office_plugins" in done.stderr
    path = os.pathsep.join(filter(None, (str(folder), os.environ.get("PYTHONPATH"))))
    environment = {**os.environ, "PYTHONPATH": path}
    done = run([*command, "--check"], elsewhere, environment)
    assert done.returncode == 0, done.stderr
    with running(command, elsewhere, environment) as process:
        wait_until_it_accepts(process.process, port)
        statuses = []
        for login in ("alice:secret@", "alice:guess@"):
            url = f"mqtt://{login}127.0.0.1:{port}"
            publisher = [*module("amqtt_pub"), "--url", url, "-t", "door", "-m", "open", "-q", "1"]
            statuses.append(run(publisher, elsewhere).returncode)
        assert statuses == [0, 1]
        assert example.output is not None
        for line in example.output.splitlines():
            assert process.wait_for("stderr", line), process.text("stderr")
        process.process.send_signal(signal.SIGTERM)
        assert process.process.wait(LIMIT) == 0


@examples("yaml", "of a client")
def test_client_configuration(
    example: Example, broker_process: StartBroker, tmp_path: Path
) -> None:
    (tmp_path / "client.yaml").write_text(with_port(example.blocks[0], broker_process().port))
    done = run([*module("amqtt_pub"), "-c", "client.yaml", "-t", "a", "-m", "b"], tmp_path)
    assert done.returncode == 0, done.stderr


@examples("sh", "", "publish first")
def test_commands(example: Example, broker_process: StartBroker, tmp_path: Path) -> None:
    port = broker_process().port
    first, second = (shell(block, port) for block in example.blocks)
    assert example.output is not None
    if example.how == "publish first":
        first, second = second, first
        assert run(second, tmp_path).returncode == 0
    with running(first, tmp_path) as subscriber:
        if example.how != "publish first":
            publish_when_subscribed(subscriber, second, example, tmp_path)
        subscriber.wait_for("stdout", example.output)
        subscriber.process.send_signal(signal.SIGINT)
        subscriber.process.wait(LIMIT)
    assert subscriber.text("stdout").startswith(example.output)
    assert "Traceback" not in subscriber.text("stderr")


def publish_when_subscribed(
    subscriber: Running, publisher: list[str], example: Example, folder: Path
) -> None:
    if "amqtt_sub" in example.blocks[0]:
        subscriber.wait_for("stderr", "Subscribed to")
        assert run(publisher, folder).returncode == 0
        return
    # mosquitto_sub does not say when it has subscribed.
    deadline = time.monotonic() + LIMIT
    while time.monotonic() < deadline:
        assert run(publisher, folder).returncode == 0
        if subscriber.wait_for("stdout", example.output or "", limit=0.2):
            return


def shell(block: str, port: int) -> list[str]:
    """Make the commands of a block talk to the broker at `port`."""
    for tool in re.findall(r"\bmosquitto_\w+", block):
        if shutil.which(tool) is None:
            reason = f"not tested: {tool} is not installed"
            if os.environ.get("CI"):
                pytest.fail(reason)
            pytest.skip(reason)

    def start(match: re.Match[str]) -> str:
        return " ".join([*module(match[1]), "--url", f"mqtt://127.0.0.1:{port}"])

    line = re.sub(r"\.venv/bin/(amqtt_(?:pub|sub))\b", start, with_port(block, port)).strip()
    assert "\n" not in line, "one command in a block"
    return ["bash", "-c", line if "|" in line else f"exec {line}"]


class Running:
    """A process whose output is read as it comes."""

    def __init__(
        self, command: list[str], folder: Path, environment: dict[str, str] | None = None
    ) -> None:
        self.process = subprocess.Popen(
            command, cwd=folder, env=environment, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        self._changed = threading.Condition()
        self._output = {"stdout": b"", "stderr": b""}
        self._open = set(self._output)
        self._threads = [
            threading.Thread(target=self._read, args=(name,), daemon=True) for name in self._output
        ]
        for thread in self._threads:
            thread.start()

    def _read(self, name: str) -> None:
        stream = getattr(self.process, name)
        while data := stream.read1():
            with self._changed:
                self._output[name] += data
                self._changed.notify_all()
        with self._changed:
            self._open.discard(name)
            self._changed.notify_all()

    def text(self, name: str) -> str:
        return self._output[name].decode()

    def wait_for(self, name: str, text: str, limit: float = LIMIT) -> bool:
        """Wait until the output has the text, the process ends or the limit is reached."""
        with self._changed:
            self._changed.wait_for(lambda: text in self.text(name) or not self._open, limit)
        return text in self.text(name)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(LIMIT)
        for thread in self._threads:
            thread.join(LIMIT)
        for stream in (self.process.stdout, self.process.stderr):
            assert stream is not None
            stream.close()


@contextmanager
def running(
    command: list[str], folder: Path, environment: dict[str, str] | None = None
) -> Iterator[Running]:
    process = Running(command, folder, environment)
    try:
        yield process
    finally:
        process.close()


def wait_until_it_accepts(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + LIMIT
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=LIMIT).close()
        except OSError:
            with suppress(subprocess.TimeoutExpired):
                pytest.fail(f"the program has ended with status {process.wait(0.02)}")
        else:
            return
    pytest.fail("nothing listens")


# -- references against the code


def section(page: str, heading: str) -> str:
    """Return what stands below a heading, up to the next one."""
    text = (ROOT / "docs" / "reference" / page).read_text(encoding="utf-8")
    match = re.search(
        rf"^#+ {re.escape(heading)}\n(.*?)(?=^#+ |\Z)", text, re.MULTILINE | re.DOTALL
    )
    assert match, f"{page} has no section '{heading}'"
    return match[1]


def default_of(field: dataclasses.Field[object]) -> object:
    return field.default.value if isinstance(field.default, enum.Enum) else field.default


@pytest.mark.parametrize(
    ("heading", "cls"),
    [
        ("Broker: `BrokerConfig`", contexts.BrokerConfig),
        ("Listener: `ListenerConfig`", contexts.ListenerConfig),
        ("Certificate: `CertificateConfig`", contexts.CertificateConfig),
        ("Limits: `LimitsConfig`", contexts.LimitsConfig),
        ("Limits of a listener: `ListenerLimitsConfig`", contexts.ListenerLimitsConfig),
        ("Protocol: `ProtocolConfig`", contexts.ProtocolConfig),
        ("Client: `ClientConfig`", contexts.ClientConfig),
        ("Connection: `ConnectionConfig`", contexts.ConnectionConfig),
        ("Topic: `TopicConfig`", contexts.TopicConfig),
        ("Will: `WillConfig`", contexts.WillConfig),
    ],
)
def test_configuration_reference(heading: str, cls: type) -> None:
    """Every key is there, with the default that the class has."""
    lines = re.findall(r"^\| `\w+` \|.*$", section("configuration.md", heading), re.MULTILINE)
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    defaults = {row[0].strip("`"): row[2] for row in rows if len(row) == 5}
    assert set(defaults) == {field.name for field in dataclasses.fields(cls)}
    for field in dataclasses.fields(cls):
        name, cell = field.name, defaults[field.name]
        if field.default is not dataclasses.MISSING:
            assert yaml.safe_load(cell.strip("`")) == default_of(field), name
        elif field.default_factory is dataclasses.MISSING:
            assert cell == "required", name


@pytest.mark.parametrize("command", MODULES)
def test_commands_reference(command: str, tmp_path: Path) -> None:
    """Every option is there, and no other."""
    text = section("commands.md", f"`{command}`")
    if command != "amqtt":
        text += section("commands.md", "Options of `amqtt_pub` and `amqtt_sub`")
    cells = re.findall(r"^\| (`-[^|]+) \|", text, re.MULTILINE)
    described = set(re.findall(r"`(--?[a-zA-Z-]+)", " ".join(cells)))
    usage = run([*module(command), "--help"], tmp_path).stdout
    lines = re.findall(r"^  (-[^<\n]*?)(?: <|  |$)", usage, re.MULTILINE)
    assert described == set(re.findall(r"--?[a-zA-Z-]+", " ".join(lines)))


@pytest.mark.parametrize("page", ["README.md", "CHANGELOG.md"])
def test_links_lead_somewhere(page: str) -> None:
    targets = re.findall(r"\]\(([^)]+)\)", (ROOT / page).read_text(encoding="utf-8"))
    local = [target.partition("#")[0] for target in targets if "://" not in target]
    assert [target for target in local if target and not (ROOT / target).exists()] == []
