from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
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
        "logging.getLogger('transitions.core').debug('noise');"
        "log = logging.getLogger('some.name'); log.info('one'); log.debug('two')"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=30
    )
    assert run.stdout == ""
    lines = run.stderr.splitlines()
    assert len(lines) == len(expected)
    assert all(line.endswith(end) for line, end in zip(lines, expected, strict=True))


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

    def test_second_signal_ends_the_process(self) -> None:
        program = (
            "import asyncio, os, signal\n"
            "from amqtt.scripts._common import run_until_signal\n"
            "async def main():\n"
            "    os.kill(os.getpid(), signal.SIGTERM)\n"
            "    try:\n"
            "        await asyncio.Event().wait()\n"
            "    finally:\n"
            "        os.kill(os.getpid(), signal.SIGTERM)\n"
            "        await asyncio.Event().wait()\n"
            "run_until_signal(main)\n"
        )
        assert subprocess.run([sys.executable, "-c", program], timeout=30).returncode == 1

    def test_handlers_are_removed(self) -> None:
        before = signal.getsignal(signal.SIGTERM)

        async def main() -> None:
            pass

        _common.run_until_signal(main)
        assert signal.getsignal(signal.SIGTERM) == before
