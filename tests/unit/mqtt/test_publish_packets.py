"""PUBLISH and its acknowledgements."""

from __future__ import annotations

from itertools import product
from typing import Any, ClassVar

import pytest
from support.packets import read_packet

from amqtt.adapters import BufferReader
from amqtt.errors import MQTTError, NoDataError
from amqtt.mqtt.packet import MQTTFixedHeader, PacketIdVariableHeader
from amqtt.mqtt.puback import PubackPacket
from amqtt.mqtt.pubcomp import PubcompPacket
from amqtt.mqtt.publish import PublishPacket, PublishPayload, PublishVariableHeader
from amqtt.mqtt.pubrec import PubrecPacket
from amqtt.mqtt.pubrel import PubrelPacket


class TestPublish:
    async def test_decode_qos_0(self) -> None:
        packet = await read_packet(PublishPacket, b"\x31\x08\x00\x03a/bxyz")
        assert (packet.topic_name, packet.packet_id, packet.data) == ("a/b", None, b"xyz")
        assert (packet.qos, packet.retain_flag, packet.dup_flag) == (0, True, False)

    @pytest.mark.parametrize("qos", [1, 2, 3])
    async def test_decode_with_packet_id(self, qos: int) -> None:
        first = 0x38 | qos << 1
        packet = await read_packet(PublishPacket, bytes([first]) + b"\x08\x00\x03a/b\x00\x0ax")
        assert (packet.qos, packet.packet_id, packet.dup_flag) == (qos, 10, True)
        assert packet.data == b"x"

    def test_packet_id_is_encoded_whatever_the_qos(self) -> None:
        packet = PublishPacket.build("topic", b"0123456789", 10, False, 0, False)
        assert packet.to_bytes() == b"\x30\x13\x00\x05topic\x00\x0a0123456789"
        packet.packet_id = None
        assert packet.to_bytes() == b"\x30\x11\x00\x05topic0123456789"

    @pytest.mark.parametrize(
        ("dup", "qos", "retain"), list(product([False, True], [0, 1, 2, None], [False, True]))
    )
    def test_build(self, dup: bool, qos: int | None, retain: bool) -> None:
        packet = PublishPacket.build("t", b"x", 1, dup, qos, retain)
        assert (packet.dup_flag, packet.qos, packet.retain_flag) == (dup, qos or 0, retain)
        assert packet.fixed_header.flags == dup * 8 + (qos or 0) * 2 + retain

    def test_set_flags(self) -> None:
        packet = PublishPacket()
        packet.set_flags(dup_flag=True, qos=2, retain_flag=True)
        assert packet.fixed_header.flags == 0x0D
        packet.set_flags()
        assert packet.fixed_header.flags == 0
        masks = (PublishPacket.DUP_FLAG, PublishPacket.QOS_FLAG, PublishPacket.RETAIN_FLAG)
        assert masks == (0x08, 0x06, 0x01)

    @pytest.mark.parametrize("topic", ["#", "a/+/b", "a#"])
    async def test_wildcards(self, topic: str) -> None:
        with pytest.raises(MQTTError, match="wildcard"):
            PublishPacket.build(topic, b"", None, False, 0, False)
        data = bytes([0x30, len(topic) + 2, 0, len(topic)]) + topic.encode()
        with pytest.raises(MQTTError, match="wildcard"):
            await read_packet(PublishPacket, data)

    def test_no_topic(self) -> None:
        header = PublishVariableHeader(None)  # type: ignore[arg-type]
        assert header.topic_name is None
        assert header.to_bytes() == b"\x00\x00"

    def test_payload(self) -> None:
        assert PublishPayload().to_bytes() == b""
        assert PublishPayload(bytearray(b"x")).to_bytes() == b"x"
        assert repr(PublishPayload(b"x")) == "PublishPayload(data=\"b'x'\")"

    async def test_empty_payload(self) -> None:
        packet = await read_packet(PublishPacket, b"\x30\x03\x00\x01t")
        assert packet.data == b""

    async def test_payload_on_its_own(self) -> None:
        payload = await PublishPayload.from_stream(BufferReader(b"xyz"), None, None)
        assert payload.data == b"xyz"
        fixed = MQTTFixedHeader(3, 0, 5)
        header = PublishVariableHeader("t")
        payload = await PublishPayload.from_stream(BufferReader(b"xyz"), fixed, header)
        assert payload.data == b"xy"

    @pytest.mark.parametrize("data", [b"\x30\x05", b"\x30\x05\x00\x03a/", b"\x30\x05\x00\x01tx"])
    async def test_short(self, data: bytes) -> None:
        with pytest.raises(NoDataError):
            await read_packet(PublishPacket, data)

    @pytest.mark.parametrize("name", ["topic_name", "packet_id", "data", "properties"])
    def test_without_parts(self, name: str) -> None:
        with pytest.raises(ValueError, match=name):
            getattr(PublishPacket(), name)
        with pytest.raises(ValueError, match=name):
            setattr(PublishPacket(), name, None)

    def test_fields_can_be_set(self) -> None:
        packet = PublishPacket.build("t", b"x", None, False, 0, False)
        packet.topic_name = "other"
        packet.data = b"yz"
        packet.packet_id = 1
        packet.qos = 1
        assert packet.to_bytes() == b"\x32\x0b\x00\x05other\x00\x01yz"


