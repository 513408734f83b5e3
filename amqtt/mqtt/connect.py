"""CONNECT: the client asks for a connection (section 3.1)."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any, ClassVar

from amqtt._engine.codec import (
    PROTOCOL_3_1,
    PROTOCOL_3_1_1,
    PROTOCOL_5_0,
    encode_properties,
    read_layout,
    write_fields,
)
from amqtt.adapters import ReaderAdapter
from amqtt.codecs_amqtt import (
    bytes_to_int,
    decode_data_with_length,
    decode_string,
    encode_data_with_length,
    encode_string,
    int_to_bytes,
    read_or_raise,
)
from amqtt.errors import AMQTTError, NoDataError
from amqtt.logs import printable
from amqtt.mqtt._headers import hidden, read_properties, version_5_repr
from amqtt.mqtt._parts import Flag, PartField, PropertiesField
from amqtt.mqtt.packet import (
    CONNECT,
    MQTTFixedHeader,
    MQTTPacket,
    MQTTPayload,
    MQTTVariableHeader,
)
from amqtt.utils import gen_client_id

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = [
    "CONNECT",
    "AMQTTError",
    "ConnectPacket",
    "ConnectPayload",
    "ConnectVariableHeader",
    "MQTTFixedHeader",
    "MQTTPacket",
    "MQTTPayload",
    "MQTTVariableHeader",
    "NoDataError",
    "ReaderAdapter",
    "bytes_to_int",
    "decode_data_with_length",
    "decode_string",
    "encode_data_with_length",
    "encode_string",
    "gen_client_id",
    "int_to_bytes",
    "read_or_raise",
]

_WILL_QOS_SHIFT = 3
_VERSIONS = (PROTOCOL_3_1, PROTOCOL_3_1_1, PROTOCOL_5_0)

# Bridges of mosquitto and others set this bit of the protocol level.
_BRIDGE_BIT = 0x80


class ConnectVariableHeader(MQTTVariableHeader):
    """Hold protocol, flags and keep alive of a CONNECT (section 3.1.2).

    Args:
        connect_flags: the flags byte.
        keep_alive: seconds; 0 turns keep alive off.
        proto_name: `MQTT`, or `MQIsdp` in MQTT 3.1.
        proto_level: 3, 4 (MQTT 3.1.1) or 5.
        properties: the properties of MQTT 5.0 by name; encoded at level 5 only.

    """

    __slots__ = ("flags", "keep_alive", "properties", "proto_level", "proto_name")

    USERNAME_FLAG: ClassVar[int] = 0x80
    PASSWORD_FLAG: ClassVar[int] = 0x40
    WILL_RETAIN_FLAG: ClassVar[int] = 0x20
    WILL_FLAG: ClassVar[int] = 0x04
    WILL_QOS_MASK: ClassVar[int] = 0x18
    CLEAN_SESSION_FLAG: ClassVar[int] = 0x02
    RESERVED_FLAG: ClassVar[int] = 0x01

    username_flag = Flag(USERNAME_FLAG)
    password_flag = Flag(PASSWORD_FLAG)
    will_retain_flag = Flag(WILL_RETAIN_FLAG)
    will_flag = Flag(WILL_FLAG)
    clean_session_flag = Flag(CLEAN_SESSION_FLAG)
    reserved_flag = Flag(RESERVED_FLAG)

    def __init__(
        self,
        connect_flags: int = 0,
        keep_alive: int = 0,
        proto_name: str = "MQTT",
        proto_level: int = PROTOCOL_3_1_1,
        properties: dict[str, Any] | None = None,
    ) -> None:
        """Make a header."""
        self.proto_name = proto_name
        self.proto_level = proto_level
        self.flags = connect_flags
        self.keep_alive = keep_alive
        self.properties = properties

    @property
    def protocol_version(self) -> int:
        """The protocol level without the bit that bridges set in it."""
        return self.proto_level & ~_BRIDGE_BIT

    @property
    def will_qos(self) -> int:
        """The QoS of the will."""
        return (self.flags & self.WILL_QOS_MASK) >> _WILL_QOS_SHIFT

    @will_qos.setter
    def will_qos(self, value: int) -> None:
        bits = (value << _WILL_QOS_SHIFT) & self.WILL_QOS_MASK
        self.flags = (self.flags & ~self.WILL_QOS_MASK) | bits

    @classmethod
    async def from_stream(
        cls, reader: ReaderAdapter, fixed_header: MQTTFixedHeader | None = None
    ) -> Self:
        """Read a header; its protocol level tells whether it has properties."""
        fixed_header = fixed_header or MQTTFixedHeader(CONNECT)
        name, level, flags, keep_alive = await read_layout(reader, "sBBH")
        version = level & ~_BRIDGE_BIT
        if version in _VERSIONS:
            fixed_header.protocol_version = version
        properties = None
        if version == PROTOCOL_5_0:
            properties = read_properties(fixed_header, (await read_layout(reader, "p"))[0])
        return cls(flags, keep_alive, name, level, properties)

    def to_bytes(self) -> bytes:
        """Encode the header."""
        encoded = write_fields(
            "sBBH", self.proto_name, self.proto_level, self.flags, self.keep_alive
        )
        if self.protocol_version == PROTOCOL_5_0:
            encoded += encode_properties(self.properties or {})
        return encoded

    def __repr__(self) -> str:
        """Show protocol, flags and keep alive."""
        return (
            f"{type(self).__name__}(proto_name={self.proto_name}, "
            f"proto_level={self.proto_level}, flags={self.flags:#04x}, "
            f"keepalive={self.keep_alive}{version_5_repr(self)})"
        )


class ConnectPayload(MQTTPayload[ConnectVariableHeader]):
    """Hold client identifier, will and credentials of a CONNECT (section 3.1.3).

    A field is encoded when the flags of the variable header say so and it is not None.

    Args:
        client_id: client identifier.
        will_topic: topic of the will.
        will_message: payload of the will.
        username: user name.
        password: password; bytes when it is not UTF-8.
        will_properties: the properties of the will in MQTT 5.0 by name.

    """

    __slots__ = (
        "client_id",
        "client_id_is_random",
        "password",
        "username",
        "will_message",
        "will_properties",
        "will_topic",
    )

    def __init__(
        self,
        client_id: str | None = None,
        will_topic: str | None = None,
        will_message: bytes | bytearray | None = None,
        username: str | None = None,
        password: str | bytes | None = None,
        will_properties: dict[str, Any] | None = None,
    ) -> None:
        """Make a payload."""
        self.client_id_is_random = False
        self.client_id = client_id
        self.will_topic = will_topic
        self.will_message = will_message
        self.username = username
        self.password = password
        self.will_properties = will_properties

    @classmethod
    async def from_stream(
        cls,
        reader: asyncio.StreamReader | ReaderAdapter,
        fixed_header: MQTTFixedHeader | None,
        variable_header: ConnectVariableHeader | None,
    ) -> Self:
        """Read a payload; what the stream is too short for stays None.

        Without a client identifier a random one is made, and `client_id_is_random` is True.
        """
        payload = cls()
        # The engine refuses packets that are too short; here they can be looked at.
        with suppress(NoDataError):
            await payload._read(reader, fixed_header, variable_header)
        payload._need_client_id()
        return payload

    async def _read(
        self,
        reader: asyncio.StreamReader | ReaderAdapter,
        fixed_header: MQTTFixedHeader | None,
        header: ConnectVariableHeader | None,
    ) -> None:
        self.client_id = await decode_string(reader)
        if header is None:
            return
        if header.will_flag:
            if header.protocol_version == PROTOCOL_5_0:
                encoded = (await read_layout(reader, "p"))[0]
                self.will_properties = read_properties(
                    fixed_header or MQTTFixedHeader(CONNECT), encoded, of_will=True
                )
            self.will_topic = await decode_string(reader)
            self.will_message = await decode_data_with_length(reader)
        if header.username_flag:
            self.username = await decode_string(reader)
        if header.password_flag:
            self.password = _password(await decode_data_with_length(reader))

    def _need_client_id(self) -> None:
        if not self.client_id:
            self.client_id = gen_client_id()
            self.client_id_is_random = True

    def to_bytes(
        self,
        fixed_header: MQTTFixedHeader | None = None,
        variable_header: ConnectVariableHeader | None = None,
    ) -> bytes:
        """Encode the payload; without a variable header only the client identifier."""
        del fixed_header
        encoded = bytearray()
        if self.client_id is not None:
            encoded += encode_string(self.client_id)
        if variable_header is None:
            return bytes(encoded)
        if variable_header.will_flag:
            encoded += self._will_to_bytes(variable_header.protocol_version)
        if variable_header.username_flag and self.username is not None:
            encoded += encode_string(self.username)
        if variable_header.password_flag and self.password is not None:
            is_text = isinstance(self.password, str)
            encoded += write_fields("s" if is_text else "b", self.password)
        return bytes(encoded)

    def _will_to_bytes(self, protocol_version: int) -> bytes:
        encoded = b""
        if protocol_version == PROTOCOL_5_0:
            encoded += encode_properties(self.will_properties or {})
        if self.will_topic is not None:
            encoded += encode_string(self.will_topic)
        if self.will_message is not None:
            encoded += encode_data_with_length(self.will_message)
        return encoded

    def __repr__(self) -> str:
        """Show the fields, but neither the password nor the message of the will.

        The text begins with the name of the variable header's class: log readers expect it.
        """
        return (
            f"ConnectVariableHeader(client_id={printable(self.client_id)}, "
            f"will_topic={printable(self.will_topic)}, "
            f"will_message={hidden(self.will_message)}, username={printable(self.username)}, "
            f"password={hidden(self.password)})"
        )


def _password(data: bytes) -> str | bytes:
    """Return a password as text when it is UTF-8; the standard lets it be any bytes."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data


