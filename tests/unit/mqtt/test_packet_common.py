"""Fixed headers, packet identifiers, and what all packet classes have in common."""

from __future__ import annotations

import asyncio
import importlib
import pickle
from datetime import datetime, timezone
from typing import Any

import pytest
from support.packets import read_packet

import amqtt.mqtt
from amqtt.adapters import BufferReader, BufferWriter
from amqtt.errors import AMQTTError, CodecError, MQTTError, NoDataError
from amqtt.mqtt import packet, packet_class, packet_dict
from amqtt.mqtt.auth import AuthPacket
from amqtt.mqtt.packet import (
    MQTTFixedHeader,
    MQTTPacket,
    MQTTPayload,
    MQTTVariableHeader,
    PacketIdVariableHeader,
)
from amqtt.mqtt.pingreq import PingReqPacket
from amqtt.mqtt.puback import PubackPacket
from amqtt.mqtt.publish import PublishPacket, PublishPayload, PublishVariableHeader

CLASSES = list(packet_dict.values())
CODES = {
    "CONNECT": 1, "CONNACK": 2, "PUBLISH": 3, "PUBACK": 4, "PUBREC": 5, "PUBREL": 6, "PUBCOMP": 7,
    "SUBSCRIBE": 8, "SUBACK": 9, "UNSUBSCRIBE": 10, "UNSUBACK": 11, "PINGREQ": 12, "PINGRESP": 13,
    "DISCONNECT": 14,
}  # fmt: skip


async def read_header(data: bytes) -> MQTTFixedHeader | None:
    return await MQTTFixedHeader.from_stream(BufferReader(data))


class TestFixedHeader:
    @pytest.mark.parametrize(
        ("length", "encoded"),
        [
            (0, b"\x10\x00"),
            (127, b"\x10\x7f"),
            (128, b"\x10\x80\x01"),
            (16_383, b"\x10\xff\x7f"),
            (16_384, b"\x10\x80\x80\x01"),
            (268_435_455, b"\x10\xff\xff\xff\x7f"),
        ],
    )
    async def test_lengths(self, length: int, encoded: bytes) -> None:
        header = MQTTFixedHeader(packet.CONNECT, 0, length)
        assert header.to_bytes() == encoded
        assert header.bytes_length == len(encoded)
        again = await read_header(encoded)
        assert again is not None
        assert (again.packet_type, again.flags) == (packet.CONNECT, 0)
        assert again.remaining_length == length

    async def test_flags(self) -> None:
        assert MQTTFixedHeader(packet.PUBLISH, 0x0B, 1).to_bytes() == b"\x3b\x01"
        header = await read_header(b"\x3b\x01")
        assert header is not None
        assert header.flags == 0x0B

    @pytest.mark.parametrize("data", [b"", b"\x10", b"\x10\x80", b"\x10\xff\xff\xff"])
    async def test_incomplete(self, data: bytes) -> None:
        assert await read_header(data) is None

    async def test_fifth_length_byte(self) -> None:
        with pytest.raises(MQTTError, match="four bytes"):
            await read_header(b"\x10\xff\xff\xff\xff\x7f")

    @pytest.mark.parametrize("length", [268_435_456, -1])
    def test_length_that_cannot_be_encoded(self, length: int) -> None:
        with pytest.raises(CodecError, match=f"length={length}"):
            MQTTFixedHeader(packet.PUBLISH, 0, length).to_bytes()

    async def test_reads_nothing_behind_it(self) -> None:
        reader = BufferReader(b"\x30\x02ab")
        await MQTTFixedHeader.from_stream(reader)
        assert await reader.read() == b"ab"

    async def test_bare_stream_reader(self) -> None:
        reader = asyncio.StreamReader()
        reader.feed_data(b"\x30")
        reading = asyncio.ensure_future(MQTTFixedHeader.from_stream(reader))
        await asyncio.sleep(0)
        reader.feed_data(b"\x81\x01")
        header = await reading
        assert header is not None
        assert header.remaining_length == 129

    async def test_to_stream(self) -> None:
        writer = BufferWriter()
        await MQTTFixedHeader(packet.PUBLISH, 2, 5).to_stream(writer)
        assert writer.get_buffer() == b"\x32\x05"

    def test_repr(self) -> None:
        shown = repr(MQTTFixedHeader(3, 0, 4))
        assert shown == "MQTTFixedHeader(packet_type=3, flags=0, length=4)"


