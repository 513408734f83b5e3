"""CONNECT and CONNACK."""

from __future__ import annotations

from typing import Any

import pytest
from support.packets import read_packet

from amqtt.adapters import BufferReader
from amqtt.errors import MQTTError, NoDataError
from amqtt.mqtt import connack
from amqtt.mqtt.connack import ConnackPacket, ConnackVariableHeader
from amqtt.mqtt.connect import ConnectPacket, ConnectPayload, ConnectVariableHeader

HEADER = b"\x00\x04MQTT\x04\xce\x00\x3c"
FIELDS = [b"\x00\x03cid", b"\x00\x04will", b"\x00\x02\x00\xff", b"\x00\x04user", b"\x00\x04pass"]


def connect_of(body: bytes) -> bytes:
    return b"\x10" + bytes([len(body)]) + body


WHOLE = connect_of(HEADER + b"".join(FIELDS))

HEADER_FIELDS: dict[str, Any] = {
    "proto_name": "MQTT", "proto_level": 4, "username_flag": True, "password_flag": True,
    "clean_session_flag": True, "will_retain_flag": False, "will_qos": 1, "will_flag": True,
    "reserved_flag": False, "keep_alive": 60,
}  # fmt: skip
PAYLOAD_FIELDS: dict[str, Any] = {
    "client_id": "cid", "client_id_is_random": False, "will_topic": "will",
    "will_message": b"\x00\xff", "username": "user", "password": "pass",
}  # fmt: skip


