from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

import amqtt
from amqtt.contexts import BrokerConfig, default_broker_plugins
from amqtt.errors import BrokerError, PluginInitError, PluginLoadError
from amqtt.scripts import broker_script
from amqtt.scripts._app import make_app


def run(*arguments: str) -> Any:
    return CliRunner().invoke(broker_script.app, list(arguments), prog_name="amqtt")


@pytest.fixture
def config_file(tmp_path: Path) -> str:
    file = tmp_path / "broker.yaml"
    file.write_text("listeners: {default: {bind: '127.0.0.1:0'}}\nplugins: {}\n")
    return str(file)


@pytest.fixture
def broker_class(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A broker that can be told what its methods raise."""
    plan = SimpleNamespace(configs=[], make=None, check=None, start=None)

    class Broker:
        def __init__(self, config: BrokerConfig) -> None:
            plan.configs.append(config)
            if plan.make:
                raise plan.make

        def check_listeners(self) -> None:
            if plan.check:
                raise plan.check

        async def start(self) -> None:
            if plan.start:
                raise plan.start

        def _stop_engine(self, limit: float) -> None:
            """Nothing has been started."""

        def _end_process(self, seconds: float, status: int) -> None:
            """No signal comes."""

    module = ModuleType("amqtt.broker")
    module.Broker = Broker  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "amqtt.broker", module)
    return plan


def test_version() -> None:
    result = run("--version")
    assert (result.exit_code, result.stdout) == (0, f"{amqtt.__version__}\n")


def test_help() -> None:
    result = run("--help")
    assert result.exit_code == 0
    assert result.stdout.startswith("Usage: amqtt [OPTIONS]\n")
    assert all(option in result.stdout for option in ("-c", "-d", "--check", "--version"))
    assert "completion" not in result.stdout


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        ([], {}),
        (["-c", "file"], {"config_file": "file"}),
        (["-d"], {"debug": True}),
        (["-d", "-c", "one", "-c", "two"], {"config_file": "two", "debug": True}),
    ],
)
def test_plain_command_line(arguments: list[str], options: dict[str, Any]) -> None:
    assert broker_script.plain_options(arguments) == options


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["--version"], ["-c", "file", "--check"], ["-c"], ["-c", "-d"], ["-cfile"], [""],
     ["--", "-d"], ["-dd"], ["extra"]],
)  # fmt: skip
def test_command_line_that_is_left_to_typer(arguments: list[str]) -> None:
    assert broker_script.plain_options(arguments) is None


def test_unknown_name() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'application'"):
        broker_script.application  # noqa: B018


def test_interrupted_as_typer_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(**_: Any) -> None:
        raise KeyboardInterrupt

    def status_of(main: Callable[[], None]) -> Any:
        with pytest.raises(SystemExit) as caught:
            main()
        return caught.value.code

    app = make_app()
    app.command()(lambda: interrupt())
    monkeypatch.setattr(sys, "argv", ["amqtt"])
    monkeypatch.setattr(broker_script, "run_broker", interrupt)
    assert status_of(broker_script.main) == status_of(lambda: app(args=[]))


@pytest.mark.parametrize("arguments", [["--unknown"], ["-c"], ["extra"]])
def test_usage_error(arguments: list[str]) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr


@pytest.mark.parametrize("arguments", [[], ["--check"]])
def test_wrong_file_as_process(arguments: list[str], tmp_path: Path) -> None:
    file = tmp_path / "wrong.yaml"
    file.write_text("listeners: {default: {bnid: '127.0.0.1:0'}}\n")
    result = subprocess.run(
        [sys.executable, "-m", "amqtt.scripts.broker_script", "-c", str(file), *arguments],
        capture_output=True,
        encoding="utf-8",
        timeout=60,
    )
    assert result.returncode == 1
    assert result.stdout == ""
    assert result.stderr == (
        f"❌ Config file error: {file}: listeners.default.bnid: unknown key, did you mean 'bind'?\n"
    )


def test_check(config_file: str, broker_class: SimpleNamespace) -> None:
    broker_class.start = AssertionError("must not be started")
    result = run("--check", "-c", config_file)
    assert (result.exit_code, result.stdout) == (0, f"{config_file}: ok\n")
    assert broker_class.configs[0].listeners["default"].bind == "127.0.0.1:0"


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (BrokerError("no certificate"), "no certificate"),
        (PluginLoadError("a.B has no option 'x'"), "a.B has no option 'x'"),
        (PluginInitError(int), "Plugin init failed: <class 'int'>"),
    ],
)
@pytest.mark.parametrize("arguments", [[], ["--check"]])
def test_broker_cannot_be_made(
    error: Exception,
    text: str,
    arguments: list[str],
    config_file: str,
    broker_class: SimpleNamespace,
) -> None:
    broker_class.make = error
    result = run("-c", config_file, *arguments)
    assert result.exit_code == 1
    expected = f"❌ Broker failed to start: {text} (configured in {config_file})\n"
    assert result.stderr == expected


def test_check_of_the_listeners(config_file: str, broker_class: SimpleNamespace) -> None:
    broker_class.check = BrokerError("listener 'default': no port")
    result = run("--check", "-c", config_file)
    assert result.exit_code == 1
    text = f"listener 'default': no port (configured in {config_file})"
    assert result.stderr == f"❌ Broker failed to start: {text}\n"


def test_broker_cannot_start(config_file: str, broker_class: SimpleNamespace) -> None:
    error = BrokerError("Broker instance can't be started")
    error.__cause__ = OSError(98, "address in use: 127.0.0.1:1883")
    broker_class.start = error
    result = run("-c", config_file)
    assert result.exit_code == 1
    assert re.match(
        r"❌ Broker failed to start: Broker instance can't be started: .*127\.0\.0\.1:1883",
        result.stderr,
    )


def test_packaged_configuration(broker_class: SimpleNamespace) -> None:
    assert run("--check").exit_code == 0
    config = broker_class.configs[0]
    assert list(config.plugins) == list(default_broker_plugins())
    assert list(config.listeners) == ["default"]
    assert config.listeners["default"].bind == "0.0.0.0:1883"
    content = yaml.safe_load(broker_script.DEFAULT_CONFIG_FILE.read_text(encoding="utf-8"))
    assert {path: options or {} for path, options in content["plugins"].items()} == (
        default_broker_plugins()
    )
