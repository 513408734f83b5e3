"""The options that amqtt_pub and amqtt_sub share, through both commands."""

from __future__ import annotations

import logging
import os
import socket
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from typer.testing import CliRunner

import amqtt
from amqtt.contexts import ClientConfig, WillConfig, default_client_plugins
from amqtt.errors import ClientError, ConnectError, PluginLoadError
from amqtt.scripts import _client_options, pub_script, sub_script

TOOLS = {
    "amqtt_pub": (pub_script.app, ["-t", "a/b", "-m", "x"]),
    "amqtt_sub": (sub_script.app, ["-t", "a/b", "-n", "1"]),
}


@pytest.fixture(params=list(TOOLS))
def tool(request: pytest.FixtureRequest, client_class: Any) -> str:
    client_class.incoming = [b"payload"]
    name: str = request.param
    return name


def run(tool: str, *arguments: str) -> Any:
    app, required = TOOLS[tool]
    return CliRunner().invoke(app, [*required, *arguments], prog_name=tool)


def test_version_needs_no_other_option(tool: str) -> None:
    result = CliRunner().invoke(TOOLS[tool][0], ["--version"])
    assert (result.exit_code, result.stdout) == (0, f"{amqtt.__version__}\n")


def test_help(tool: str) -> None:
    result = run(tool, "--help")
    assert result.exit_code == 0
    assert result.stdout.startswith(f"Usage: {tool} [OPTIONS]\n")
    shared = "--url -i --client-id -q --qos -k --clean-session --ca-file --ca-path --ca-data"
    will = "--will-topic --will-message --will-qos --will-retain --extra-headers -d --version -c"
    assert all(option in result.stdout for option in f"{shared} {will}".split())


@pytest.mark.parametrize(
    "arguments", [["--unknown"], ["-q", "high"], ["-k", "-1"], ["--clean-session=1"], ["extra"]]
)
def test_usage_error(tool: str, arguments: list[str]) -> None:
    assert run(tool, *arguments).exit_code == 2


def test_topic_is_required(tool: str) -> None:
    result = CliRunner().invoke(TOOLS[tool][0], [])
    assert result.exit_code == 2
    assert "-t" in result.stderr


def test_defaults(tool: str, client_class: Any) -> None:
    assert run(tool).exit_code == 0
    client = client_class.made
    assert client.client_id == f"{tool}/{os.getpid()}-{socket.gethostname()}"
    assert client.calls == ["connect", "disconnect"]
    assert client.connect_arguments == {
        "uri": None,
        "cleansession": True,
        "cafile": None,
        "capath": None,
        "cadata": None,
        "additional_headers": None,
    }
    assert client.config.connection.uri == "mqtt://127.0.0.1"
    assert client.config.plugins == dict.fromkeys(default_client_plugins())
    assert client.config.will is None


@pytest.mark.parametrize(
    ("arguments", "clean"),
    [
        ([], True),
        (["-i", ""], True),
        (["-i", "me"], False),
        (["-i", "me", "--clean-session"], True),
        (["--clean-session"], True),
    ],
)
def test_only_a_client_with_a_name_leaves_a_session(
    tool: str, client_class: Any, arguments: list[str], clean: bool
) -> None:
    assert run(tool, *arguments).exit_code == 0
    assert client_class.made.connect_arguments["cleansession"] is clean


def test_options_reach_the_client(tool: str, client_class: Any, tmp_path: Path) -> None:
    file = tmp_path / "client.yaml"
    file.write_text("keep_alive: 7\nconnection: {uri: 'mqtt://configured'}\nplugins: {}\n")
    result = run(
        tool,
        *("-c", str(file), "--url", "ws://host/mqtt", "-i", "me", "-k", "33", "--clean-session"),
        *("--ca-file", "f", "--ca-path", "p", "--ca-data", "d"),
        *("--will-topic", "w", "--will-message", "bye", "--will-qos", "1", "--will-retain"),
        *("--extra-headers", '{"X-Token": "t"}'),
    )
    assert result.exit_code == 0
    client = client_class.made
    assert client.client_id == "me"
    assert client.connect_arguments == {
        "uri": "ws://host/mqtt",
        "cleansession": True,
        "cafile": "f",
        "capath": "p",
        "cadata": "d",
        "additional_headers": {"X-Token": "t"},
    }
    assert client.config.keep_alive == 33
    assert client.config.plugins == {}
    assert client.config.will == WillConfig("w", "bye", 1, True)


