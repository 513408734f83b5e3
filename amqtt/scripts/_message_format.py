"""How `amqtt_sub` prints a message: the option `-F FORMAT`, in the manner of mosquitto_sub."""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from amqtt.session import ApplicationMessage

__all__ = ["FormatError", "MessageFormat"]


class FormatError(ValueError):
    """A format that cannot be understood; the text says where."""


_ESCAPES = {
    "0": b"\0", "a": b"\a", "e": b"\x1b", "n": b"\n", "r": b"\r", "t": b"\t", "v": b"\v",
    "\\": b"\\",
}  # fmt: skip

# A conversion: flag, width and precision as printf has them, and the letter.
_CONVERSION = re.compile(r"%(?P<flag>[-0]?)(?P<width>\d*)(?:\.(?P<precision>\d+))?(?P<letter>.)")


@dataclass(frozen=True)
class _Event:
    """A message and the time at which it is printed, in seconds of the epoch."""

    message: ApplicationMessage
    time: float

    @property
    def local(self) -> datetime:
        return datetime.fromtimestamp(self.time).astimezone()

    def property(self, name: str) -> Any:
        return (self.message.properties or {}).get(name)


def _text(value: Any) -> bytes:
    if value is None:
        return b""
    return bytes(value) if isinstance(value, bytes | bytearray) else str(value).encode()


def _property(name: str) -> Callable[[_Event], bytes]:
    return lambda event: _text(event.property(name))


def _subscription_identifiers(event: _Event) -> bytes:
    return " ".join(map(str, event.property("subscription_identifier") or ())).encode()


def _user_properties(event: _Event) -> bytes:
    pairs = event.property("user_property") or ()
    return " ".join(f"{key}:{value}" for key, value in pairs).encode()


_CONVERSIONS: dict[str, Callable[[_Event], bytes]] = {
    "A": _property("topic_alias"),
    "C": _property("content_type"),
    "D": _property("correlation_data"),
    "E": _property("message_expiry_interval"),
    "F": _property("payload_format_indicator"),
    "I": lambda event: event.local.strftime("%Y-%m-%dT%H:%M:%S%z").encode(),
    "J": lambda event: as_json(event, embedded=True),
    "P": _user_properties,
    "R": _property("response_topic"),
    "S": _subscription_identifiers,
    "U": lambda event: f"{event.time:.9f}".encode(),
    "X": lambda event: bytes(event.message.data).hex().upper().encode(),
    "j": lambda event: as_json(event, embedded=False),
    "l": lambda event: _text(len(event.message.data)),
    "m": lambda event: _text(event.message.packet_id or 0),
    "p": lambda event: bytes(event.message.data),
    "q": lambda event: _text(event.message.qos),
    "r": lambda event: _text(int(bool(event.message.retain))),
    "t": lambda event: event.message.topic.encode(),
    "u": lambda event: _text(int(event.time)),
    "x": lambda event: bytes(event.message.data).hex().encode(),
}
_NUMBERS = "AEFSlmqruU"


def as_json(event: _Event, *, embedded: bool) -> bytes:
    """Put everything that is known of a message into a line of JSON.

    Args:
        event: the message and its time.
        embedded: the payload is JSON itself; one that is not becomes a text, as it does without
            this.

    Returns:
        The line, without a newline.

    """
    message = event.message
    found: dict[str, Any] = {
        "tst": event.local.isoformat(timespec="microseconds"),
        "topic": message.topic,
        "qos": message.qos,
        "retain": int(bool(message.retain)),
        "payloadlen": len(message.data),
    }
    if message.packet_id:
        found["mid"] = message.packet_id
    if properties := dict(message.properties or {}):
        found["properties"] = {
            name.replace("_", "-"): value.decode("utf-8", "replace")
            if isinstance(value, bytes | bytearray)
            else value
            for name, value in properties.items()
        }
    data = bytes(message.data)
    found["payload"] = data.decode("utf-8", "replace")
    text = found["payload"] = data.decode("utf-8", "replace")
    if embedded:
        try:
            found["payload"] = json.loads(data, parse_constant=_no_json, parse_float=_finite)
            return _encode(found)
        except (ValueError, RecursionError):
            found["payload"] = text
    return _encode(found)


def _encode(found: dict[str, Any]) -> bytes:
    line = json.dumps(found, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return line.encode("utf-8", "replace")


def _no_json(constant: str) -> None:
    """Refuse NaN and infinities, which a reader of the line would not understand."""
    raise ValueError(constant)


def _finite(digits: str) -> float:
    """Refuse a number that is too large for a float: it would become an infinity."""
    number = float(digits)
    if math.isinf(number):
        raise ValueError(digits)
    return number


class MessageFormat:
    r"""A format that was understood.

    Args:
        text: the format: `%` and a letter for a part of the message, `@` and a letter for a part
            of the time as strftime has it, `\` and a letter for a control character.

    Raises:
        FormatError: the format is wrong.

    """

    def __init__(self, text: str) -> None:
        """Understand the format."""
        self._parts: list[Callable[[_Event], bytes]] = []
        at = 0
        while at < len(text):
            at = self._take(text, at)

    def __call__(self, message: ApplicationMessage) -> bytes:
        """Return the bytes to print for a message, with the time of the call."""
        event = _Event(message, time.time())
        return b"".join(part(event) for part in self._parts)

    def _take(self, text: str, at: int) -> int:
        """Understand what begins at a place; return where it ends."""
        kind, following = text[at], text[at + 1 : at + 2]
        if kind == "%":
            return self._take_conversion(text, at)
        if kind == "@":
            if not following:
                msg = "'@' at the end of the format"
                raise FormatError(msg)
            self._parts.append(_time_part(following))
            return at + 2
        if kind == "\\":
            if following not in _ESCAPES or not following:
                msg = f"unknown escape '\\{following}' at column {at + 1} of the format"
                raise FormatError(msg)
            self._add(_ESCAPES[following])
            return at + 2
        self._add(kind.encode("utf-8", "surrogateescape"))
        return at + 1

    def _take_conversion(self, text: str, at: int) -> int:
        found = _CONVERSION.match(text, at)
        letter = found["letter"] if found else ""
        if found and found.group() == "%%":
            self._add(b"%")
        elif found and letter in _CONVERSIONS:
            self._parts.append(_sized(found))
        else:
            msg = f"unknown conversion '%{letter}' at column {at + 1} of the format"
            raise FormatError(msg)
        return at + len(found.group())

    def _add(self, literal: bytes) -> None:
        self._parts.append(lambda _event: literal)


def _time_part(letter: str) -> Callable[[_Event], bytes]:
    if letter == "@":
        return lambda _event: b"@"
    if letter == "N":
        return lambda event: f"{int(event.time % 1 * 1e9):09d}".encode()
    return lambda event: event.local.strftime(f"%{letter}").encode()


def _sized(found: re.Match[str]) -> Callable[[_Event], bytes]:
    """Apply width and precision of a conversion to what it makes."""
    make = _CONVERSIONS[found["letter"]]
    if not found["width"] and found["precision"] is None:
        return make
    width = int(found["width"] or 0)
    precision = None if found["precision"] is None else int(found["precision"])
    fill = b"0" if found["flag"] == "0" and found["letter"] in _NUMBERS else b" "

    def sized(event: _Event) -> bytes:
        made = make(event)[:precision]
        return made.ljust(width) if found["flag"] == "-" else made.rjust(width, fill)

    return sized
