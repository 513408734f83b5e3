"""SUBSCRIBE, SUBACK, UNSUBSCRIBE and UNSUBACK."""

from __future__ import annotations

from typing import Any

import pytest
from support.packets import read_packet

from amqtt.adapters import BufferReader
from amqtt.errors import MQTTError, NoDataError
from amqtt.mqtt import unsubscribe
from amqtt.mqtt.packet import PacketIdVariableHeader
from amqtt.mqtt.suback import SubackPacket, SubackPayload
from amqtt.mqtt.subscribe import SubscribePacket, SubscribePayload, SubscriptionOptions
from amqtt.mqtt.unsuback import UnsubackPacket
from amqtt.mqtt.unsubscribe import UnsubscribePacket, UnubscribePayload

SUBSCRIBE = b"\x82\x0e\x00\x0a\x00\x03a/b\x01\x00\x03c/d\x02"
UNSUBSCRIBE = b"\xa2\x0c\x00\x0a\x00\x03a/b\x00\x03c/d"


class TestSubscribe:
    @pytest.mark.parametrize("first", [0x82, 0x80])
    async def test_decode(self, first: int) -> None:
        packet = await read_packet(SubscribePacket, bytes([first]) + SUBSCRIBE[1:])
        assert packet.packet_id == 10
        assert packet.payload is not None
        assert packet.payload.topics == [("a/b", 1), ("c/d", 2)]
        assert packet.payload.options is None

    def test_build(self) -> None:
        packet = SubscribePacket.build([("a/b", 1), ("c/d", 2)], 10)
        assert packet.to_bytes() == SUBSCRIBE

    def test_parts(self) -> None:
        header = PacketIdVariableHeader(10)
        payload = SubscribePayload([("a/b", 1), ("c/d", 2)])
        assert SubscribePacket(None, header, payload).to_bytes() == SUBSCRIBE

    async def test_nothing_is_checked(self) -> None:
        data = b"\x82\x09\x00\x00\x00\x00\xff\x00\x01#\x03"
        packet = await read_packet(SubscribePacket, data)
        assert packet.payload is not None
        assert packet.payload.topics == [("", 0xFF), ("#", 3)]
        assert packet.to_bytes() == data

    async def test_no_topics(self) -> None:
        packet = await read_packet(SubscribePacket, b"\x82\x02\x00\x0a")
        assert packet.payload is not None
        assert packet.payload.topics == []

    # At 10 the packet ends behind the first filter.
    @pytest.mark.parametrize("size", [*range(5, 10), *range(11, 16)])
    async def test_short(self, size: int) -> None:
        data = bytes([0x82, size - 2]) + SUBSCRIBE[2:size]
        with pytest.raises(NoDataError):
            await read_packet(SubscribePacket, data)

    async def test_stream_that_ends_early(self) -> None:
        with pytest.raises(NoDataError):
            await read_packet(SubscribePacket, SUBSCRIBE[:10])

    async def test_ill_formed_text(self) -> None:
        with pytest.raises(MQTTError):
            await read_packet(SubscribePacket, b"\x82\x06\x00\x0a\x00\x01\xff\x01")

    def test_repr(self) -> None:
        assert repr(SubscribePayload([("a", 1)])) == "SubscribePayload(topics=[('a', 1)])"

    def test_defaults(self) -> None:
        assert SubscribePayload().topics == []


class TestSubscribeOfVersion5:
    async def test_round_trip(self) -> None:
        data = b"\x82\x0d\x00\x0a\x02\x0b\x05\x00\x01a\x2d\x00\x01b\x02"
        packet = await read_packet(SubscribePacket, data, 5)
        assert packet.payload is not None
        assert packet.properties == {"subscription_identifier": [5]}
        assert packet.payload.topics == [("a", 1), ("b", 2)]
        assert packet.payload.options == [
            SubscriptionOptions(no_local=True, retain_as_published=True, retain_handling=2),
            SubscriptionOptions(),
        ]
        assert packet.to_bytes() == data
        built = SubscribePacket.build(
            packet.payload.topics, 10, packet.properties, packet.payload.options
        )
        assert built.to_bytes() == data
        assert "retain_handling=2" in repr(packet.payload)

    def test_without_options(self) -> None:
        packet = SubscribePacket.build([("a", 1)], 10, {})
        assert packet.to_bytes() == b"\x82\x07\x00\x0a\x00\x00\x01a\x01"

    def test_options_alone(self) -> None:
        packet = SubscribePacket.build([("a", 1)], 10, options=[SubscriptionOptions(True)])
        assert packet.to_bytes() == b"\x82\x07\x00\x0a\x00\x00\x01a\x05"

    def test_options_that_differ_in_number(self) -> None:
        packet = SubscribePacket.build([("a", 1)], 10, options=[])
        with pytest.raises(ValueError, match="shorter"):
            packet.to_bytes()


