"""What clients do, as plain values: generated from a seed, written down and read back.

Every action can be performed in every situation (what makes no sense then does nothing), so that
any part of a sequence is a sequence again.
"""

import ast
import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import MISSING, dataclass
from functools import partial
from typing import Any

FOREVER = 0xFFFFFFFF


@dataclass(frozen=True)
class Action:
    """Something that happens."""

    def __str__(self) -> str:
        """Return the action as ``parse`` reads it: without what has its default."""
        shown = [
            f"{field.name}={value!r}"
            for field in dataclasses.fields(self)
            if (value := getattr(self, field.name)) != field.default
        ]
        return f"{type(self).__name__}({', '.join(shown)})"


@dataclass(frozen=True)
class Connect(Action):
    """Open a connection; the one before, if there still is one, is to be taken over.

    ``will`` is topic, QoS, retain, delay and expiry of the message. The last two, ``expiry`` and
    the limits are for 5.0 only.
    """

    client: str
    version: int = 4
    clean: bool = True
    keep_alive: int = 0
    expiry: int = 0
    receive_maximum: int = 65535
    maximum_packet_size: int = FOREVER
    alias_maximum: int = 0
    will: tuple[str, int, bool, int, int | None] | None = None


@dataclass(frozen=True)
class Subscribe(Action):
    """Subscribe to filters, each with its options byte; in MQTT 3 only the QoS of it counts."""

    client: str
    filters: tuple[tuple[str, int], ...]
    ident: int = 0


@dataclass(frozen=True)
class Unsubscribe(Action):
    """Give up subscriptions."""

    client: str
    filters: tuple[str, ...]


@dataclass(frozen=True)
class Publish(Action):
    """Publish a message with a payload of its own, or none to clear a retained one.

    ``size`` is that of the payload at least. ``extra`` is the number of properties that are to be
    forwarded. ``alias`` is used in place of the topic when it stands for the topic already.
    """

    client: str
    topic: str
    qos: int = 0
    packet_id: int = 1
    retain: bool = False
    dup: bool = False
    empty: bool = False
    size: int = 0
    expiry: int | None = None
    extra: int = 0
    alias: int = 0


@dataclass(frozen=True)
class Release(Action):
    """Send PUBREL."""

    client: str
    packet_id: int = 1


@dataclass(frozen=True)
class Acknowledge(Action):
    """Take the next step with one of the messages received, the oldest being number 0."""

    client: str
    number: int = 0
    code: int = 0


@dataclass(frozen=True)
class AcknowledgeAll(Action):
    """Acknowledge until nothing is left to be acknowledged."""

    client: str


@dataclass(frozen=True)
class Stray(Action):
    """Send an acknowledgement of this packet type, whatever it may mean to the broker."""

    client: str
    kind: int
    packet_id: int
    code: int = 0  # in 5.0


@dataclass(frozen=True)
class Ping(Action):
    """Send PINGREQ."""

    client: str


@dataclass(frozen=True)
class Disconnect(Action):
    """Send DISCONNECT, in 5.0 with this reason code and Session Expiry Interval."""

    client: str
    code: int = 0
    expiry: int | None = None


@dataclass(frozen=True)
class Drop(Action):
    """Break the network connection."""

    client: str


@dataclass(frozen=True)
class Stall(Action):
    """Take nothing more from the network, nor do anything until Read, Drop or Connect."""

    client: str


@dataclass(frozen=True)
class Read(Action):
    """Take what has come since ``Stall``."""

    client: str


@dataclass(frozen=True)
class Violate(Action):
    """Break a rule; ``rule`` is a key of ``runner.VIOLATIONS``."""

    client: str
    rule: str


@dataclass(frozen=True)
class Wait(Action):
    """Let time pass."""

    seconds: int


@dataclass(frozen=True)
class Restart(Action):
    """Break all connections, and let the broker begin again with what its store has."""


def simpler(action: Action) -> Iterator[Callable[[Action], Action]]:
    """Yield ways to make an action simpler: one for each field that has not its default."""
    for field in dataclasses.fields(action):
        if field.default is not MISSING and getattr(action, field.name) != field.default:
            yield partial(dataclasses.replace, **{field.name: field.default})


@dataclass(frozen=True)
class Script:
    """Settings of a broker, and what happens to it."""

    settings: dict[str, int]
    actions: tuple[Action, ...]

    def __str__(self) -> str:
        """Return the script, a line for the settings and one for each action."""
        head = "settings" + "".join(f" {key}={value}" for key, value in self.settings.items())
        return "\n".join([head, *map(str, self.actions)]) + "\n"


_KINDS: dict[str, type[Action]] = {kind.__name__: kind for kind in Action.__subclasses__()}


def _parse_action(line: str) -> Action:
    call = ast.parse(line, mode="eval").body
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name) or call.args:
        msg = f"not an action: {line!r}"
        raise ValueError(msg)
    fields: dict[str, Any] = {
        str(keyword.arg): ast.literal_eval(keyword.value) for keyword in call.keywords
    }
    return _KINDS[call.func.id](**fields)


def parse(text: str) -> Script:
    """Return the script that ``str`` has written down; lines with # are remarks."""
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    head, *rest = lines
    word, *pairs = head.split()
    if word != "settings":
        msg = f"the first line must be the settings: {head!r}"
        raise ValueError(msg)
    settings = {key: int(value) for key, value in (pair.split("=") for pair in pairs)}
    return Script(settings, tuple(map(_parse_action, rest)))