class TestConnect:
    async def test_decode(self) -> None:
        packet = await read_packet(ConnectPacket, WHOLE)
        for part, fields in (
            (packet.variable_header, HEADER_FIELDS),
            (packet.payload, PAYLOAD_FIELDS),
        ):
            for name, value in fields.items():
                assert getattr(part, name) == value, name
                assert getattr(packet, name) == value, name

    def test_encode(self) -> None:
        header = ConnectVariableHeader(0xCE, 60, "MQTT", 4)
        payload = ConnectPayload("cid", "will", b"\x00\xff", "user", "pass")
        packet = ConnectPacket(None, header, payload)
        assert packet.to_bytes() == WHOLE
        assert packet.protocol_version == 4

    def test_defaults(self) -> None:
        header, payload = ConnectVariableHeader(), ConnectPayload()
        assert (header.proto_name, header.proto_level) == ("MQTT", 4)
        assert (header.flags, header.keep_alive) == (0, 0)
        assert not payload.client_id_is_random
        assert payload.client_id is None
        assert ConnectPacket(None, header, payload).to_bytes() == connect_of(
            b"\x00\x04MQTT\x04\x00\x00\x00"
        )

    @pytest.mark.parametrize("count", range(1, 5))
    async def test_fields_that_are_missing_are_none(self, count: int) -> None:
        packet = await read_packet(ConnectPacket, connect_of(HEADER + b"".join(FIELDS[:count])))
        names = ["client_id", "will_topic", "will_message", "username", "password"]
        assert [getattr(packet, name) is None for name in names] == [
            index >= count for index in range(5)
        ]

    async def test_stream_that_ends_early(self) -> None:
        packet = await read_packet(ConnectPacket, WHOLE[:-9])
        assert packet.will_message == b"\x00\xff"
        assert packet.username is None

    async def test_header_that_is_short(self) -> None:
        with pytest.raises(NoDataError):
            await read_packet(ConnectPacket, connect_of(HEADER[:-1]))

    @pytest.mark.parametrize("client_id", [b"", b"\x00\x00"])
    async def test_random_client_id(self, client_id: bytes) -> None:
        packet = await read_packet(ConnectPacket, connect_of(HEADER[:-3] + b"\x02\0\0" + client_id))
        assert packet.client_id_is_random
        assert packet.client_id is not None
        assert packet.client_id.startswith("amqtt/")
        assert len(packet.client_id) == 22

    async def test_flags_that_are_forbidden(self) -> None:
        body = b"\x00\x04TTQM\x09\x39\x00\x00\x00\x01c"
        packet = await read_packet(ConnectPacket, connect_of(body))
        assert (packet.proto_name, packet.proto_level) == ("TTQM", 9)
        assert (packet.reserved_flag, packet.will_qos, packet.will_retain_flag) == (True, 3, True)
        assert packet.to_bytes() == connect_of(body)

    async def test_password_that_is_not_text(self) -> None:
        body = HEADER[:-3] + b"\xc2\0\0" + FIELDS[0] + FIELDS[3]
        packet = await read_packet(ConnectPacket, connect_of(body + b"\x00\x02\xff\x00"))
        assert packet.password == b"\xff\x00"
        assert packet.to_bytes() == connect_of(body + b"\x00\x02\xff\x00")

    async def test_ill_formed_text(self) -> None:
        with pytest.raises(MQTTError, match="UTF-8"):
            await read_packet(ConnectPacket, connect_of(HEADER + b"\x00\x01\xff"))

    @pytest.mark.parametrize(
        ("name", "mask"),
        [
            ("username_flag", 0x80), ("password_flag", 0x40), ("will_retain_flag", 0x20),
            ("will_flag", 0x04), ("clean_session_flag", 0x02), ("reserved_flag", 0x01),
        ],
    )  # fmt: skip
    def test_flags(self, name: str, mask: int) -> None:
        packet = ConnectPacket(None, ConnectVariableHeader(), ConnectPayload())
        assert packet.variable_header is not None
        assert getattr(ConnectVariableHeader, name.upper(), mask) == mask
        setattr(packet, name, True)
        assert packet.variable_header.flags == mask
        assert getattr(packet, name) is True
        packet.variable_header.flags = 0xFF
        setattr(packet.variable_header, name, False)
        assert packet.variable_header.flags == 0xFF & ~mask

    def test_will_qos(self) -> None:
        header = ConnectVariableHeader(0xFF)
        header.will_qos = 1
        assert header.flags == 0xEF
        assert header.will_qos == 1
        assert ConnectVariableHeader.WILL_QOS_MASK == 0x18

    @pytest.mark.parametrize("name", [*HEADER_FIELDS, "properties"])
    def test_without_header(self, name: str) -> None:
        packet = ConnectPacket(payload=ConnectPayload())
        with pytest.raises(ValueError, match="no variable header"):
            getattr(packet, name)
        with pytest.raises(ValueError, match=name):
            setattr(packet, name, HEADER_FIELDS.get(name))

    @pytest.mark.parametrize("name", PAYLOAD_FIELDS)
    def test_without_payload(self, name: str) -> None:
        packet = ConnectPacket(variable_header=ConnectVariableHeader())
        with pytest.raises(ValueError, match="no payload"):
            getattr(packet, name)
        with pytest.raises(ValueError, match=name):
            setattr(packet, name, PAYLOAD_FIELDS[name])

    def test_fields_can_be_set(self) -> None:
        packet = ConnectPacket(None, ConnectVariableHeader(), ConnectPayload())
        for name, value in {**HEADER_FIELDS, **PAYLOAD_FIELDS}.items():
            setattr(packet, name, value)
        assert packet.to_bytes() == WHOLE

    def test_repr(self) -> None:
        payload = ConnectPayload("cid", username="user", password="secret")
        assert repr(payload).startswith("ConnectVariableHeader(client_id=cid,")
        assert "secret" not in repr(payload)
        assert "MQTT" in repr(ConnectVariableHeader())

    def test_text_that_is_too_long(self) -> None:
        payload = ConnectPayload("c" * 65536)
        with pytest.raises(ValueError, match="65,535"):
            payload.to_bytes()