class TestSuback:
    async def test_decode(self) -> None:
        packet = await read_packet(SubackPacket, b"\x90\x06\x00\x0a\x00\x01\x02\x80")
        assert packet.packet_id == 10
        assert packet.payload is not None
        assert packet.payload.return_codes == [
            SubackPayload.RETURN_CODE_00,
            SubackPayload.RETURN_CODE_01,
            SubackPayload.RETURN_CODE_02,
            SubackPayload.RETURN_CODE_80,
        ]

    def test_build(self) -> None:
        packet = SubackPacket.build(10, [0, 1, 2, 0x80])
        assert packet.to_bytes() == b"\x90\x06\x00\x0a\x00\x01\x02\x80"
        assert repr(packet.payload) == "SubackPayload(return_codes=[0, 1, 2, 128])"
        assert SubackPayload().return_codes == []

    async def test_short(self) -> None:
        with pytest.raises(NoDataError):
            await read_packet(SubackPacket, b"\x90\x06\x00\x0a\x00")

    async def test_payload_on_its_own(self) -> None:
        payload = await SubackPayload.from_stream(BufferReader(b"\x01\x02"), None, None)
        assert payload.return_codes == [1, 2]

    async def test_version_5(self) -> None:
        data = b"\x90\x05\x00\x0a\x00\x01\x8f"
        packet = await read_packet(SubackPacket, data, 5)
        assert packet.payload is not None
        assert packet.payload.return_codes == [1, 0x8F]
        assert packet.properties == {}
        assert SubackPacket.build(10, [1, 0x8F], {}).to_bytes() == data


class TestUnsubscribe:
    async def test_decode(self) -> None:
        packet = await read_packet(UnsubscribePacket, UNSUBSCRIBE)
        assert packet.packet_id == 10
        assert packet.payload is not None
        assert packet.payload.topics == ["a/b", "c/d"]

    def test_build(self) -> None:
        assert UnsubscribePacket.build(["a/b", "c/d"], 10).to_bytes() == UNSUBSCRIBE
        payload = UnubscribePayload(["a/b", "c/d"])
        made = UnsubscribePacket(variable_header=PacketIdVariableHeader(10), payload=payload)
        assert made.to_bytes() == UNSUBSCRIBE
        assert repr(payload) == "UnubscribePayload(topics=['a/b', 'c/d'])"

    def test_both_spellings(self) -> None:
        assert unsubscribe.UnsubscribePayload is UnubscribePayload
        assert UnubscribePayload().topics == []

    async def test_short(self) -> None:
        with pytest.raises(NoDataError):
            await read_packet(UnsubscribePacket, b"\xa2\x06\x00\x0a\x00\x03a/")

    async def test_version_5(self) -> None:
        data = b"\xa2\x0d\x00\x0a\x07\x26\x00\x01k\x00\x01v\x00\x01a"
        packet = await read_packet(UnsubscribePacket, data, 5)
        assert packet.payload is not None
        assert packet.payload.topics == ["a"]
        properties: dict[str, Any] = {"user_property": [("k", "v")]}
        assert packet.properties == properties
        assert UnsubscribePacket.build(["a"], 10, properties).to_bytes() == data


class TestUnsuback:
    async def test_decode(self) -> None:
        packet = await read_packet(UnsubackPacket, b"\xb0\x02\x00\x0a")
        assert packet.variable_header is not None
        assert packet.variable_header.packet_id == 10
        assert packet.payload is None

    def test_build(self) -> None:
        assert UnsubackPacket.build(10).to_bytes() == b"\xb0\x02\x00\x0a"

    async def test_version_5(self) -> None:
        data = b"\xb0\x05\x00\x0a\x00\x00\x11"
        packet = await read_packet(UnsubackPacket, data, 5)
        assert packet.payload is not None
        assert packet.payload.return_codes == [0, 0x11]
        assert packet.properties == {}
        assert UnsubackPacket.build(10, [0, 0x11]).to_bytes() == data
