"""Wire data of packets: the codec of the engine, applied to streams.

A layout names the fields of a run by their data types: `B` and `H` are integers of one and two
bytes, `v` a Variable Byte Integer, `s` a UTF-8 Encoded String, `b` Binary Data, and `p` properties,
as bytes that begin with their length. `*` at the end repeats the layout until the data ends.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Protocol

from amqtt._core import (
    decode_packet,
    decode_properties,
    encode_properties,
    read_fields,
    write_fields,
)
from amqtt.errors import NoDataError

if TYPE_CHECKING:
    from amqtt.adapters import ReaderAdapter

__all__ = [
    "PROTOCOL_3_1",
    "PROTOCOL_3_1_1",
    "PROTOCOL_5_0",
    "WireHeader",
    "decode_packet",
    "decode_properties",
    "encode_properties",
    "read_available",
    "read_layout",
    "read_layout_from",
    "read_or_raise",
    "read_rest",
    "write_fields",
]

PROTOCOL_3_1 = 3
PROTOCOL_3_1_1 = 4
PROTOCOL_5_0 = 5

# How much is asked for at once where a peer has only announced that much.
_CHUNK = 65536

_END_OF_STREAM = (ConnectionResetError, BrokenPipeError)


class WireHeader(Protocol):
    """The part of a header that tells how much a payload may take."""

    @property
    def bytes_length(self) -> int:
        """The length of the header on the wire."""


async def read_available(reader: ReaderAdapter | asyncio.StreamReader, n: int) -> bytes:
    """Read up to a number of bytes.

    Args:
        reader: where to read from.
        n: how many bytes to read; negative means all until the stream ends.

    Returns:
        The bytes; fewer than `n` only when the stream has ended.

    """
    data = bytearray()
    while n < 0 or len(data) < n:
        try:
            chunk = await reader.read(-1 if n < 0 else min(n - len(data), _CHUNK))
        except asyncio.IncompleteReadError as error:
            data += error.partial
            break
        except _END_OF_STREAM:
            break
        if not chunk:
            break
        data += chunk
    return bytes(data)


async def read_or_raise(reader: ReaderAdapter | asyncio.StreamReader, n: int = -1) -> bytes:
    """Read exactly a number of bytes.

    Args:
        reader: where to read from.
        n: how many bytes to read; negative means all until the stream ends.

    Returns:
        The bytes.

    Raises:
        NoDataError: the stream ended before that, or is reset.

    """
    data = await read_available(reader, n)
    if len(data) < n or (n < 0 and not data):
        msg = "No more data"
        raise NoDataError(msg)
    return data


async def read_layout(reader: ReaderAdapter | asyncio.StreamReader, layout: str) -> tuple[Any, ...]:
    """Read fields, and nothing behind them, from a stream.

    Args:
        reader: where to read from.
        layout: the types of the fields, without `*`.

    Returns:
        The values.

    Raises:
        NoDataError: the stream ended before the last field.
        MQTTError: a field is malformed.

    """
    data = b""
    while isinstance(fields := read_fields(layout, data), int):
        data += await read_or_raise(reader, fields)
    return fields


def read_layout_from(data: bytes, layout: str) -> tuple[Any, ...]:
    """Read fields from bytes.

    Args:
        data: the bytes.
        layout: the types of the fields.

    Returns:
        The values.

    Raises:
        NoDataError: the bytes end inside a field.
        MQTTError: a field is malformed.

    """
    fields = read_fields(layout, data)
    if isinstance(fields, int):
        msg = f"{fields} bytes or more are missing at the end of the packet"
        raise NoDataError(msg)
    return fields


async def read_rest(
    reader: ReaderAdapter | asyncio.StreamReader,
    remaining_length: int | None,
    variable_header: WireHeader | None,
) -> bytes:
    """Read the payload of a packet.

    Args:
        reader: where to read from, behind the variable header.
        remaining_length: the Remaining Length; None means that the payload ends with the stream.
        variable_header: the variable header, if the packet has one.

    Returns:
        The payload.

    Raises:
        NoDataError: the stream ended before the payload.

    """
    if remaining_length is None:
        return await read_available(reader, -1)
    header_length = variable_header.bytes_length if variable_header is not None else 0
    return await read_or_raise(reader, max(remaining_length - header_length, 0))