class TestPublishOfVersion5:
    PROPERTIES: ClassVar[dict[str, Any]] = {
        "payload_format_indicator": 1,
        "message_expiry_interval": 7,
        "topic_alias": 3,
        "correlation_data": b"\x00\x01",
        "user_property": [("a", "1"), ("a", "2")],
        "subscription_identifier": [1, 200],
        "content_type": "text/plain",
    }

    async def test_round_trip(self) -> None:
        packet = PublishPacket.build("t", b"x", 1, False, 1, False, self.PROPERTIES)
        assert packet.protocol_version == 5
        again = await read_packet(PublishPacket, packet.to_bytes(), 5)
        assert again.properties == self.PROPERTIES
        assert list(again.properties or ()) == list(self.PROPERTIES)
        assert (again.packet_id, again.data) == (1, b"x")
        assert again.to_bytes() == packet.to_bytes()

    def test_bytes(self) -> None:
        packet = PublishPacket.build("t", b"x", None, False, 0, False, {})
        assert packet.to_bytes() == b"\x30\x05\x00\x01t\x00x"
        packet.properties = {"topic_alias": 3}
        assert packet.to_bytes() == b"\x30\x08\x00\x01t\x03\x23\x00\x03x"
        packet.properties = None
        assert packet.to_bytes() == b"\x30\x04\x00\x01tx"

    def test_setting_properties_makes_a_packet_of_version_5(self) -> None:
        packet = PublishPacket.build("t", b"x", None, False, 0, False)
        assert packet.protocol_version == 4
        packet.properties = {}
        assert packet.protocol_version == 5

    async def test_empty_topic_with_an_alias(self) -> None:
        packet = await read_packet(PublishPacket, b"\x30\x06\x00\x00\x03\x23\x00\x03", 5)
        assert packet.topic_name == ""
        assert packet.properties == {"topic_alias": 3}

    @pytest.mark.parametrize(
        "data",
        [
            b"\x30\x07\x00\x01t\x03\x21\x00\x01",  # Receive Maximum
            b"\x30\x06\x00\x01t\x02\x7f\x00",  # unknown
            b"\x30\x08\x00\x01t\x04\x01\x00\x01\x00",  # twice
        ],
    )
    async def test_malformed_properties(self, data: bytes) -> None:
        with pytest.raises(MQTTError, match="property"):
            await read_packet(PublishPacket, data, 5)

    @pytest.mark.parametrize(
        ("properties", "named"),
        [
            ({"topic_alias": 65536}, "topic_alias"),
            ({"topic_alias": "3"}, "topic_alias"),
            ({"message_expiry_interval": -1}, "message_expiry_interval"),
            ({"message_expiry_interval": 1 << 40}, "message_expiry_interval"),
            ({"content_type": b"x"}, "content_type"),
            ({"content_type": "a\0"}, "content_type"),
            ({"correlation_data": "x"}, "correlation_data"),
            ({"subscription_identifier": [0]}, "subscription_identifier"),
            ({"user_property": [("a",)]}, "user_property"),
            ({"user_property": [("a", 1)]}, "user_property"),
            ({"user_property": "ab"}, "user_property"),
            ({"colour": 1}, "colour"),
        ],
    )
    def test_properties_that_cannot_be_encoded(
        self, properties: dict[str, Any], named: str
    ) -> None:
        packet = PublishPacket.build("t", b"", None, False, 0, False, properties)
        with pytest.raises(ValueError, match=f"property '{named}'"):
            packet.to_bytes()

    def test_one_subscription_identifier_needs_no_list(self) -> None:
        packet = PublishPacket.build("t", b"", None, False, 0, False)
        packet.properties = {"subscription_identifier": 5}
        assert packet.to_bytes() == b"\x30\x06\x00\x01t\x02\x0b\x05"


