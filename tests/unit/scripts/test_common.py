from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from amqtt.contexts import BrokerConfig
from amqtt.scripts import _common


def error_of(config_file: Path, capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(typer.Exit) as caught:
        _common.load_config(BrokerConfig, config_file)
    assert caught.value.exit_code == 1
    output = capsys.readouterr()
    assert output.out == ""
    return output.err.rstrip("\n")


class TestLoadConfig:
    def test_valid(self, tmp_path: Path) -> None:
        file = tmp_path / "broker.yaml"
        file.write_text("listeners: {default: {bind: '127.0.0.1:0', max-connections: 3}}")
        assert (
            _common.load_config(BrokerConfig, str(file)).listeners["default"].max_connections == 3
        )

    def test_missing(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        file = tmp_path / "none.yaml"
        expected = f"❌ Config file error: [Errno 2] No such file or directory: '{file}'"
        assert error_of(file, capsys) == expected

    def test_directory(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert str(tmp_path) in error_of(tmp_path, capsys)

    @pytest.mark.parametrize(
        ("content", "text"),
        [
            (b"", "expected a mapping, the file is empty"),
            (b"# only a comment\n", "expected a mapping, the file is empty"),
            (b"- a\n- b\n", "configuration: expected a mapping, found a list"),
            (b"just text\n", "configuration: expected a mapping, found the text 'just text'"),
            (b"a: [1\nb: 2\n", "not valid YAML: line 2, column 2: expected ',' or ']'"),
            (
                b"plugins: {}\nlisteners: {}\nplugins: {}\n",
                "not valid YAML: line 3, column 1: the key 'plugins' is given twice, the first time"
                " in line 1",
            ),
            (b"a: \x01\n", "not valid YAML: unacceptable character"),
            (b"a: \xff\n", "not UTF-8:"),
            (b"listners: {}\n", "listners: unknown key, did you mean 'listeners'?"),
            (b"sys_interval: soon\n", "sys_interval: expected a whole number or null, found"),
            (b"listeners: {other: {}}\n", "listeners.default: missing"),
            (b"limits: {max_queued_bytes: 0}\n", "limits.max_queued_bytes: expected"),
            (
                b"listeners: {default: {capath: /no/such/folder}}\n",
                "listeners.default: 'capath' does not exist : /no/such/folder",
            ),
        ],
    )
    def test_wrong_content(
        self, content: bytes, text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        file = tmp_path / "wrong.yaml"
        file.write_bytes(content)
        error = error_of(file, capsys)
        assert error.startswith(f"❌ Config file error: {file}: {text}")
        assert "\n" not in error


def test_explain_adds_the_cause() -> None:
    error = ValueError("outside")
    assert _common.explain(error) == "outside"
    error.__cause__ = OSError("inside")
    assert _common.explain(error) == "outside: inside"
    error.__cause__ = OSError("side")
    assert _common.explain(error) == "outside"
    assert _common.explain(TimeoutError()) == "TimeoutError"


@pytest.mark.parametrize(
    ("debug", "expected"),
    [
        (False, ["] :: INFO - one"]),
        (True, ["] some.name:1 :: INFO - one", "] some.name:1 :: DEBUG - two"]),
    ],
)
def test_logging(debug: bool, expected: list[str]) -> None:
    program = (
        "import logging; from amqtt.scripts import _common;"
        f"_common.configure_logging({debug}, _common.DEBUG_LOG_FORMAT);"
        "log = logging.getLogger('some.name'); log.info('one'); log.debug('two')"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=30
    )
    assert run.stdout == ""
    lines = run.stderr.splitlines()
    assert len(lines) == len(expected)
    assert all(line.endswith(end) for line, end in zip(lines, expected, strict=True))


@pytest.fixture
def _signals_restored() -> Iterator[None]:
    """After a signal the commands ignore others for good; the tests go on."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    handlers = [signal.getsignal(number) for number in numbers]
    yield
    for number, handler in zip(numbers, handlers, strict=True):
        signal.signal(number, handler)


def program_with(main: str) -> str:
    return (
        "import asyncio, os, signal, time\n"
        "from amqtt.scripts import _common\n"
        f"async def main():\n{textwrap.indent(textwrap.dedent(main), '    ')}\n"
        "_common.run_until_signal(main)\n"
    )


def status_of(program: str) -> int:
    return subprocess.run([sys.executable, "-c", program], timeout=30).returncode


@pytest.mark.usefixtures("_signals_restored")
class TestRunUntilSignal:
    def test_normal_end(self) -> None:
        done = []

        async def main() -> None:
            done.append(True)

        _common.run_until_signal(main)
        assert done == [True]

    def test_error_is_raised(self) -> None:
        async def main() -> None:
            raise ValueError("wrong")

        with pytest.raises(ValueError, match="wrong"):
            _common.run_until_signal(main)

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_signal_cancels(self, number: int) -> None:
        steps = []

        async def main() -> None:
            try:
                os.kill(os.getpid(), number)
                await asyncio.Event().wait()
            finally:
                await asyncio.sleep(0)
                steps.append("cleaned")

        _common.run_until_signal(main)
        assert steps == ["cleaned"]

    def test_error_after_a_signal_is_its_consequence(self) -> None:
        async def main() -> None:
            os.kill(os.getpid(), signal.SIGINT)
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                raise ValueError("cancelled") from None

        _common.run_until_signal(main)

    def test_later_signal_ends_the_process(self) -> None:
        program = program_with("""
            os.kill(os.getpid(), signal.SIGTERM)
            try:
                await asyncio.Event().wait()
            finally:
                time.sleep(_common.SAME_REQUEST_TIME + 0.01)
                os.kill(os.getpid(), signal.SIGTERM)
                await asyncio.Event().wait()
        """)
        assert status_of(program) == 1

    def test_signals_at_about_the_same_time_are_one(self) -> None:
        program = program_with("""
            os.kill(os.getpid(), signal.SIGTERM)
            try:
                await asyncio.Event().wait()
            finally:
                for number in (signal.SIGTERM, signal.SIGINT, signal.SIGTERM):
                    os.kill(os.getpid(), number)
                    await asyncio.sleep(0.01)
        """)
        assert status_of(program) == 0

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_signal_after_the_end_is_ignored(self, number: int) -> None:
        program = program_with("os.kill(os.getpid(), signal.SIGTERM)\nawait asyncio.sleep(9)")
        assert status_of(program + f"os.kill(os.getpid(), {int(number)})\n") == 0

    @pytest.mark.parametrize("when", ["before", "behind"])
    def test_signal_outside_of_the_loop(self, when: str) -> None:
        signals = _common.StopSignals()
        called = []

        async def main() -> None:
            signals.call(lambda: called.append(True))
            await asyncio.sleep(0)

        with signals:
            if when == "before":
                os.kill(os.getpid(), signal.SIGTERM)
            asyncio.run(main())
            if when == "behind":
                os.kill(os.getpid(), signal.SIGTERM)
        assert called == [True] * (when == "before")
        assert signals.received

    def test_handlers_are_removed(self) -> None:
        before = signal.getsignal(signal.SIGTERM)

        async def main() -> None:
            pass

        _common.run_until_signal(main)
        assert signal.getsignal(signal.SIGTERM) == before
