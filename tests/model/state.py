"""What a server knows of its clients."""

from dataclasses import dataclass, field

from model.delivery import Limits, Message, Outgoing, Terms
from model.packets import NAMES, Packet, Properties


@dataclass(frozen=True)
class Will:
    """A Will Message with its delay, in milliseconds."""

    topic: str
    payload: bytes
    qos: int
    retain: bool
    delay: int
    expiry: int | None  # in seconds, from publishing on


@dataclass(frozen=True)
class Subscription:
    """A subscription of one session, as it was granted."""

    name: str
    share: str | None
    filter: str
    qos: int
    no_local: bool
    retain_as_published: bool
    ident: int

    def retain_flag(self, message: Message) -> bool:
        """Return the RETAIN flag of a message that is not sent because of a SUBSCRIBE."""
        return self.retain_as_published and message.retain

    def terms(self, message: Message) -> Terms:
        """Return how a message comes by this subscription alone."""
        ids = (self.ident,) if self.ident else ()
        return Terms(min(self.qos, message.qos), self.retain_flag(message), ids)


@dataclass
class Expected:
    """An answer that has to come; any one of ``codes`` where there is only one."""

    kind: int
    packet_id: int = 0
    codes: tuple[frozenset[int], ...] = ()
    session_present: bool = False
    properties: Properties = ()

    def difference(self, got: Packet) -> str | None:
        """Return why the packet is not this answer, or None."""
        if (got.kind, got.packet_id) != (self.kind, self.packet_id):
            return "another packet"
        if len(got.codes) != len(self.codes):
            return f"{len(self.codes)} codes wanted"
        for code, allowed in zip(got.codes, self.codes, strict=True):
            if code not in allowed:
                return f"code {code:#04x} is none of {sorted(map(hex, allowed))}"
        if got.session_present != self.session_present:
            return f"Session Present {int(self.session_present)} wanted"
        if sorted(got.properties, key=str) != sorted(self.properties, key=str):
            return f"properties {self.properties} wanted"
        return None

    def __str__(self) -> str:
        """Return the name and identifier."""
        return NAMES[self.kind] + (f" {self.packet_id}" if self.packet_id else "")


@dataclass(eq=False)
class Connection:
    """A network connection whose CONNECT was accepted."""

    name: str
    client_id: str
    limits: Limits
    expiry: int  # as in CONNECT
    alias_maximum: int
    keep_alive: int  # milliseconds of silence, 0: any
    will: Will | None
    silent_since: int
    expected: list[Expected] = field(default_factory=list)
    receive_quota: int = 65535  # messages of QoS 2 it may leave unreleased
    stalled: bool = False  # the client takes nothing for now
    closing: bool = False  # the server has to close it
    own_aliases: dict[int, str] = field(default_factory=dict)  # of the client
    aliases: dict[int, str] = field(default_factory=dict)  # of the server

    @property
    def version(self) -> int:
        """Return the protocol level."""
        return self.limits.version

    @property
    def keep_alive_ends(self) -> int | None:
        """Return when the client will have been silent for too long."""
        return self.silent_since + self.keep_alive if self.keep_alive else None


@dataclass(eq=False)
class Session:
    """Session State of a client (section 4.1)."""

    client_id: str
    outgoing: Outgoing
    connection: Connection | None = None
    expiry: int = 0  # seconds, FOREVER for never
    ends_at: int | None = None
    subscriptions: dict[str, Subscription] = field(default_factory=dict)
    received_qos2: set[int] = field(default_factory=set)
    delayed_will: tuple[int, Will] | None = None
