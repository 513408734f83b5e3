from __future__ import annotations

import asyncio
import struct
from typing import Any

import pytest

from amqtt import codecs_amqtt
from amqtt.adapters import BufferReader, ReaderAdapter, StreamReaderAdapter
from amqtt.errors import MQTTError, NoDataError, ZeroLengthReadError


class Failing(ReaderAdapter):
    """A reader that raises at once."""

    def __init__(self, error: BaseException) -> None:
        self._error = error

    async def read(self, n: int = -1) -> bytes:
        del n
        raise self._error

    def feed_eof(self) -> None: ...


class Fixed(ReaderAdapter):
    """A reader that returns the same thing each time."""

    def __init__(self, answer: Any) -> None:
        self._answer = answer

    async def read(self, n: int = -1) -> bytes:
        del n
        answer, self._answer = self._answer, None
        return answer  # type: ignore[no-any-return]

    def feed_eof(self) -> None: ...


class TestIntegers:
    def test_hex(self) -> None:
        assert codecs_amqtt.bytes_to_hex_str(b"\x7f") == "0x7f"
        assert codecs_amqtt.bytes_to_hex_str(bytearray(b"\x00\xff")) == "0x00ff"

    def test_from_bytes(self) -> None:
        assert codecs_amqtt.bytes_to_int(b"\x01\x02") == 0x0102
        assert codecs_amqtt.bytes_to_int(7) == 7

    def test_to_bytes(self) -> None:
        assert codecs_amqtt.int_to_bytes(127, 1) == b"\x7f"
        assert codecs_amqtt.int_to_bytes(127, 2) == b"\x00\x7f"

    @pytest.mark.parametrize("length", [0, 3, 4])
    def test_wrong_length(self, length: int) -> None:
        with pytest.raises(ValueError, match=str(length)):
            codecs_amqtt.int_to_bytes(1, length)

    @pytest.mark.parametrize(("value", "length"), [(256, 1), (65536, 2), (-1, 1)])
    def test_out_of_range(self, value: int, length: int) -> None:
        with pytest.raises(struct.error):
            codecs_amqtt.int_to_bytes(value, length)

    async def test_packet_id(self) -> None:
        assert await codecs_amqtt.decode_packet_id(BufferReader(b"\x01\x02")) == 0x0102

    def test_digits(self) -> None:
        assert codecs_amqtt.int_to_bytes_str(5) == b"5"
        assert codecs_amqtt.int_to_bytes_str(-1) == b"-1"


@pytest.mark.parametrize(
    ("value", "places", "digits"),
    [
        (1.2345, 3, b"1.235"),
        (1.0005, 3, b"1.001"),
        (2, 3, b"2.000"),
        (0.125, 2, b"0.13"),
        (1e20, 1, b"100000000000000000000.0"),
        (1e-7, 3, b"0.000"),
        (2.5, 0, b"3"),
    ],
)
def test_float_digits(value: float, places: int, digits: bytes) -> None:
    assert codecs_amqtt.float_to_bytes_str(value, places) == digits


def test_three_places_by_default() -> None:
    assert codecs_amqtt.float_to_bytes_str(1 / 3) == b"0.333"


class TestText:
    async def test_round_trip(self) -> None:
        encoded = codecs_amqtt.encode_string("é/b")
        assert encoded == b"\x00\x04\xc3\xa9/b"
        assert await codecs_amqtt.decode_string(BufferReader(encoded)) == "é/b"

    async def test_empty(self) -> None:
        assert codecs_amqtt.encode_string("") == b"\x00\x00"
        assert await codecs_amqtt.decode_string(BufferReader(b"\x00\x00")) == ""

    @pytest.mark.parametrize("text", [b"\xff", b"\xed\xa0\x80", b"\x00", b"a\xc3"])
    async def test_ill_formed(self, text: bytes) -> None:
        with pytest.raises(MQTTError, match="UTF-8"):
            await codecs_amqtt.decode_string(BufferReader(bytes([0, len(text)]) + text))

    @pytest.mark.parametrize("text", ["a" * 65536, "a\0", "\ud800"])
    def test_that_cannot_be_encoded(self, text: str) -> None:
        with pytest.raises(ValueError, match=r"65,535|null|surrogates"):
            codecs_amqtt.encode_string(text)


