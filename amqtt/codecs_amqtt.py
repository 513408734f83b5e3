"""Encode and decode the data types of MQTT (section 1.5).

Integers are big endian. Readers are adapters (`amqtt.adapters`) or `asyncio.StreamReader`.
"""

from __future__ import annotations

import asyncio
import struct
from typing import cast

from amqtt._engine.codec import read_layout, read_or_raise, write_fields
from amqtt.adapters import ReaderAdapter
from amqtt.errors import NoDataError, ZeroLengthReadError

__all__ = [
    "NoDataError",
    "ReaderAdapter",
    "ZeroLengthReadError",
    "bytes_to_hex_str",
    "bytes_to_int",
    "decode_data_with_length",
    "decode_packet_id",
    "decode_string",
    "encode_data_with_length",
    "encode_string",
    "float_to_bytes_str",
    "int_to_bytes",
    "int_to_bytes_str",
    "read_or_raise",
]

_INTEGER_FORMATS = {1: "!B", 2: "!H"}


def bytes_to_hex_str(data: bytes | bytearray) -> str:
    """Write bytes in hexadecimal.

    Args:
        data: the bytes.

    Returns:
        `0x` and two digits for each byte.

    """
    return "0x" + data.hex()


def bytes_to_int(data: bytes | int) -> int:
    """Make an integer of its bytes.

    Args:
        data: the bytes; an integer is returned as it is.

    Returns:
        The integer.

    """
    return data if isinstance(data, int) else int.from_bytes(data, byteorder="big")


def int_to_bytes(int_value: int, length: int) -> bytes:
    """Encode an integer.

    Args:
        int_value: the integer.
        length: how many bytes it takes, 1 or 2.

    Returns:
        The bytes.

    Raises:
        ValueError: the length is neither 1 nor 2.
        struct.error: the integer has no place in so many bytes.

    """
    if length not in _INTEGER_FORMATS:
        msg = f"an integer of MQTT packets takes 1 or 2 bytes, not {length}"
        raise ValueError(msg)
    return struct.pack(_INTEGER_FORMATS[length], int_value)


async def decode_string(reader: ReaderAdapter | asyncio.StreamReader) -> str:
    """Read a UTF-8 Encoded String (section 1.5.3, in MQTT 5.0 section 1.5.4).

    Args:
        reader: where to read from.

    Returns:
        The text.

    Raises:
        NoDataError: the stream ended before the text did.
        MQTTError: the text is not UTF-8 or has a null character (MQTT-1.5.3-1, -2).

    """
    return cast("str", (await read_layout(reader, "s"))[0])


async def decode_data_with_length(reader: ReaderAdapter | asyncio.StreamReader) -> bytes:
    """Read Binary Data: two bytes of length, then that many bytes.

    Args:
        reader: where to read from.

    Returns:
        The data, without the length.

    Raises:
        NoDataError: the stream ended before the data did.

    """
    return cast("bytes", (await read_layout(reader, "b"))[0])


def encode_string(string: str) -> bytes:
    """Encode a UTF-8 Encoded String.

    Args:
        string: the text.

    Returns:
        Two bytes of length and the text in UTF-8.

    Raises:
        ValueError: the text is longer than 65,535 bytes, or has a null character or a surrogate.

    """
    return write_fields("s", string)


def encode_data_with_length(data: bytes | bytearray) -> bytes:
    """Encode Binary Data.

    Args:
        data: the data.

    Returns:
        Two bytes of length and the data.

    Raises:
        ValueError: the data is longer than 65,535 bytes.

    """
    return write_fields("b", data)


async def decode_packet_id(reader: ReaderAdapter | asyncio.StreamReader) -> int:
    """Read a packet identifier.

    Args:
        reader: where to read from.

    Returns:
        The identifier.

    Raises:
        NoDataError: the stream ended before the identifier did.

    """
    return cast("int", (await read_layout(reader, "H"))[0])


def int_to_bytes_str(value: int) -> bytes:
    """Write an integer in decimal.

    Args:
        value: the integer.

    Returns:
        Its digits, as in the payload of a `$SYS` message.

    """
    return str(value).encode("ascii")


def float_to_bytes_str(value: float, places: int = 3) -> bytes:
    """Write a number with a fixed number of decimals; halves are rounded up.

    Args:
        value: the number.
        places: how many decimals.

    Returns:
        Its digits, as in the payload of a `$SYS` message.

    """
    # By way of repr, so that the decimals that a person reads are the ones that are rounded.
    from decimal import ROUND_HALF_UP, Decimal  # seldom needed

    rounded = Decimal(repr(value)).quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_UP)
    return f"{rounded:f}".encode("ascii")
