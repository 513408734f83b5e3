"""SUBACK: what the server has granted (section 3.9)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, ClassVar

from amqtt._engine.codec import read_rest
from amqtt.adapters import ReaderAdapter
from amqtt.codecs_amqtt import bytes_to_int, int_to_bytes, read_or_raise
from amqtt.errors import AMQTTError, NoDataError
from amqtt.mqtt._parts import PartField, PropertiesField
from amqtt.mqtt.packet import (
    SUBACK,
    MQTTFixedHeader,
    MQTTPacket,
    MQTTPayload,
    MQTTVariableHeader,
    PacketIdVariableHeader,
)

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = [
    "SUBACK",
    "AMQTTError",
    "MQTTFixedHeader",
    "MQTTPacket",
    "MQTTPayload",
    "MQTTVariableHeader",
    "NoDataError",
    "PacketIdVariableHeader",
    "ReaderAdapter",
    "SubackPacket",
    "SubackPayload",
    "bytes_to_int",
    "int_to_bytes",
    "read_or_raise",
]


class SubackPayload(MQTTPayload[MQTTVariableHeader]):
    """Hold return codes, or Reason Codes in MQTT 5.0, one for each topic filter.

    Args:
        return_codes: the codes.

    """

    __slots__ = ("return_codes",)

    RETURN_CODE_00: ClassVar[int] = 0x00
    RETURN_CODE_01: ClassVar[int] = 0x01
    RETURN_CODE_02: ClassVar[int] = 0x02
    RETURN_CODE_80: ClassVar[int] = 0x80

    def __init__(self, return_codes: list[int] | None = None) -> None:
        """Make a payload."""
        self.return_codes = return_codes or []

    def to_bytes(
        self,
        fixed_header: MQTTFixedHeader | None = None,
        variable_header: MQTTVariableHeader | None = None,
    ) -> bytes:
        """Encode the codes."""
        del fixed_header, variable_header
        return bytes(self.return_codes)

    @classmethod
    async def from_stream(
        cls,
        reader: asyncio.StreamReader | ReaderAdapter,
        fixed_header: MQTTFixedHeader | None,
        variable_header: MQTTVariableHeader | None,
    ) -> Self:
        """Read what the Remaining Length leaves; without a fixed header, the whole stream."""
        remaining = fixed_header.remaining_length if fixed_header is not None else None
        return cls(list(await read_rest(reader, remaining, variable_header)))

    def __repr__(self) -> str:
        """Show the codes."""
        return f"{type(self).__name__}(return_codes={self.return_codes})"


class SubackPacket(MQTTPacket[PacketIdVariableHeader, SubackPayload, MQTTFixedHeader]):
    """Hold a SUBACK.

    Args:
        fixed: fixed header; None makes one.
        variable_header: variable header.
        payload: payload.

    Raises:
        AMQTTError: the fixed header is one of another type of packet.

    """

    __slots__ = ()

    VARIABLE_HEADER = PacketIdVariableHeader
    PAYLOAD = SubackPayload
    PACKET_TYPE = SUBACK

    packet_id = PartField[int]("variable_header")
    properties = PropertiesField()

    @classmethod
    def build(
        cls,
        packet_id: int,
        return_codes: list[int],
        properties: dict[str, Any] | None = None,
    ) -> Self:
        """Make a packet of its fields.

        Args:
            packet_id: packet identifier of the SUBSCRIBE.
            return_codes: one code for each filter of it, in its order.
            properties: the properties of MQTT 5.0 by name; None in MQTT 3.

        Returns:
            The packet.

        """
        packet = cls(None, PacketIdVariableHeader(packet_id), SubackPayload(return_codes))
        packet.properties = properties
        return packet

    @classmethod
    def _from_fields(cls, fixed_header: MQTTFixedHeader, fields: list[Any]) -> Self:
        packet_id, codes, properties = fields
        header = PacketIdVariableHeader(packet_id, None, properties)
        return cls._assembled(fixed_header, header, SubackPayload(codes))
