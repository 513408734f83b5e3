from __future__ import annotations

import asyncio
import errno
import io
import os
from collections.abc import Iterator
from typing import Any
from unittest.mock import Mock

import pytest
from typer.testing import CliRunner

from amqtt.errors import ClientError
from amqtt.scripts import _output, sub_script
from amqtt.session import IncomingApplicationMessage


def run(*arguments: str) -> Any:
    return CliRunner().invoke(sub_script.app, ["-t", "a/#", *arguments])


def test_payloads_are_printed(client_class: Any) -> None:
    client_class.incoming = [b"one", b"\xff\x00", b"three"]
    result = run("-n", "2")
    assert result.exit_code == 0
    assert result.stdout_bytes == b"one\n\xff\x00\n"
    assert client_class.made.calls == ["connect", "disconnect"]


def test_empty_payloads_do_not_count(client_class: Any) -> None:
    client_class.incoming = [b"", b"one", b"", b"two"]
    assert run("-n", "2").stdout_bytes == b"one\ntwo\n"


def test_several_filters(client_class: Any) -> None:
    client_class.incoming = [b"x"]
    assert run("-t", "b", "-q", "1", "-n", "1").exit_code == 0
    assert client_class.made.filters == [("a/#", 1), ("b", 1)]


def test_refused_filter_is_only_logged(client_class: Any, caplog: pytest.LogCaptureFixture) -> None:
    client_class.codes = (0x80, 1)
    client_class.incoming = [b"x"]
    assert run("-t", "b", "-n", "1").exit_code == 0
    assert "refused the subscription to 'a/#'" in caplog.text
    assert "'b'" not in caplog.text


@pytest.mark.parametrize("count", [[], ["-n", "5"]])
def test_lost_connection(client_class: Any, count: list[str]) -> None:
    client_class.incoming = [b"one", b"two"]
    result = run(*count)
    assert result.exit_code == 1
    assert result.stdout_bytes == b"one\ntwo\n"
    assert "❌ Connection lost" in result.stderr


@pytest.mark.parametrize("count", ["0", "-1", "many"])
def test_wrong_count(client_class: Any, count: str) -> None:
    result = run("-n", count)
    assert result.exit_code == 2
    assert "-n" in result.stderr
    assert not hasattr(client_class, "made")


async def test_subscribes_again_when_the_session_is_new(client_class: Any) -> None:
    client = client_class()
    await sub_script.keep_subscribed(client, ["a/#", "b"], 1)
    for session_present, expected in [(True, []), (False, [("a/#", 1), ("b", 1)])]:
        client.filters = []
        await client.reconnected(session_present)
        assert client.filters == expected


def test_failing_subscription(client_class: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async def subscribe(*_: Any) -> list[int]:
        raise ClientError("Will not reconnect")

    monkeypatch.setattr(client_class, "subscribe", subscribe)
    result = run()
    assert result.exit_code == 1
    assert "❌ Will not reconnect" in result.stderr
    assert client_class.made.calls == ["connect", "disconnect"]


class QueueClient:
    """Deliver what the test puts into a queue."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[bytes] = asyncio.Queue()

    async def deliver_message(self) -> IncomingApplicationMessage:
        return IncomingApplicationMessage(None, "a", 0, await self.queue.get(), False)


class Pipe:
    """A pipe that the code under test writes to."""

    def __init__(self) -> None:
        self.read_end, write_end = os.pipe()
        os.set_blocking(self.read_end, False)
        self.stream = io.BufferedWriter(io.FileIO(write_end, "w"))

    def read(self) -> bytes:
        return os.read(self.read_end, 1_000_000)

    def close_reader(self) -> None:
        os.close(self.read_end)
        self.read_end = -1


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    pipe = Pipe()
    yield pipe
    if pipe.read_end >= 0:
        pipe.close_reader()
    pipe.stream.close()


@pytest.fixture
def client() -> QueueClient:
    return QueueClient()


def start(client: QueueClient, stream: Any, count: int | None = None) -> asyncio.Task[bool]:
    return asyncio.ensure_future(sub_script.print_messages(client, count, stream))  # type: ignore[arg-type]


def no_descriptor() -> int:
    raise io.UnsupportedOperation("fileno")


async def until_quiet() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_message_is_readable_at_once(pipe: Pipe, client: QueueClient) -> None:
    task = start(client, pipe.stream, 4)
    for payload in (b"one", b"two", b"three"):
        client.queue.put_nowait(payload)
        await until_quiet()
        assert pipe.read() == payload + b"\n"
    client.queue.put_nowait(b"four")
    assert await task is True
    assert pipe.read() == b"four\n"


async def test_messages_that_arrive_together_are_written_together(client: QueueClient) -> None:
    stream = Mock(fileno=no_descriptor)
    for _ in range(1000):
        client.queue.put_nowait(b"x")
    assert await start(client, stream, 1000) is True
    assert b"".join(call.args[0] for call in stream.write.call_args_list) == b"x\n" * 1000
    assert stream.flush.call_count <= 2


async def test_much_output_is_not_collected(
    client: QueueClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_output, "_FLUSH_SIZE", 10)
    stream = Mock(fileno=no_descriptor)
    for _ in range(100):
        client.queue.put_nowait(b"12345")
    await start(client, stream, 100)
    assert [call.args[0] for call in stream.write.call_args_list if call.args[0]] == [
        b"12345\n12345\n"
    ] * 50


async def test_reader_that_went_away_is_no_error(pipe: Pipe, client: QueueClient) -> None:
    pipe.close_reader()
    client.queue.put_nowait(b"one")
    assert await start(client, pipe.stream) is True


async def test_reader_that_goes_away_is_noticed_without_a_message(
    pipe: Pipe, client: QueueClient
) -> None:
    task = start(client, pipe.stream)
    await until_quiet()
    pipe.close_reader()
    assert await task is True


async def test_reader_that_goes_away_during_a_flood(pipe: Pipe, client: QueueClient) -> None:
    pipe.close_reader()
    for _ in range(10):
        client.queue.put_nowait(bytes(50_000))
    assert await start(client, pipe.stream) is True


async def test_other_output_errors_are_raised(pipe: Pipe, client: QueueClient) -> None:
    stream = Mock(fileno=pipe.stream.fileno)
    stream.write.side_effect = OSError(errno.ENOSPC, "no space")
    client.queue.put_nowait(b"one")
    with pytest.raises(OSError, match="no space"):
        await start(client, stream)


async def test_an_output_error_does_not_cancel_what_follows(client: QueueClient) -> None:
    """The command still disconnects after it."""
    stream = Mock(fileno=no_descriptor)
    stream.write.side_effect = OSError(errno.ENOSPC, "no space")
    client.queue.put_nowait(b"one")

    async def print_and_go_on() -> str:
        with pytest.raises(OSError, match="no space"):
            await sub_script.print_messages(client, 1, stream)  # type: ignore[arg-type]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return "disconnected"

    assert await asyncio.ensure_future(print_and_go_on()) == "disconnected"


async def test_cancelling(client: QueueClient) -> None:
    task = start(client, Mock(fileno=no_descriptor))
    await until_quiet()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
