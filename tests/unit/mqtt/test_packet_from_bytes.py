"""Whole packets: the strict decoder, the lenient one, and that both agree."""

from __future__ import annotations

import random
from contextlib import suppress

import pytest
from support.packets import fields_of, packets_of_vectors, read_any_packet

from amqtt.adapters import BufferReader
from amqtt.errors import AMQTTError, CodecError, MQTTError, NoDataError
from amqtt.mqtt import packet_class, packet_dict, packet_from_bytes
from amqtt.mqtt.auth import AuthPacket
from amqtt.mqtt.connect import ConnectPacket
from amqtt.mqtt.packet import MQTTFixedHeader
from amqtt.mqtt.publish import PublishPacket
from amqtt.mqtt.subscribe import SubscribePacket

PACKETS = list(packets_of_vectors())


def well_formed() -> list[tuple[int, bytes]]:
    found = []
    for version, data in PACKETS:
        try:
            packet = packet_from_bytes(data, version)
        except MQTTError:
            continue
        # The strict decoder corrects the level that bridges send, and flags of MQTT 3.1 that
        # promise fields which are not there.
        header = packet.variable_header
        if isinstance(packet, ConnectPacket) and header and header.to_bytes() not in data:
            continue
        found.append((version, data))
    return found


WELL_FORMED = well_formed()


def test_there_are_packets() -> None:
    types = {(version, data[0] >> 4) for version, data in WELL_FORMED}
    assert types >= {(version, code) for version in (4, 5) for code in packet_dict}
    assert len(WELL_FORMED) > 500
    assert len(PACKETS) - len(WELL_FORMED) > 100


@pytest.mark.parametrize("code", packet_dict)
async def test_both_decoders_agree_and_encode_what_they_read(code: int) -> None:
    for version, data in WELL_FORMED:
        if data[0] >> 4 != code:
            continue
        strict = packet_from_bytes(data, version)
        lenient = await read_any_packet(data, version)
        assert fields_of(strict) == fields_of(lenient), data
        assert type(strict) is type(lenient)
        if getattr(strict, "client_id_is_random", False):
            strict.client_id = ""
        again = packet_from_bytes(strict.to_bytes(), version)
        assert fields_of(again) | {"fixed_header": 0} == fields_of(strict) | {"fixed_header": 0}


def test_encoding_is_that_of_the_wire() -> None:
    """All but packets that have a shorter form, or properties in another order."""
    longer_than_needed = 0
    for version, data in WELL_FORMED:
        packet = packet_from_bytes(data, version)
        if getattr(packet, "client_id_is_random", False):
            packet.client_id = ""
        encoded = packet.to_bytes()
        if version == 5 and len(encoded) < len(data):
            longer_than_needed += 1
        elif sorted(encoded) != sorted(data):
            pytest.fail(f"{data!r} became {encoded!r}")
    assert longer_than_needed < len(WELL_FORMED) // 10


async def test_any_bytes_raise_what_is_documented() -> None:
    rng = random.Random(1)
    for _ in range(3000):
        version, data = rng.choice(PACKETS)
        mutated = bytearray(data[:64])
        for _ in range(rng.randint(1, 4)):
            mutated[rng.randrange(len(mutated))] = rng.randrange(256)
        with suppress(MQTTError):
            packet_from_bytes(mutated, version)
        reader = BufferReader(bytes(mutated))
        with suppress(AMQTTError, CodecError, MQTTError, NoDataError, ValueError):
            header = await MQTTFixedHeader.from_stream(reader)
            if header is not None:
                header.protocol_version = version
                await packet_class(header).from_stream(reader, fixed_header=header)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x30",
        b"\x30\x04\x00\x01t",  # not complete
        b"\x30\x03\x00\x01tx",  # bytes behind it
        b"\x36\x05\x00\x01t\x00\x01",  # QoS 3
        b"\x30\x03\x00\x01#",
        b"\x30\x03\x00\x01\xff",
        b"\x32\x05\x00\x01t\x00\x00",  # packet identifier 0
        b"\x80\x06\x00\x01\x00\x01t\x00",  # flags of SUBSCRIBE
        b"\xc0\x01\x00",
        b"\x00\x00",
        b"\x10\xff\xff\xff\xff\x7f",
    ],
)
def test_malformed(data: bytes) -> None:
    with pytest.raises(MQTTError, match=r"\w"):
        packet_from_bytes(data)


def test_types_of_the_fields() -> None:
    packet = packet_from_bytes(bytearray(b"\x33\x06\x00\x01t\x00\x07x"))
    assert isinstance(packet, PublishPacket)
    assert (packet.topic_name, packet.packet_id, packet.data) == ("t", 7, b"x")
    assert isinstance(packet.data, bytes)
    assert (packet.qos, packet.retain_flag, packet.protocol_version) == (1, True, 4)
    assert packet.protocol_ts is not None


def test_memoryview() -> None:
    packet = packet_from_bytes(memoryview(b"\x30\x04\x00\x01tx"))
    assert isinstance(packet, PublishPacket)
    assert packet.data == b"x"


def test_connect_says_its_version_itself() -> None:
    packet = packet_from_bytes(b"\x10\x0e\x00\x04MQTT\x05\x02\x00\x00\x00\x00\x01c", 4)
    assert isinstance(packet, ConnectPacket)
    assert packet.protocol_version == packet.fixed_header.protocol_version == 5
    old = packet_from_bytes(b"\x10\x0f\x00\x06MQIsdp\x03\x02\x00\x00\x00\x01c")
    assert isinstance(old, ConnectPacket)
    assert (old.proto_name, old.proto_level, old.properties) == ("MQIsdp", 3, None)


def test_auth() -> None:
    packet = packet_from_bytes(b"\xf0\x07\x18\x05\x15\x00\x02XY", 5)
    assert isinstance(packet, AuthPacket)
    assert (packet.reason_code, packet.properties) == (0x18, {"authentication_method": "XY"})
    with pytest.raises(MQTTError):
        packet_from_bytes(b"\xf0\x00", 4)


def test_what_a_broker_may_be_told_to_bear() -> None:
    packet = packet_from_bytes(b"\x38\x03\x00\x01t")
    assert packet.fixed_header.flags == 0x08


def test_dup_of_subscribe_in_version_3_1() -> None:
    packet = packet_from_bytes(b"\x8a\x06\x00\x01\x00\x01t\x00", 3)
    assert isinstance(packet, SubscribePacket)
    assert packet.fixed_header.flags == 0x0A


@pytest.mark.parametrize("version", [0, 2, 6, -1])
def test_unknown_version(version: int) -> None:
    with pytest.raises(ValueError, match="protocol version"):
        packet_from_bytes(b"\xc0\x00", version)


def test_not_bytes() -> None:
    with pytest.raises(TypeError):
        packet_from_bytes("text")  # type: ignore[arg-type]
