"""CONNACK: the server accepts or refuses a connection (section 3.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from amqtt._engine.codec import PROTOCOL_5_0, encode_properties, read_layout, write_fields
from amqtt.adapters import ReaderAdapter
from amqtt.codecs_amqtt import bytes_to_int, read_or_raise
from amqtt.errors import AMQTTError
from amqtt.mqtt._headers import read_properties, version_5_repr
from amqtt.mqtt._parts import PartField, PropertiesField
from amqtt.mqtt.packet import (
    CONNACK,
    MQTTFixedHeader,
    MQTTPacket,
    MQTTPayload,
    MQTTVariableHeader,
)

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = [
    "BAD_USERNAME_PASSWORD",
    "CONNACK",
    "CONNECTION_ACCEPTED",
    "IDENTIFIER_REJECTED",
    "NOT_AUTHORIZED",
    "SERVER_UNAVAILABLE",
    "UNACCEPTABLE_PROTOCOL_VERSION",
    "AMQTTError",
    "ConnackPacket",
    "ConnackVariableHeader",
    "MQTTFixedHeader",
    "MQTTPacket",
    "MQTTPayload",
    "MQTTVariableHeader",
    "ReaderAdapter",
    "bytes_to_int",
    "read_or_raise",
]

# Return codes of MQTT 3 (section 3.2.2.3). MQTT 5.0 has Reason Codes instead.
CONNECTION_ACCEPTED = 0
UNACCEPTABLE_PROTOCOL_VERSION = 1
IDENTIFIER_REJECTED = 2
SERVER_UNAVAILABLE = 3
BAD_USERNAME_PASSWORD = 4
NOT_AUTHORIZED = 5

_SESSION_PRESENT = 0x01


class ConnackVariableHeader(MQTTVariableHeader):
    """Hold what a CONNACK says.

    Args:
        session_parent: 1 when the session is resumed (Session Present), else 0.
        return_code: return code, or Reason Code in MQTT 5.0.
        properties: the properties of MQTT 5.0 by name; None in MQTT 3.

    """

    __slots__ = ("properties", "return_code", "session_parent")

    def __init__(
        self,
        session_parent: int | None = None,
        return_code: int | None = None,
        properties: dict[str, Any] | None = None,
    ) -> None:
        """Make a header."""
        self.session_parent = session_parent
        self.return_code = return_code
        self.properties = properties

    @classmethod
    async def from_stream(
        cls, reader: ReaderAdapter, fixed_header: MQTTFixedHeader | None = None
    ) -> Self:
        """Read a header; without a fixed header, one of MQTT 3."""
        flags, code = await read_layout(reader, "BB")
        properties = None
        if fixed_header is not None and fixed_header.protocol_version == PROTOCOL_5_0:
            properties = read_properties(fixed_header, (await read_layout(reader, "p"))[0])
        return cls(flags & _SESSION_PRESENT, code, properties)

    def to_bytes(self) -> bytes:
        """Encode the header; None stands for 0."""
        encoded = write_fields("BB", int(self.session_parent or 0), self.return_code or 0)
        if self.properties is not None:
            encoded += encode_properties(self.properties)
        return encoded

    def __repr__(self) -> str:
        """Show the fields."""
        return (
            f"{type(self).__name__}(session_parent={self.session_parent}, "
            f"return_code={self.return_code}{version_5_repr(self)})"
        )


class ConnackPacket(
    MQTTPacket[ConnackVariableHeader, "MQTTPayload[MQTTVariableHeader]", MQTTFixedHeader]
):
    """Hold a CONNACK; the attributes of the header are also attributes of the packet.

    Args:
        fixed: fixed header; None makes one.
        variable_header: variable header.
        payload: None; the packet has no payload.

    Raises:
        AMQTTError: the fixed header is one of another type of packet.

    """

    __slots__ = ()

    VARIABLE_HEADER = ConnackVariableHeader
    PAYLOAD = None
    PACKET_TYPE = CONNACK

    return_code = PartField["int | None"]("variable_header")
    session_parent = PartField["int | None"]("variable_header")
    properties = PropertiesField()

    @classmethod
    def build(
        cls,
        session_parent: int | None = None,
        return_code: int | None = None,
        properties: dict[str, Any] | None = None,
    ) -> Self:
        """Make a packet of its fields.

        Args:
            session_parent: 1 when the session is resumed, else 0.
            return_code: return code, or Reason Code in MQTT 5.0.
            properties: the properties of MQTT 5.0 by name; None in MQTT 3.

        Returns:
            The packet.

        """
        packet = cls(variable_header=ConnackVariableHeader(session_parent, return_code))
        packet.properties = properties
        return packet

    @classmethod
    def _from_fields(cls, fixed_header: MQTTFixedHeader, fields: list[Any]) -> Self:
        session_present, code, properties = fields
        header = ConnackVariableHeader(int(session_present), code, properties)
        return cls._assembled(fixed_header, header, None)
