"""Messages on their way to one subscriber: what may be sent next, and what has to be.

The standard leaves a server free in what it sends first, and in what it drops at QoS 0. So this
does not say which packets come; it judges each that has come, and when nothing more comes it
judges what is missing.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum

from support import wire

from model.packets import (
    MESSAGE_EXPIRY,
    SUBSCRIPTION_ID,
    Packet,
    Properties,
    encode_properties,
)


class Mismatch(AssertionError):  # noqa: N818 - what it is, not that it is one
    """The broker did what the model does not allow, or did not do what it demands."""


@dataclass(frozen=True)
class Message:
    """An Application Message as it was published."""

    topic: str
    payload: bytes
    qos: int
    retain: bool
    publisher: str
    properties: Properties = ()  # that are forwarded unaltered
    expires_at: int | None = None  # in milliseconds

    def expired(self, now: int) -> bool:
        """Tell whether it must not be sent any more."""
        return self.expires_at is not None and self.expires_at <= now

    def __str__(self) -> str:
        """Return the message as a reader of a script finds it."""
        return f"{self.payload.decode().rstrip('.') or 'empty'} to {self.topic!r}"


@dataclass(frozen=True)
class Terms:
    """How a subscriber gets a message."""

    qos: int
    retain: bool
    ids: tuple[int, ...] = ()  # Subscription Identifiers


class Stage(Enum):
    """How far a delivery is (section 4.3)."""

    QUEUED = "waiting"
    PUBLISHED = "waiting for PUBACK or PUBREC"
    RELEASED = "waiting for PUBCOMP"


@dataclass(eq=False)
class Delivery:
    """One copy of a message for one session."""

    message: Message
    terms: Terms
    event: int = 0  # what happened when it became known; all of one event have any order
    share: str | None = None  # the name of the shared subscription it came by
    stage: Stage = Stage.QUEUED
    packet_id: int = 0
    fresh: bool = False  # its last packet was sent on the present connection
    counts: bool = False  # against Receive Maximum
    optional: bool = False  # the server may have dropped it
    begun: bool = False  # it may have been sent to a client that did not read
    alike: bool = False  # another copy could have been taken for it
    any_ids: bool = False  # its Subscription Identifiers are those of one of several copies

    def __str__(self) -> str:
        """Return the message and what is known of its delivery."""
        ident = f", packet id {self.packet_id}" if self.packet_id else ""
        return f"{self.message} at QoS {self.terms.qos}, {self.stage.value}{ident}"


@dataclass
class Limits:
    """What one connection of a client accepts."""

    version: int
    receive_maximum: int
    maximum_packet_size: int


@dataclass(eq=False)
class Outgoing:
    """What one session is to get, in the order it became known."""

    max_inflight: int
    limits: Limits | None = None  # of the present connection; None while there is none
    deliveries: list[Delivery] = field(default_factory=list)
    stalled_since: int | None = None  # what comes now may have been sent since then
    unsent_pubrels: set[int] = field(default_factory=set)  # to be sent on this connection

    # -- the connection

    def connected(self, limits: Limits) -> None:
        """A connection resumes the session; what is in flight is to be sent again."""
        self.limits = limits
        # What the client does not accept any more counts as delivered (5.0:MQTT-3.1.2-25).
        too_large = [d for d in self._at(Stage.PUBLISHED) if self.is_too_large(d)]
        self.deliveries = [d for d in self.deliveries if d not in too_large]
        self.unsent_pubrels = {d.packet_id for d in self._at(Stage.RELEASED)}

    def disconnected(self, *, stalled: bool) -> None:
        """Without a connection a server need not keep messages of QoS 0."""
        for delivery in self.deliveries:
            delivery.fresh = delivery.counts = False
            if delivery.stage is Stage.QUEUED:
                lost = delivery.terms.qos == 0 or (stalled and self.is_too_large(delivery))
                delivery.optional = delivery.optional or lost
                delivery.begun = delivery.begun or stalled
        self.limits = None
        self.stalled_since = None

    # -- packets

    def take(self, got: Packet, offered: list[Delivery], now: int) -> Delivery:
        """Accept a PUBLISH; ``offered`` are copies that may come, but as well go elsewhere.

        Returns what it was the delivery of. Raises Mismatch.
        """
        assert self.limits is not None
        queued = [d for d in self.deliveries if d.stage is Stage.QUEUED] + offered
        candidates = queued
        if got.dup:
            candidates = [d for d in self._at(Stage.PUBLISHED) if not d.fresh]
            candidates += [d for d in queued if d.begun]
        problems = {d: self._difference(d, got, now) for d in candidates}
        fitting = [d for d, problem in problems.items() if problem is None]
        if not fitting:
            near = [d for d in candidates if d.message.payload == got.payload]
            shown = "".join(f"\n    {d}: {problems[d]}" for d in near)
            msg = f"{got} is not to be sent here{shown}"
            raise Mismatch(msg)
        for delivery in fitting:
            delivery.alike = len(fitting) > 1
            # MQTT 3 does not show them.
            delivery.any_ids = delivery.any_ids or any(
                d.terms.ids != delivery.terms.ids for d in fitting
            )
        in_turn = [d for d in fitting if self._order_problem(d, now) is None]
        if not in_turn:
            raise Mismatch(self._order_problem(fitting[0], now))
        # Of copies that look the same, the one before which the fewest would have been dropped.
        taken = min(in_turn, key=lambda d: self._dropped_before(d, now))
        if taken in offered:
            for delivery in fitting:
                delivery.optional = True  # if it was this one, the other went elsewhere
        self._sent(taken, got)
        return taken

    def _difference(self, delivery: Delivery, got: Packet, now: int) -> str | None:
        assert self.limits is not None
        message, terms = delivery.message, delivery.terms
        if (got.topic, got.payload) != (message.topic, message.payload):
            return "another topic or payload"
        if got.qos != terms.qos:
            return "another QoS"
        if got.retain != terms.retain:
            return "wrong RETAIN flag (5.0:MQTT-3.3.1-8, -9, -12, -13)"
        if delivery.packet_id and got.packet_id != delivery.packet_id:
            return "sent again with another packet identifier (5.0:MQTT-4.4.0-1)"
        earliest = now if self.stalled_since is None else self.stalled_since
        if not got.dup and message.expired(earliest):
            return "expired (5.0:MQTT-3.3.2-5)"
        return _wrong_properties(delivery, got, earliest, now) if self.limits.version == 5 else None

    def _sent(self, delivery: Delivery, got: Packet) -> None:
        if got.size > self._limits.maximum_packet_size:
            msg = f"{got} of {got.size} bytes is too large (5.0:MQTT-3.1.2-24)"
            raise Mismatch(msg)
        for other in self._overtaken(delivery):
            self.deliveries.remove(other)  # it was dropped, or it would have come
        if got.qos == 0:
            if delivery in self.deliveries:
                self.deliveries.remove(delivery)
            return
        if not self.has_quota():
            msg = f"{got} is beyond Receive Maximum (5.0:MQTT-3.3.4-9)"
            raise Mismatch(msg)
        if delivery.stage is Stage.QUEUED:
            self._start(delivery, got)
        delivery.fresh = delivery.counts = True

    def _start(self, delivery: Delivery, got: Packet) -> None:
        in_flight = list(self._at(Stage.PUBLISHED, Stage.RELEASED))
        if got.packet_id == 0 or any(d.packet_id == got.packet_id for d in in_flight):
            msg = f"{got}: packet identifier in use (5.0:MQTT-2.2.1-4)"
            raise Mismatch(msg)
        if len(in_flight) >= self.max_inflight:
            msg = f"{got} is beyond max_inflight_messages"
            raise Mismatch(msg)
        delivery.stage = Stage.PUBLISHED
        delivery.packet_id = got.packet_id
        if delivery in self.deliveries:
            self.deliveries.remove(delivery)
        self.deliveries.append(delivery)  # in the order of the first sending

    def _earlier(self, delivery: Delivery) -> list[Delivery]:
        """Return what became known before it; for what is only offered nobody knows."""
        if delivery in self.deliveries:
            return self.deliveries[: self.deliveries.index(delivery)]
        return []

    def _overtaken(self, delivery: Delivery) -> list[Delivery]:
        """Return what the publisher sent to the same topic at the same QoS before it."""
        if delivery.stage is not Stage.QUEUED:
            return []
        queued = [d for d in self._earlier(delivery) if d.stage is Stage.QUEUED]
        return [d for d in queued if _same_stream(d, delivery)]

    def _dropped_before(self, delivery: Delivery, now: int) -> int:
        return sum(not self._will_not_come(d, now) for d in self._overtaken(delivery))

    def _order_problem(self, delivery: Delivery, now: int) -> str | None:
        """Say why it is not its turn (section 4.6)."""
        for other in self._earlier(delivery):
            if delivery.terms.qos and other.stage is Stage.PUBLISHED and not other.fresh:
                return f"{delivery} is sent before {other} is sent again (5.0:MQTT-4.6.0-1)"
        for other in self._overtaken(delivery):
            if not (other.optional or self._will_not_come(other, now)):
                return f"{delivery} overtakes {other} (5.0:MQTT-4.6.0-6)"
        return None

    def acknowledge(self, name: str, packet_id: int, code: int = 0) -> bool:
        """Take PUBACK, PUBREC or PUBCOMP; tell whether there is a message it belongs to."""
        for delivery in self._at(Stage.PUBLISHED, Stage.RELEASED):
            if delivery.packet_id != packet_id:
                continue
            fits = {
                "PUBACK": delivery.stage is Stage.PUBLISHED and delivery.terms.qos == 1,
                "PUBREC": delivery.terms.qos == 2,
                "PUBCOMP": delivery.stage is Stage.RELEASED,
            }[name]
            if fits and (name != "PUBREC" or code >= 0x80):
                self.deliveries.remove(delivery)
            elif fits:
                delivery.stage = Stage.RELEASED
            return True
        return False

    # -- what is missing

    def check_quiet(self, now: int, *, blocked: bool) -> bool:
        """Raise Mismatch if something is missing; tell whether nothing can wait any more.

        ``blocked`` says that there may be messages, not among these, that cannot be sent now;
        what came after them may have to wait.
        """
        if self.unsent_pubrels:
            msg = f"PUBREL for {self.unsent_pubrels} is not sent again (5.0:MQTT-4.4.0-1)"
            raise Mismatch(msg)
        for delivery in list(self._at(Stage.PUBLISHED)):
            if delivery.fresh:
                continue
            if self.has_quota():
                msg = f"{delivery} is not sent again (5.0:MQTT-4.4.0-1)"
                raise Mismatch(msg)
            blocked = True
        held_up = [d.event for d in self._at(Stage.QUEUED) if not self.has_room(d.terms.qos)]
        first_held_up = 0 if blocked else min(held_up, default=None)
        for delivery in list(self._at(Stage.QUEUED)):
            # Until the server notices it may keep others waiting.
            delivery.optional = delivery.optional or self._will_not_come(delivery, now)
            if first_held_up is not None and delivery.event >= first_held_up:
                continue
            if not delivery.optional:
                msg = f"{delivery} is not delivered"
                raise Mismatch(msg)
            self.deliveries.remove(delivery)
        return first_held_up is None

    def _will_not_come(self, delivery: Delivery, now: int) -> bool:
        return delivery.message.expired(now) or self.is_too_large(delivery)

    def is_too_large(self, delivery: Delivery) -> bool:
        """Tell whether the client does not accept it, sent without Topic Alias."""
        limits = self._limits
        message = delivery.message
        properties: Properties = ()
        if limits.version == 5:
            properties = message.properties
            properties += tuple((SUBSCRIPTION_ID, ident) for ident in delivery.terms.ids)
            if message.expires_at is not None:
                properties += ((MESSAGE_EXPIRY, 0),)
        packet = wire.publish(
            message.topic,
            message.payload,
            qos=delivery.terms.qos,
            packet_id=1 if delivery.terms.qos else None,
            properties=encode_properties(properties) if limits.version == 5 else None,
        )
        return len(packet) > limits.maximum_packet_size

    def has_quota(self) -> bool:
        """Tell whether Receive Maximum admits another PUBLISH of QoS 1 or 2."""
        return sum(d.counts for d in self.deliveries) < self._limits.receive_maximum

    def has_room(self, qos: int) -> bool:
        """Tell whether a message of that QoS can be sent at once."""
        in_flight = sum(1 for _ in self._at(Stage.PUBLISHED, Stage.RELEASED))
        return qos == 0 or (self.has_quota() and in_flight < self.max_inflight)

    @property
    def _limits(self) -> Limits:
        assert self.limits is not None
        return self.limits

    def _at(self, *stages: Stage) -> Iterator[Delivery]:
        return (d for d in list(self.deliveries) if d.stage in stages)


def _same_stream(one: Delivery, other: Delivery) -> bool:
    def key(delivery: Delivery) -> tuple[str, str, int, int]:
        message = delivery.message
        return message.publisher, message.topic, message.qos, delivery.terms.qos

    return key(one) == key(other)


def _wrong_properties(delivery: Delivery, got: Packet, earliest: int, latest: int) -> str | None:
    message = delivery.message
    ids = sorted(value for ident, value in got.properties if ident == SUBSCRIPTION_ID)
    if ids != sorted(delivery.terms.ids) and not delivery.any_ids:
        return f"other Subscription Identifiers than {delivery.terms.ids} (5.0:MQTT-3.3.4-3, -4)"
    expiry = [value for ident, value in got.properties if ident == MESSAGE_EXPIRY]
    if (message.expires_at is None) != (expiry == []):
        return "Message Expiry Interval added or lost"
    if message.expires_at is not None:
        least = max(message.expires_at - latest, 0) // 1000
        most = -(-max(message.expires_at - earliest, 0) // 1000)
        if not all(isinstance(v, int) and least <= v <= most for v in expiry):
            return f"Message Expiry Interval not from {least} to {most} (5.0:MQTT-3.3.2-6)"
    # The order of different properties has no meaning, that of the same ones has.
    others = [p for p in got.properties if p[0] not in (SUBSCRIPTION_ID, MESSAGE_EXPIRY)]
    if sorted(others, key=lambda p: p[0]) != sorted(message.properties, key=lambda p: p[0]):
        return f"other properties than {message.properties} (section 3.3.2.3)"
    return None