class TestConnectOfVersion5:
    BODY = (
        b"\x00\x04MQTT\x05\x0e\x00\x00\x08\x11\x00\x00\x00\x0a\x21\x00\x05"
        b"\x00\x01c\x05\x18\x00\x00\x00\x07\x00\x01w\x00\x01m"
    )

    async def test_decode(self) -> None:
        packet = await read_packet(ConnectPacket, connect_of(self.BODY))
        assert packet.protocol_version == 5
        assert packet.properties == {"session_expiry_interval": 10, "receive_maximum": 5}
        assert packet.will_properties == {"will_delay_interval": 7}
        assert (packet.client_id, packet.will_topic, packet.will_message) == ("c", "w", b"m")
        assert packet.to_bytes() == connect_of(self.BODY)

    async def test_header_on_its_own(self) -> None:
        header = await ConnectVariableHeader.from_stream(BufferReader(self.BODY), None)
        assert header.properties == {"session_expiry_interval": 10, "receive_maximum": 5}

    async def test_level_of_a_bridge(self) -> None:
        data = connect_of(self.BODY.replace(b"\x05\x0e", b"\x85\x0e"))
        packet = await read_packet(ConnectPacket, data)
        assert packet.proto_level == 0x85
        assert packet.protocol_version == packet.fixed_header.protocol_version == 5
        assert packet.will_properties == {"will_delay_interval": 7}
        assert packet.to_bytes() == data

    def test_without_properties(self) -> None:
        header = ConnectVariableHeader(0x02, proto_level=5)
        packet = ConnectPacket(None, header, ConnectPayload("c"))
        assert packet.to_bytes() == connect_of(b"\x00\x04MQTT\x05\x02\x00\x00\x00\x00\x01c")

    async def test_property_of_the_will_in_the_header(self) -> None:
        body = b"\x00\x04MQTT\x05\x02\x00\x00\x05\x18\x00\x00\x00\x07\x00\x01c"
        with pytest.raises(MQTTError, match="not allowed"):
            await read_packet(ConnectPacket, connect_of(body))


class TestConnack:
    @pytest.mark.parametrize(
        ("name", "code"),
        [
            ("CONNECTION_ACCEPTED", 0), ("UNACCEPTABLE_PROTOCOL_VERSION", 1),
            ("IDENTIFIER_REJECTED", 2), ("SERVER_UNAVAILABLE", 3), ("BAD_USERNAME_PASSWORD", 4),
            ("NOT_AUTHORIZED", 5),
        ],
    )  # fmt: skip
    def test_codes(self, name: str, code: int) -> None:
        assert getattr(connack, name) == code

    async def test_decode(self) -> None:
        packet = await read_packet(ConnackPacket, b"\x20\x02\xff\x05")
        assert (packet.session_parent, packet.return_code) == (1, 5)
        assert packet.properties is None

    def test_build(self) -> None:
        assert ConnackPacket.build(1, 5).to_bytes() == b"\x20\x02\x01\x05"
        assert ConnackPacket.build().to_bytes() == b"\x20\x02\x00\x00"
        assert ConnackPacket.build().return_code is None

    def test_fields_can_be_set(self) -> None:
        packet = ConnackPacket.build()
        packet.return_code = 4
        packet.session_parent = 1
        assert packet.to_bytes() == b"\x20\x02\x01\x04"

    @pytest.mark.parametrize("name", ["return_code", "session_parent"])
    def test_without_header(self, name: str) -> None:
        with pytest.raises(ValueError, match=name):
            getattr(ConnackPacket(), name)
        with pytest.raises(ValueError, match=name):
            setattr(ConnackPacket(), name, 1)

    async def test_header_on_its_own(self) -> None:
        header = await ConnackVariableHeader.from_stream(BufferReader(b"\x01\x00"), None)
        assert header.session_parent == 1
        assert "return_code=0" in repr(header)

    async def test_version_5(self) -> None:
        data = b"\x20\x08\x01\x87\x05\x1f\x00\x02no"
        packet = await read_packet(ConnackPacket, data, 5)
        assert (packet.session_parent, packet.return_code) == (1, 0x87)
        assert packet.properties == {"reason_string": "no"}
        built = ConnackPacket.build(1, 0x87, {"reason_string": "no"})
        assert built.to_bytes() == data
        assert built.protocol_version == 5
