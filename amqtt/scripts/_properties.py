"""The option `-D COMMAND NAME VALUE`: properties of MQTT 5.0 on the command line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

import typer
from typer.core import TyperCommand

__all__ = ["PropertyCommand", "properties_of"]

OPTIONS = ("-D", "--property")

# What separates the parts of one option between here and the callback; no argument has it.
_SEPARATOR = "\0"

_MESSAGE = ("payload-format-indicator", "message-expiry-interval", "content-type")
_REQUEST = ("response-topic", "correlation-data")
_NAMES: dict[str, tuple[str, ...]] = {
    "connect": (
        "authentication-data",
        "authentication-method",
        "maximum-packet-size",
        "receive-maximum",
        "request-problem-information",
        "request-response-information",
        "session-expiry-interval",
        "topic-alias-maximum",
    ),
    "publish": (*_MESSAGE, *_REQUEST),  # the client itself chooses topic aliases
    "will": (*_MESSAGE, *_REQUEST, "will-delay-interval"),
    "subscribe": ("subscription-identifier",),
    "unsubscribe": (),
    "disconnect": ("session-expiry-interval", "reason-string"),
}
_TEXTS = ("authentication-method", "content-type", "reason-string", "response-topic")
_BYTES = ("authentication-data", "correlation-data")
_LARGEST = {
    "payload-format-indicator": 1,
    "request-problem-information": 1,
    "request-response-information": 1,
    "receive-maximum": 0xFFFF,
    "subscription-identifier": 268_435_455,
    "topic-alias-maximum": 0xFFFF,
}
_POSITIVE = ("maximum-packet-size", "receive-maximum", "subscription-identifier")
_USER_PROPERTY = "user-property"


class PropertyCommand(TyperCommand):
    """A command whose option `-D` takes three values, and four for a user property."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Join the values of each `-D` to one, for the parser takes a fixed number.

        Args:
            ctx: the context of the command.
            args: the arguments.

        Returns:
            What is left of the arguments.

        Raises:
            typer.BadParameter: a property is unknown, or has too few values.

        """
        takes_value = {
            name
            for parameter in self.params
            if not getattr(parameter, "is_flag", False)
            for name in parameter.opts
        }
        return super().parse_args(ctx, list(_join(args, takes_value)))


def _join(args: Iterable[str], takes_value: set[str]) -> Iterator[str]:
    rest = iter(args)
    for arg in rest:
        if arg == "--":
            yield arg
            yield from rest
        elif arg in OPTIONS:
            values = list(islice(rest, 3))
            if len(values) == 3 and values[1] == _USER_PROPERTY:
                values += list(islice(rest, 1))
            _check(values)
            yield OPTIONS[1]
            yield _SEPARATOR.join(values)
        else:
            yield arg
            if arg in takes_value:
                yield from islice(rest, 1)


def _check(values: list[str]) -> None:
    """Refuse what is no property, so that the message can name the option."""
    if values and values[0] not in _NAMES:
        _refuse(f"'{values[0]}' is none of {', '.join(_NAMES)}.")
    if len(values) > 1 and values[1] not in (*_NAMES[values[0]], _USER_PROPERTY):
        known = ", ".join((*_NAMES[values[0]], _USER_PROPERTY))
        _refuse(f"'{values[1]}' is no property of {values[0]} (known: {known}).")
    if len(values) < 3 or (values[1] == _USER_PROPERTY and len(values) < 4):
        _refuse(f"takes a command, a name and a value, '{_USER_PROPERTY}' a key and a value.")
    if values[1] not in (*_TEXTS, *_BYTES, _USER_PROPERTY):
        _integer(values[1], values[2])


def _refuse(problem: str) -> None:
    raise typer.BadParameter(problem, param_hint="'-D' / '--property'")


def _integer(name: str, text: str) -> int:
    largest = _LARGEST.get(name, 0xFFFFFFFF)
    smallest = int(name in _POSITIVE)
    number = int(text) if text.isascii() and text.isdecimal() else -1
    if not smallest <= number <= largest:
        _refuse(f"'{name}' must be a number from {smallest} to {largest}, not '{text}'.")
    return number


def properties_of(command: str, options: Iterable[str]) -> dict[str, Any]:
    """Collect the properties of a packet.

    Args:
        command: `connect`, `publish`, `will`, `subscribe`, `unsubscribe` or `disconnect`.
        options: the values of the options `-D`, as `PropertyCommand` leaves them.

    Returns:
        The properties by the name that the client has for them; a later one replaces an earlier
        one of the same name, user properties are all kept.

    """
    found: dict[str, Any] = {}
    for option in options:
        of, name, *values = option.split(_SEPARATOR)
        if of != command:
            continue
        key = name.replace("-", "_")
        if name == _USER_PROPERTY:
            found.setdefault(key, []).append((values[0], values[1]))
        elif name in _TEXTS:
            found[key] = values[0]
        elif name in _BYTES:
            found[key] = values[0].encode("utf-8", "surrogateescape")
        elif name == "subscription-identifier":
            found[key] = [_integer(name, values[0])]
        else:
            found[key] = _integer(name, values[0])
    return found