ACKNOWLEDGEMENTS = [
    (PubackPacket, 0x40), (PubrecPacket, 0x50), (PubrelPacket, 0x62), (PubcompPacket, 0x70),
]  # fmt: skip


@pytest.mark.parametrize(("cls", "first"), ACKNOWLEDGEMENTS)
class TestAcknowledgements:
    async def test_decode(self, cls: Any, first: int) -> None:
        packet = await read_packet(cls, bytes([first, 2, 0, 10]))
        assert packet.packet_id == 10
        assert packet.variable_header.packet_id == 10
        assert packet.payload is None
        assert (packet.reason_code, packet.properties) == (None, None)

    def test_build(self, cls: Any, first: int) -> None:
        assert cls.build(10).to_bytes() == bytes([first, 2, 0, 10])
        made = cls(variable_header=PacketIdVariableHeader(10))
        assert made.to_bytes() == bytes([first, 2, 0, 10])

    def test_packet_id_can_be_set(self, cls: Any, first: int) -> None:
        packet = cls.build(1)
        packet.packet_id = 0x0102
        assert packet.to_bytes() == bytes([first, 2, 1, 2])

    def test_without_header(self, cls: Any, first: int) -> None:
        assert cls().to_bytes() == bytes([first, 0])
        with pytest.raises(ValueError, match="packet_id"):
            _ = cls().packet_id
        with pytest.raises(ValueError, match="packet_id"):
            cls().packet_id = 1

    def test_takes_no_payload(self, cls: Any, first: int) -> None:
        del first
        with pytest.raises(TypeError):
            cls(None, None, None)

    async def test_other_flags(self, cls: Any, first: int) -> None:
        packet = await read_packet(cls, bytes([first | 0x0F, 2, 0, 10]))
        assert packet.fixed_header.flags == 0x0F

    @pytest.mark.parametrize(
        ("rest", "reason_code", "properties"),
        [
            (b"", 0, {}),
            (b"\x92", 0x92, {}),
            (b"\x92\x05\x1f\x00\x02no", 0x92, {"reason_string": "no"}),
            (b"\x00\x05\x1f\x00\x02no", 0, {"reason_string": "no"}),
        ],
    )
    async def test_version_5(
        self,
        cls: Any,
        first: int,
        rest: bytes,
        reason_code: int,
        properties: dict[str, Any],
    ) -> None:
        data = bytes([first, 2 + len(rest), 0, 10]) + rest
        packet = await read_packet(cls, data, 5)
        assert packet.packet_id == 10
        assert (packet.reason_code, packet.properties) == (reason_code, properties)
        assert packet.to_bytes() == data
        assert cls.build(10, reason_code, properties).to_bytes() == data

    async def test_version_5_in_its_longest_form(self, cls: Any, first: int) -> None:
        packet = await read_packet(cls, bytes([first, 4, 0, 10, 0, 0]), 5)
        assert (packet.reason_code, packet.properties) == (0, {})

    def test_properties_alone(self, cls: Any, first: int) -> None:
        packet = cls.build(10, properties={"reason_string": "no"})
        assert packet.to_bytes() == bytes([first, 9, 0, 10, 0]) + b"\x05\x1f\x00\x02no"
