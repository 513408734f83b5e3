"""PINGREQ, PINGRESP, DISCONNECT and AUTH."""

from __future__ import annotations

from typing import Any

import pytest
from support.packets import read_packet

from amqtt.mqtt._headers import ReasonCodeVariableHeader
from amqtt.mqtt.auth import AuthPacket
from amqtt.mqtt.disconnect import DisconnectPacket
from amqtt.mqtt.packet import MQTTFixedHeader
from amqtt.mqtt.pingreq import PingReqPacket
from amqtt.mqtt.pingresp import PingRespPacket

BARE = [
    (PingReqPacket, b"\xc0\x00"),
    (PingRespPacket, b"\xd0\x00"),
    (DisconnectPacket, b"\xe0\x00"),
]
REASONED = [(DisconnectPacket, 0xE0), (AuthPacket, 0xF0)]


@pytest.mark.parametrize(("cls", "data"), BARE)
class TestBarePackets:
    def test_encode(self, cls: Any, data: bytes) -> None:
        assert cls().to_bytes() == data
        assert cls(MQTTFixedHeader(data[0] >> 4)).to_bytes() == data
        assert cls().bytes_length == 2

    async def test_decode(self, cls: Any, data: bytes) -> None:
        packet = await read_packet(cls, data)
        assert packet.variable_header is None
        assert packet.payload is None

    async def test_a_body_is_skipped(self, cls: Any, data: bytes) -> None:
        packet = await read_packet(cls, data[:1] + b"\x02xy")
        assert packet.fixed_header.remaining_length == 2


def test_build_of_pingresp() -> None:
    assert PingRespPacket.build().to_bytes() == b"\xd0\x00"


@pytest.mark.parametrize(("cls", "first"), REASONED)
class TestReasons:
    @pytest.mark.parametrize(
        ("rest", "reason_code", "properties"),
        [
            (b"", 0, {}),
            (b"\x18", 0x18, {}),
            (b"\x18\x07\x26\x00\x01k\x00\x01v", 0x18, {"user_property": [("k", "v")]}),
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
        data = bytes([first, len(rest)]) + rest
        packet = await read_packet(cls, data, 5)
        assert (packet.reason_code, packet.properties) == (reason_code, properties)
        assert packet.to_bytes() == data
        built = cls.build(reason_code, properties)
        assert built.to_bytes() == data
        assert built.protocol_version == 5

    def test_fields_can_be_set(self, cls: Any, first: int) -> None:
        packet = cls(variable_header=ReasonCodeVariableHeader())
        packet.reason_code = 4
        assert packet.to_bytes() == bytes([first, 1, 4])
        assert "reason_code=4" in repr(packet.variable_header)

    def test_without_header(self, cls: Any, first: int) -> None:
        del first
        with pytest.raises(ValueError, match="reason_code"):
            _ = cls().reason_code
