from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from amqtt.errors import MQTTError
from amqtt.scripts import _message_source, pub_script

ONE_SOURCE = (
    "❌ You must provide exactly one of --message, --file, --stdin, --lines or --no-message\n"
)


def run(*arguments: str) -> Any:
    return CliRunner().invoke(pub_script.app, ["-t", "a/b", *arguments])


@pytest.fixture
def stdin_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Let the command read a file in the place of the standard input."""

    def replace(content: bytes) -> None:
        file = tmp_path / "stdin"
        file.write_bytes(content)
        descriptor = os.open(file, os.O_RDONLY)
        for reader in (_message_source.read_whole, _message_source.read_lines):
            monkeypatch.setattr(reader, "__defaults__", (descriptor,))

    return replace


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["-m", ""],
        ["-m", "x", "-n"],
        ["-s", "-l"],
        ["-f", "x", "-m", "y"],
    ],
)
def test_exactly_one_source(arguments: list[str]) -> None:
    result = run(*arguments)
    assert (result.exit_code, result.stderr) == (1, ONE_SOURCE)


@pytest.mark.parametrize(
    ("arguments", "data"),
    [
        (["-m", "hello"], b"hello"),
        (["--message", "grün"], "grün".encode()),
        (["-m", "\udcff"], b"\xff"),
        (["-n"], b""),
        (["--no-message"], b""),
    ],
)
def test_one_message(arguments: list[str], data: bytes, client_class: Any) -> None:
    assert run(*arguments).exit_code == 0
    assert client_class.made.published == [("a/b", data, 0, False)]


def test_qos_and_retain(client_class: Any) -> None:
    assert run("-m", "x", "-q", "2", "-r").exit_code == 0
    assert client_class.made.published == [("a/b", b"x", 2, True)]


@pytest.mark.parametrize("option", ["-f", "--file"])
def test_lines_of_a_file(option: str, client_class: Any, tmp_path: Path) -> None:
    file = tmp_path / "lines"
    file.write_bytes(b"one\n\ntwo")
    assert run(option, str(file)).exit_code == 0
    assert [data for _, data, _, _ in client_class.made.published] == [b"one\n", b"\n", b"two"]


def test_lines_of_the_standard_input(stdin_of: Any, client_class: Any) -> None:
    stdin_of(b"one\ntwo\n")
    assert run("-l").exit_code == 0
    assert [data for _, data, _, _ in client_class.made.published] == [b"one\n", b"two\n"]


def test_all_of_the_standard_input(stdin_of: Any, client_class: Any) -> None:
    stdin_of(b"one\ntwo\n")
    assert run("--stdin").exit_code == 0
    assert [data for _, data, _, _ in client_class.made.published] == [b"one\ntwo\n"]


def test_missing_file(client_class: Any, tmp_path: Path) -> None:
    result = run("-f", str(tmp_path / "nothing"))
    assert result.exit_code == 1
    assert "nothing" in result.stderr
    assert not hasattr(client_class, "made")


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may read every file")
def test_forbidden_file(client_class: Any, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.touch(mode=0)
    result = run("-f", str(file))
    assert result.exit_code == 1
    assert "no permission" in result.stderr
    assert not hasattr(client_class, "made")


def test_unreadable_file(client_class: Any, tmp_path: Path) -> None:
    assert run("-f", str(tmp_path)).exit_code == 1
    assert client_class.made.calls == ["connect", "disconnect"]


def test_failure(client_class: Any, caplog: pytest.LogCaptureFixture) -> None:
    client_class.publish_error = MQTTError("wildcard")
    result = run("-m", "x")
    assert result.exit_code == 1
    assert "❌ Publishing failed" in result.stderr
    assert "Publishing to 'a/b' failed: MQTTError('wildcard')" in caplog.text
    assert client_class.made.calls == ["connect", "disconnect"]


class SlowClient:
    """Complete a publish only when the test says so."""

    def __init__(self) -> None:
        self.waiting: list[asyncio.Future[None]] = []
        self.cancelled = 0

    async def publish(self, *_: Any) -> None:
        self.waiting.append(asyncio.get_running_loop().create_future())
        try:
            await self.waiting[-1]
        except asyncio.CancelledError:
            self.cancelled += 1
            raise


class Source:
    """Count the messages that were taken."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.taken = 0

    async def messages(self) -> AsyncIterator[bytes]:
        for _ in range(self.size):
            self.taken += 1
            yield b"x"


async def until_quiet() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def start(client: SlowClient, source: Source) -> asyncio.Task[bool]:
    publisher = pub_script.Publisher(client, "a", 1, False)  # type: ignore[arg-type]
    return asyncio.ensure_future(publisher.publish(source.messages()))


async def test_publishes_in_flight_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pub_script, "MAX_PUBLISHES_IN_FLIGHT", 4)
    client, source = SlowClient(), Source(10)
    task = start(client, source)
    await until_quiet()
    assert len(client.waiting) == 4
    assert source.taken <= 5
    client.waiting[0].set_result(None)
    await until_quiet()
    assert len(client.waiting) == 5
    while not task.done():
        for future in client.waiting:
            if not future.done():
                future.set_result(None)
        await until_quiet()
    assert await task is True
    assert source.taken == 10


async def test_nothing_more_is_taken_after_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pub_script, "MAX_PUBLISHES_IN_FLIGHT", 2)
    client, source = SlowClient(), Source(10)
    task = start(client, source)
    await until_quiet()
    client.waiting[0].set_exception(TimeoutError())
    await until_quiet()
    assert not task.done(), "the other publish is still in flight"
    client.waiting[1].set_result(None)
    assert await task is False
    assert len(client.waiting) == 2


async def test_cancelling_ends_the_publishes() -> None:
    client = SlowClient()
    task = start(client, Source(3))
    await until_quiet()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert client.cancelled == 3


def test_main_uses_the_name_of_the_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["something", "--help"])
    with pytest.raises(SystemExit) as caught:
        pub_script.main()
    assert caught.value.code == 0
    assert capsys.readouterr().out.startswith("Usage: amqtt_pub [OPTIONS]")
