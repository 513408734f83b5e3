"""Packets of the server as values, and properties of MQTT 5.0 in both directions."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from support.wire import string, varint

# Packet types (section 2.1.2).
CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP = 2, 3, 4, 5, 6, 7
SUBACK, UNSUBACK, PINGRESP, DISCONNECT = 9, 11, 13, 14
NAMES = {
    CONNACK: "CONNACK",
    PUBLISH: "PUBLISH",
    PUBACK: "PUBACK",
    PUBREC: "PUBREC",
    PUBREL: "PUBREL",
    PUBCOMP: "PUBCOMP",
    SUBACK: "SUBACK",
    UNSUBACK: "UNSUBACK",
    PINGRESP: "PINGRESP",
    DISCONNECT: "DISCONNECT",
}
ACK_FIRST_BYTE = {PUBACK: 0x40, PUBREC: 0x50, PUBREL: 0x62, PUBCOMP: 0x70}

# Property identifiers (section 2.2.2.2 of 5.0).
PAYLOAD_FORMAT, MESSAGE_EXPIRY, CONTENT_TYPE, RESPONSE_TOPIC = 0x01, 0x02, 0x03, 0x08
CORRELATION_DATA, SUBSCRIPTION_ID, SESSION_EXPIRY = 0x09, 0x0B, 0x11
SERVER_KEEP_ALIVE, WILL_DELAY, RECEIVE_MAXIMUM = 0x13, 0x18, 0x21
MAXIMUM_QOS, RETAIN_AVAILABLE = 0x24, 0x25
TOPIC_ALIAS_MAXIMUM, TOPIC_ALIAS, USER_PROPERTY, MAXIMUM_PACKET_SIZE = 0x22, 0x23, 0x26, 0x27

_INTEGER_SIZE = {
    PAYLOAD_FORMAT: 1,
    MESSAGE_EXPIRY: 4,
    SESSION_EXPIRY: 4,
    SERVER_KEEP_ALIVE: 2,
    WILL_DELAY: 4,
    RECEIVE_MAXIMUM: 2,
    TOPIC_ALIAS_MAXIMUM: 2,
    TOPIC_ALIAS: 2,
    MAXIMUM_QOS: 1,
    RETAIN_AVAILABLE: 1,
    MAXIMUM_PACKET_SIZE: 4,
}
_TEXT = {CONTENT_TYPE, RESPONSE_TOPIC, CORRELATION_DATA}

Value = int | str | tuple[str, str]
Properties = tuple[tuple[int, Value], ...]


def encode_properties(properties: Properties) -> bytes:
    """Return the properties in their order, without their length."""
    out = bytearray()
    for ident, value in properties:
        out.append(ident)
        if isinstance(value, tuple):
            out += string(value[0]) + string(value[1])
        elif isinstance(value, str):
            out += string(value)
        elif ident == SUBSCRIPTION_ID:
            out += varint(value)
        else:
            out += value.to_bytes(_INTEGER_SIZE[ident], "big")
    return bytes(out)


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def take(self, count: int) -> bytes:
        piece = self.data[self.at : self.at + count]
        if len(piece) < count:
            msg = f"truncated packet {self.data.hex(' ')}"
            raise ValueError(msg)
        self.at += count
        return piece

    def integer(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def varint(self) -> int:
        value = shift = 0
        while True:
            byte = self.integer(1)
            value |= (byte & 0x7F) << shift
            if not byte & 0x80:
                return value
            shift += 7

    def text(self) -> str:
        return self.take(self.integer(2)).decode()

    def rest(self) -> bytes:
        return self.take(len(self.data) - self.at)

    def properties(self) -> Properties:
        inner = _Reader(self.take(self.varint()))
        found: list[tuple[int, Value]] = []
        while inner.at < len(inner.data):
            ident = inner.integer(1)
            if ident == USER_PROPERTY:
                found.append((ident, (inner.text(), inner.text())))
            elif ident == SUBSCRIPTION_ID:
                found.append((ident, inner.varint()))
            elif ident in _TEXT:
                found.append((ident, inner.text()))
            elif ident in _INTEGER_SIZE:
                found.append((ident, inner.integer(_INTEGER_SIZE[ident])))
            else:
                msg = f"property {ident:#04x}, which nothing here leads to"
                raise ValueError(msg)
        return tuple(found)


@dataclass(frozen=True)
class Packet:
    """A control packet from the server. ``codes`` are its return or reason codes."""

    kind: int
    packet_id: int = 0
    codes: tuple[int, ...] = ()
    properties: Properties = ()
    session_present: bool = False
    topic: str = ""
    payload: bytes = b""
    qos: int = 0
    retain: bool = False
    dup: bool = False
    size: int = field(default=0, compare=False)  # on the wire

    def __str__(self) -> str:
        """Return the packet with what differs from the defaults."""
        shown = [NAMES.get(self.kind, f"type {self.kind}")]
        for name in ("packet_id", "topic", "payload", "qos", "retain", "dup", "session_present"):
            if getattr(self, name):
                shown.append(f"{name}={getattr(self, name)!r}")
        if self.codes:
            shown.append("codes=" + ",".join(f"{code:#04x}" for code in self.codes))
        if self.properties:
            shown.append(f"properties={self.properties}")
        return " ".join(shown)


def _decode(first: int, body: bytes, version: int, size: int) -> Packet:
    kind, flags = first >> 4, first & 0x0F
    reader = _Reader(body)
    v5 = version == 5
    if kind == PUBLISH:
        topic = reader.text()
        qos = flags >> 1 & 3
        ident = reader.integer(2) if qos else 0
        properties = reader.properties() if v5 else ()
        return Packet(
            kind, ident, (), properties, False, topic, reader.rest(), qos,
            bool(flags & 1), bool(flags & 8), size,
        )  # fmt: skip
    if flags != (2 if kind == PUBREL else 0):
        msg = f"reserved flags {flags:#x} of {NAMES.get(kind, kind)}"
        raise ValueError(msg)
    if kind == CONNACK:
        present, answer = reader.take(2)
        return Packet(
            kind, codes=(answer,), session_present=bool(present),
            properties=reader.properties() if v5 else (), size=size,
        )  # fmt: skip
    if kind in (SUBACK, UNSUBACK):
        ident = reader.integer(2)
        properties = reader.properties() if v5 else ()
        return Packet(kind, ident, tuple(reader.rest()), properties, size=size)
    if kind in ACK_FIRST_BYTE:
        ident = reader.integer(2)
        code = (reader.rest() or b"\x00") if v5 else b"\x00"
        return Packet(kind, ident, (code[0],), size=size)
    if kind == DISCONNECT and v5:
        return Packet(kind, codes=((reader.rest() or b"\x00")[0],), size=size)
    if kind == PINGRESP and not body:
        return Packet(kind, size=size)
    msg = f"a server must not send {bytes([first]).hex()} {body.hex(' ')} to version {version}"
    raise ValueError(msg)


def split(data: bytes) -> Iterator[bytes]:
    """Cut a stream into packets; raise ValueError when it is not a row of whole ones."""
    reader = _Reader(data)
    while reader.at < len(data):
        start = reader.at
        reader.take(1)
        reader.take(reader.varint())
        yield data[start : reader.at]


def decode_stream(data: bytes, version: int) -> list[Packet]:
    """Return the packets of ``data``, which must be whole; raise ValueError for wrong ones."""
    packets = []
    for whole in split(data):
        reader = _Reader(whole)
        first = reader.integer(1)
        reader.varint()
        packets.append(_decode(first, reader.rest(), version, len(whole)))
    return packets
