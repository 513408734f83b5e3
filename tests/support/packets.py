"""Reading packet objects from bytes, and the packets of wire cases."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

from amqtt.adapters import BufferReader
from amqtt.mqtt import packet_class
from amqtt.mqtt.packet import MQTTFixedHeader, MQTTPacket
from support.vectors import load_cases, parse_bytes

_P = TypeVar("_P", bound=MQTTPacket[Any, Any, Any])

VECTORS = Path(__file__).parents[1] / "conformance" / "vectors"
VERSIONS = {"3.1": 3, "3.1.1": 4, "5.0": 5}
UNIQUE = "abcd1234"


async def read_packet(cls: type[_P], data: bytes, protocol_version: int | None = None) -> _P:
    """Read a packet of a class; nothing may be left behind it."""
    reader = BufferReader(data)
    packet = await cls.from_stream(reader, protocol_version=protocol_version)
    assert await reader.read() == b""
    return packet


async def read_any_packet(data: bytes, protocol_version: int) -> MQTTPacket[Any, Any, Any]:
    """Read a packet of the class that its fixed header tells."""
    reader = BufferReader(data)
    fixed_header = await MQTTFixedHeader.from_stream(reader)
    assert fixed_header is not None
    fixed_header.protocol_version = protocol_version
    return await packet_class(fixed_header).from_stream(reader, fixed_header=fixed_header)


def fields_of(packet: MQTTPacket[Any, Any, Any]) -> dict[str, Any]:
    """Return everything that a packet holds but the time; random client ids as None."""
    found: dict[str, Any] = {}
    for part in ("fixed_header", "variable_header", "payload"):
        held = getattr(packet, part)
        names = getattr(type(held), "__slots__", ())
        found[part] = {name: getattr(held, name) for name in names}
    if found["payload"].get("client_id_is_random"):
        found["payload"]["client_id"] = None
    return found


def packets_of_vectors() -> Iterator[tuple[int, bytes]]:
    """Yield protocol version and bytes of every different packet that the wire cases have whole.

    What is sent or expected in one step may be several packets. Steps that do not begin with
    packets of plausible length are left out.
    """
    seen = set()
    for case in load_cases(VECTORS):
        for step in case.steps:
            texts = step.get("expect_set") or [step.get("send") or step.get("expect")]
            for text in texts:
                if not isinstance(text, str):
                    continue
                for data in split_packets(parse_bytes(text, UNIQUE)):
                    seen.add((VERSIONS[case.version], data))
    yield from sorted(seen)


def split_packets(data: bytes) -> Iterator[bytes]:
    """Cut bytes into packets; what is left at the end is dropped."""
    while len(data) >= 2:
        length, size = 0, 1
        while size < min(len(data), 5):
            length |= (data[size] & 0x7F) << (7 * (size - 1))
            size += 1
            if data[size - 1] < 0x80:
                break
        else:
            return
        if size + length > len(data):
            return
        yield data[: size + length]
        data = data[size + length :]