class TestData:
    @pytest.mark.parametrize("data", [b"", b"\x00\xff", b"x" * 65535])
    async def test_round_trip(self, data: bytes) -> None:
        encoded = codecs_amqtt.encode_data_with_length(data)
        assert encoded == len(data).to_bytes(2, "big") + data
        assert await codecs_amqtt.decode_data_with_length(BufferReader(encoded)) == data

    def test_bytearray(self) -> None:
        assert codecs_amqtt.encode_data_with_length(bytearray(b"x")) == b"\x00\x01x"

    def test_too_long(self) -> None:
        with pytest.raises(ValueError, match="65,535"):
            codecs_amqtt.encode_data_with_length(b"x" * 65536)

    @pytest.mark.parametrize("data", [b"", b"\x00", b"\x00\x02x"])
    async def test_short(self, data: bytes) -> None:
        with pytest.raises(NoDataError):
            await codecs_amqtt.decode_data_with_length(BufferReader(data))


class TestReadOrRaise:
    async def test_exactly(self) -> None:
        reader = BufferReader(b"abc")
        assert await codecs_amqtt.read_or_raise(reader, 2) == b"ab"
        assert await codecs_amqtt.read_or_raise(reader) == b"c"
        assert await codecs_amqtt.read_or_raise(reader, 0) == b""

    @pytest.mark.parametrize("n", [-1, 1])
    async def test_at_the_end(self, n: int) -> None:
        with pytest.raises(NoDataError, match="No more data"):
            await codecs_amqtt.read_or_raise(BufferReader(b""), n)

    @pytest.mark.parametrize(
        "error",
        [asyncio.IncompleteReadError(b"a", 2), ConnectionResetError(), BrokenPipeError()],
    )
    async def test_errors_of_the_stream(self, error: BaseException) -> None:
        with pytest.raises(NoDataError):
            await codecs_amqtt.read_or_raise(Failing(error), 2)

    @pytest.mark.parametrize("answer", [None, b"", b"a"])
    async def test_short_answers(self, answer: Any) -> None:
        with pytest.raises(NoDataError):
            await codecs_amqtt.read_or_raise(Fixed(answer), 2)

    async def test_bytearray_becomes_bytes(self) -> None:
        data = await codecs_amqtt.read_or_raise(Fixed(bytearray(b"ab")), 2)
        assert data == b"ab"
        assert isinstance(data, bytes)

    @pytest.mark.parametrize("wrap", [StreamReaderAdapter, lambda reader: reader])
    async def test_waits_for_the_rest(self, wrap: Any) -> None:
        stream = asyncio.StreamReader()
        stream.feed_data(b"a")
        reading = asyncio.ensure_future(codecs_amqtt.read_or_raise(wrap(stream), 2))
        await asyncio.sleep(0)
        assert not reading.done()
        stream.feed_data(b"b")
        assert await reading == b"ab"

    async def test_more_than_a_peer_can_make_us_allocate(self) -> None:
        stream = asyncio.StreamReader()
        stream.feed_data(b"a" * 200_000)
        stream.feed_eof()
        with pytest.raises(NoDataError):
            await codecs_amqtt.read_or_raise(StreamReaderAdapter(stream), 268_435_455)

    async def test_other_errors_are_not_hidden(self) -> None:
        with pytest.raises(RuntimeError):
            await codecs_amqtt.read_or_raise(Failing(RuntimeError()), 1)


def test_reexports() -> None:
    assert codecs_amqtt.NoDataError is NoDataError
    assert codecs_amqtt.ReaderAdapter is ReaderAdapter
    assert issubclass(codecs_amqtt.ZeroLengthReadError, NoDataError)
    assert codecs_amqtt.ZeroLengthReadError is ZeroLengthReadError
