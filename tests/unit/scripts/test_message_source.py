from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from amqtt.scripts import _message_source as source


async def collect(messages: AsyncIterator[bytes]) -> list[bytes]:
    return [message async for message in messages]


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reader, writer = os.pipe()
    yield reader, writer
    os.close(reader)


async def test_single() -> None:
    assert await collect(source.single(b"")) == [b""]


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        (b"", []),
        (b"a\n", [b"a\n"]),
        (b"a\nb", [b"a\n", b"b"]),
        (b"\n\n", [b"\n", b"\n"]),
        (b"a\r\nb\xff\x00\n", [b"a\r\n", b"b\xff\x00\n"]),
    ],
)
async def test_lines(content: bytes, lines: list[bytes], tmp_path: Path) -> None:
    file = tmp_path / "messages"
    file.write_bytes(content)
    assert await collect(source.read_lines_of(file)) == lines
    with file.open("rb") as stream:
        assert await collect(source.read_whole(stream.fileno())) == [content]


@pytest.mark.parametrize("size", [1, 2, 3, 5, 1000])
async def test_lines_across_chunks(
    size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "_CHUNK_SIZE", size)
    file = tmp_path / "messages"
    content = b"one\n\ntwo and more\nthree"
    file.write_bytes(content)
    assert await collect(source.read_lines_of(file)) == content.splitlines(keepends=True)
    with file.open("rb") as stream:
        assert await collect(source.read_whole(stream.fileno())) == [content]


async def test_line_is_there_before_the_end(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    lines = source.read_lines(reader)
    os.write(writer, b"first\nsec")
    assert await anext(lines) == b"first\n"
    os.write(writer, b"ond\n")
    assert await anext(lines) == b"second\n"
    os.close(writer)
    assert await collect(lines) == []


async def test_silent_reader_can_be_cancelled(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    task = asyncio.ensure_future(collect(source.read_lines(reader)))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    os.close(writer)


async def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        await collect(source.read_lines_of(tmp_path / "nothing"))


async def test_directory(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError):
        await collect(source.read_lines_of(tmp_path))


@pytest.mark.parametrize("content", [b"123456789", b"1\n123456789\n"])
async def test_message_size_is_bounded(
    content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "_CHUNK_SIZE", 2)
    monkeypatch.setattr(source, "_MAX_PAYLOAD", 8)
    file = tmp_path / "messages"
    file.write_bytes(content)
    with pytest.raises(ValueError, match="larger than 8 bytes"):
        await collect(source.read_lines_of(file))
    with file.open("rb") as stream, pytest.raises(ValueError, match="larger than 8 bytes"):
        await collect(source.read_whole(stream.fileno()))