class ConnectPacket(MQTTPacket[ConnectVariableHeader, ConnectPayload, MQTTFixedHeader]):
    """Hold a CONNECT; the attributes of header and payload are also attributes of the packet.

    Args:
        fixed: fixed header; None makes one.
        variable_header: variable header.
        payload: payload.

    Raises:
        AMQTTError: the fixed header is one of another type of packet.

    """

    __slots__ = ()

    VARIABLE_HEADER = ConnectVariableHeader
    PAYLOAD = ConnectPayload
    PACKET_TYPE = CONNECT

    proto_name = PartField[str]("variable_header")
    proto_level = PartField[int]("variable_header")
    username_flag = PartField[bool]("variable_header")
    password_flag = PartField[bool]("variable_header")
    clean_session_flag = PartField[bool]("variable_header")
    will_retain_flag = PartField[bool]("variable_header")
    will_qos = PartField[int]("variable_header")
    will_flag = PartField[bool]("variable_header")
    reserved_flag = PartField[bool]("variable_header")
    keep_alive = PartField[int]("variable_header")
    properties = PropertiesField()
    client_id = PartField["str | None"]("payload")
    client_id_is_random = PartField[bool]("payload")
    will_topic = PartField["str | None"]("payload")
    will_message = PartField["bytes | bytearray | None"]("payload")
    will_properties = PartField["dict[str, Any] | None"]("payload")
    username = PartField["str | None"]("payload")
    password = PartField["str | bytes | None"]("payload")

    @property
    def protocol_version(self) -> int:
        """The version of MQTT that the packet asks for."""
        if self.variable_header is None:
            return self.fixed_header.protocol_version
        return self.variable_header.protocol_version

    @classmethod
    def _from_fields(cls, fixed_header: MQTTFixedHeader, fields: list[Any]) -> Self:
        level, flags, keep_alive, client_id, will, username, password, properties = fields
        name = "MQTT" if level >= PROTOCOL_3_1_1 else "MQIsdp"
        header = ConnectVariableHeader(flags, keep_alive, name, level, properties)
        payload = ConnectPayload(client_id, username=username)
        if will is not None:
            payload.will_topic, payload.will_message, payload.will_properties = will
        if password is not None:
            payload.password = _password(password)
        payload._need_client_id()
        fixed_header.protocol_version = level
        return cls._assembled(fixed_header, header, payload)