class TestPacketIdHeader:
    async def test_round_trip(self) -> None:
        header = await PacketIdVariableHeader.from_stream(BufferReader(b"\x01\x02"))
        assert header.packet_id == 0x0102
        assert header.to_bytes() == b"\x01\x02"
        assert header.bytes_length == 2

    async def test_short(self) -> None:
        with pytest.raises(NoDataError):
            await PacketIdVariableHeader.from_stream(BufferReader(b"\x01"))

    async def test_to_stream(self) -> None:
        writer = BufferWriter()
        await PacketIdVariableHeader(10).to_stream(writer)  # type: ignore[arg-type]
        assert writer.get_buffer() == b"\x00\x0a"

    def test_id_out_of_range(self) -> None:
        with pytest.raises(ValueError, match="two bytes"):
            PacketIdVariableHeader(65536).to_bytes()


class TestNames:
    @pytest.mark.parametrize("name", CODES)
    def test_codes(self, name: str) -> None:
        assert getattr(packet, name) == CODES[name]
        assert getattr(amqtt.mqtt, name) == CODES[name]

    def test_reserved_codes(self) -> None:
        assert (packet.RESERVED_0, packet.RESERVED_15) == (0, 15)
        assert not hasattr(amqtt.mqtt, "RESERVED_0")

    @pytest.mark.parametrize("cls", CLASSES)
    def test_classes_are_in_the_module_of_their_packet(self, cls: Any) -> None:
        name = cls.__name__.removesuffix("Packet").lower()
        assert getattr(importlib.import_module(f"amqtt.mqtt.{name}"), cls.__name__) is cls
        assert getattr(amqtt.mqtt, cls.__name__) is cls

    @pytest.mark.parametrize("module", ["puback", "pubrec", "pubrel", "pubcomp"])
    def test_packet_id_header_is_there_too(self, module: str) -> None:
        found = importlib.import_module(f"amqtt.mqtt.{module}").PacketIdVariableHeader
        assert found is PacketIdVariableHeader

    def test_all(self) -> None:
        assert amqtt.mqtt.__all__ == ["MQTTPacket"]

    def test_packet_dict(self) -> None:
        assert set(packet_dict) == set(range(1, 15))

    @pytest.mark.parametrize("code", range(1, 15))
    def test_packet_class(self, code: int) -> None:
        assert packet_class(MQTTFixedHeader(code)) is packet_dict[code]

    @pytest.mark.parametrize("code", [0, 15, 16])
    def test_unknown_packet_type(self, code: int) -> None:
        with pytest.raises(AMQTTError, match=f"packet type {code}"):
            packet_class(MQTTFixedHeader(code))

    def test_auth_is_a_packet_of_version_5(self) -> None:
        header = MQTTFixedHeader(15, protocol_version=5)
        assert packet_class(header) is AuthPacket


@pytest.mark.parametrize("cls", [*CLASSES, AuthPacket])
class TestEveryClass:
    def test_default_header(self, cls: Any) -> None:
        made = cls()
        code = AuthPacket.PACKET_TYPE if cls is AuthPacket else CODES[_code_name(cls)]
        assert made.fixed_header.packet_type == code
        needs_flags = _code_name(cls) in ("PUBREL", "SUBSCRIBE", "UNSUBSCRIBE")
        assert made.fixed_header.flags == (0x02 if needs_flags else 0)
        assert made.variable_header is None
        assert made.payload is None
        assert made.protocol_ts is None

    def test_header_of_another_type(self, cls: Any) -> None:
        with pytest.raises(AMQTTError, match=cls.__name__):
            cls(fixed=MQTTFixedHeader(0))

    def test_header_is_kept(self, cls: Any) -> None:
        header = MQTTFixedHeader(cls.PACKET_TYPE, 0x0F)
        assert cls(header).fixed_header is header

    def test_no_other_attributes(self, cls: Any) -> None:
        with pytest.raises(AttributeError):
            cls().other = 1

    async def test_empty_stream(self, cls: Any) -> None:
        with pytest.raises(NoDataError):
            await cls.from_stream(BufferReader(b""))

    def test_parts_in_the_constructor_of_the_class(self, cls: Any) -> None:
        made = cls()
        assert isinstance(made, MQTTPacket)
        assert cls.FIXED_HEADER is MQTTFixedHeader
        for part, base in ((cls.VARIABLE_HEADER, MQTTVariableHeader), (cls.PAYLOAD, MQTTPayload)):
            assert part is None or issubclass(part, base)