def test_keep_alive_zero_means_configured(tool: str, client_class: Any) -> None:
    assert run(tool, "-k", "0").exit_code == 0
    assert client_class.made.config.keep_alive == 10


@pytest.mark.parametrize("text", ["{broken", "[1]", "", '{"a": "1", "a": "2"}'])
def test_bad_headers_are_ignored(tool: str, client_class: Any, text: str) -> None:
    assert run(tool, "--extra-headers", text).exit_code == 0
    assert client_class.made.connect_arguments["additional_headers"] is None


@pytest.mark.parametrize("arguments", [["--will-topic", "a"], ["--will-message", "m"]])
def test_half_a_will(tool: str, arguments: list[str]) -> None:
    result = run(tool, *arguments)
    assert result.exit_code == 1
    assert result.stdout == "❌ must specify both 'will_message' and 'will_topic' \n"


def test_retain_without_will(tool: str) -> None:
    result = run(tool, "--will-retain")
    assert result.exit_code == 1
    assert result.stderr == (
        "❌ 'will-retain' only valid if 'will_message' and 'will_topic' are specified.\n"
    )


@pytest.mark.parametrize("topic", ["a/#", "+"])
def test_will_topic(tool: str, client_class: Any, topic: str) -> None:
    result = run(tool, "--will-topic", topic, "--will-message", "m")
    assert result.exit_code == 1
    assert result.stderr.startswith("❌ 'will-topic': expected a topic name, found ")
    assert not hasattr(client_class, "made")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["-q", "3"], "'qos' must be 0, 1 or 2, not 3."),
        (
            ["--will-topic", "a", "--will-message", "m", "--will-qos", "-1"],
            "'will-qos' must be 0, 1 or 2, not -1.",
        ),
    ],
)
def test_wrong_qos(tool: str, arguments: list[str], text: str) -> None:
    result = run(tool, *arguments)
    assert (result.exit_code, result.stderr) == (1, f"❌ {text}\n")


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (None, "No such file or directory"),
        ("", "expected a mapping, the file is empty"),
        ("a: [", "not valid YAML"),
        ("keepalive: 5", "keepalive: unknown key, did you mean 'keep_alive'?"),
        ("default_qos: 4", "default QoS must be 0, 1 or 2"),
    ],
)
def test_config_errors(tool: str, content: str | None, text: str, tmp_path: Path) -> None:
    file = tmp_path / "client.yaml"
    if content is not None:
        file.write_text(content)
    result = run(tool, "-c", str(file))
    assert result.exit_code == 1
    assert result.stderr.startswith("❌ Config file error: ")
    assert str(file) in result.stderr
    assert text in result.stderr


@pytest.mark.parametrize(
    "error", [ConnectError("refused"), ClientError("bad scheme"), ValueError("port"), OSError("x")]
)
def test_connection_failure(
    tool: str, client_class: Any, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    client_class.connect_error = error
    result = run(tool, "--url", "mqtt://nowhere:1")
    assert result.exit_code == 1
    assert "❌ Connection failed" in result.stderr
    assert str(error) in result.stderr
    fatal = [record for record in caplog.records if record.levelno == logging.CRITICAL]
    assert [record.getMessage() for record in fatal] == [
        f"Connection to 'mqtt://nowhere:1' failed: {error!r}"
    ]
    assert client_class.made.calls == ["connect"]


def test_client_cannot_be_made(tool: str, client_class: Any) -> None:
    client_class.init_error = PluginLoadError("no such option")
    result = run(tool)
    assert result.exit_code == 1
    assert "❌ Client failed to start: no such option" in result.stderr


def test_progress_is_logged(tool: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        assert run(tool, "-i", "me").exit_code == 0
    messages = [record.getMessage() for record in caplog.records]
    assert messages[0] == "me Connecting to broker"
    assert messages[-1] == "me Disconnected from broker"
    assert ("me Publishing to 'a/b'" in messages) == (tool == "amqtt_pub")


def test_packaged_configuration() -> None:
    content = yaml.safe_load(_client_options.DEFAULT_CONFIG_FILE.read_text(encoding="utf-8"))
    plugins = content.pop("plugins")
    connection = content.pop("connection")
    defaults = ClientConfig()
    assert {name: defaults[name] for name in content} == content
    assert list(plugins) == list(default_client_plugins())
    assert connection == {"uri": "mqtt://127.0.0.1"}


def test_check_qos_accepts_the_three() -> None:
    for qos in (0, 1, 2):
        _client_options.check_qos("qos", qos)
    with pytest.raises(typer.Exit):
        _client_options.check_qos("qos", 3)