def _code_name(cls: type) -> str:
    return cls.__name__.removesuffix("Packet").upper()


class TestPacket:
    def test_repr(self) -> None:
        made = PublishPacket.build("t", b"x", None, False, 0, False)
        assert repr(made) == (
            "PublishPacket(ts=None, fixed=MQTTFixedHeader(packet_type=3, flags=0, length=0), "
            "variable=PublishVariableHeader(topic=t, packet_id=None), "
            "payload=PublishPayload(data=\"b'x'\"))"
        )

    def test_to_bytes_sets_the_length(self) -> None:
        made = PublishPacket.build("t", b"x" * 200, None, False, 0, False)
        made.fixed_header.remaining_length = 7
        encoded = made.to_bytes()
        assert made.fixed_header.remaining_length == 203
        assert made.bytes_length == len(encoded) == 206

    async def test_to_stream_writes_once_and_drains(self) -> None:
        class Writer(BufferWriter):
            def __init__(self) -> None:
                super().__init__()
                self.calls: list[str] = []

            def write(self, data: bytes) -> None:
                self.calls.append("write")
                super().write(data)

            async def drain(self) -> None:
                self.calls.append("drain")

        writer, made = Writer(), PubackPacket.build(10)
        before = datetime.now(timezone.utc)
        await made.to_stream(writer)
        assert writer.calls == ["write", "drain"]
        assert writer.get_buffer() == made.to_bytes()
        assert made.protocol_ts is not None
        assert before <= made.protocol_ts <= datetime.now(timezone.utc)

    async def test_time_of_a_received_packet(self) -> None:
        before = datetime.now(timezone.utc)
        made = await read_packet(PingReqPacket, b"\xc0\x00")
        assert made.protocol_ts is not None
        assert made.protocol_ts >= before

    async def test_headers_that_were_read_before(self) -> None:
        reader = BufferReader(b"\x32\x06\x00\x01t\x00\x07x")
        fixed = await MQTTFixedHeader.from_stream(reader)
        assert fixed is not None
        header = await PublishVariableHeader.from_stream(reader, fixed)
        made = await PublishPacket.from_stream(reader, fixed, header)
        assert made.fixed_header is fixed
        assert made.variable_header is header
        assert made.data == b"x"

    async def test_a_packet_of_another_type(self) -> None:
        with pytest.raises(AMQTTError):
            await PublishPacket.from_stream(BufferReader(b"\x40\x02\x00\x01"))

    async def test_a_malformed_packet_leaves_no_bytes_that_look_like_packets(self) -> None:
        reader = BufferReader(b"\x30\x07\x00\x03a/#\xe0\x00" + b"\xc0\x00")
        with pytest.raises(MQTTError):
            await PublishPacket.from_stream(reader)
        assert await reader.read() == b"\xc0\x00"

    async def test_bare_stream_reader_in_pieces(self) -> None:
        reader = asyncio.StreamReader()
        reading = asyncio.ensure_future(PublishPacket.from_stream(reader))  # type: ignore[arg-type]
        for byte in b"\x30\x05\x00\x01txy":
            reader.feed_data(bytes([byte]))
            await asyncio.sleep(0)
        assert (await reading).data == b"xy"

    def test_parts_can_be_replaced(self) -> None:
        made = PublishPacket()
        made.variable_header = PublishVariableHeader("t")
        made.payload = PublishPayload(b"x")
        assert made.to_bytes() == b"\x30\x04\x00\x01tx"

    def test_pickle(self) -> None:
        made = PublishPacket.build("t", b"x", 7, False, 1, False, {"content_type": "text"})
        again = pickle.loads(pickle.dumps(made))
        assert again.to_bytes() == made.to_bytes()

    def test_base_class_needs_a_header(self) -> None:
        with pytest.raises(AMQTTError, match="fixed header"):
            MQTTPacket(None)

    async def test_own_class(self) -> None:
        class Bare(MQTTPacket[Any, Any, MQTTFixedHeader]):
            VARIABLE_HEADER = PacketIdVariableHeader

        made = await Bare.from_stream(BufferReader(b"\x40\x02\x00\x07"))
        assert made.variable_header.packet_id == 7
        assert made.to_bytes() == b"\x40\x02\x00\x07"
