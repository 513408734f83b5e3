"""A server as sections 3 and 4 of the standard describe it, without wire and without clock.

The time, `now`, is a number of milliseconds that the caller moves. What the server has to answer is
put down in each connection's `expected`; what it sends is given to `received`, which raises
Mismatch when the standard does not allow it. `check_quiet` raises Mismatch when something that
had to be sent has not been.
"""

from collections.abc import Iterator
from dataclasses import replace

from model.actions import FOREVER, Connect
from model.delivery import Delivery, Limits, Message, Mismatch, Outgoing, Stage, Terms
from model.packets import (
    CONNACK,
    DISCONNECT,
    MAXIMUM_QOS,
    NAMES,
    PUBACK,
    PUBCOMP,
    PUBLISH,
    PUBREC,
    PUBREL,
    RECEIVE_MAXIMUM,
    RETAIN_AVAILABLE,
    SERVER_KEEP_ALIVE,
    SESSION_EXPIRY,
    SUBACK,
    TOPIC_ALIAS,
    TOPIC_ALIAS_MAXIMUM,
    UNSUBACK,
    Packet,
    Properties,
)
from model.shared import SharedSubscriptions
from model.state import Connection, Expected, Session, Subscription, Will
from model.topics import is_filter, matches, split_share


class ReferenceBroker:
    """What the server knows."""

    def __init__(self, settings: dict[str, int], now: int) -> None:
        """Start without clients; the settings are those of the driver."""
        self.settings = settings
        self.now = now
        self.sessions: dict[str, Session] = {}
        self.retained: dict[str, Message] = {}
        self.shared = SharedSubscriptions(self.sessions)
        self.events = 0

    # -- time

    def deadlines(self) -> Iterator[int]:
        """Yield when something will happen by itself."""
        for session in self.sessions.values():
            if session.ends_at is not None:
                yield session.ends_at
            if session.delayed_will:
                yield session.delayed_will[0]
            if session.connection and session.connection.keep_alive_ends is not None:
                yield session.connection.keep_alive_ends

    def is_expiry(self, instant: int) -> bool:
        """Tell whether a message expires exactly then; nothing should be sent at that time."""
        queued = [d.message for s in self.sessions.values() for d in s.outgoing.deliveries]
        known = [*self.retained.values(), *self.shared.messages(), *queued]
        return any(message.expires_at == instant for message in known)

    def fire(self) -> None:
        """Do what is due by now."""
        for session in list(self.sessions.values()):
            connection = session.connection
            if connection and (connection.keep_alive_ends or self.now + 1) <= self.now:
                self._close(connection, 0x8D)
            if session.delayed_will and session.delayed_will[0] <= self.now:
                _, will = session.delayed_will
                session.delayed_will = None
                self._publish_will(session.client_id, will)
            if session.ends_at is not None and session.ends_at <= self.now:
                self._end_session(session)

    # -- CONNECT and the end of connections

    def connect(self, name: str, what: Connect, will: Will | None) -> Connection:
        """Take a CONNECT."""
        v5 = what.version == 5
        if refusal := self._refusal(what, will):
            return self._refuse(name, what, refusal)
        existing = self.sessions.get(what.client)
        if existing and existing.connection:
            self._close(existing.connection, 0x8E)
            existing = self.sessions.get(what.client)
        if existing and what.clean:
            self._end_session(existing)
            existing = None
        session = existing or self._new_session(what.client)
        session.ends_at = None
        session.delayed_will = None
        mqtt3_expiry = 0 if what.clean else FOREVER
        session.expiry = expiry = what.expiry if v5 else mqtt3_expiry
        keep_alive = self._keep_alive(what)
        limits = Limits(what.version, 65535, FOREVER)
        if v5:
            limits = Limits(5, what.receive_maximum, what.maximum_packet_size)
        connection = Connection(
            name, what.client, limits, expiry, what.alias_maximum if v5 else 0,
            keep_alive * 1500, will, self.now,
        )  # fmt: skip
        present = existing is not None and what.version != 3
        connection.expected.append(
            Expected(
                CONNACK,
                codes=(frozenset((0,)),),
                session_present=present,
                properties=self._connack_properties(what, keep_alive) if v5 else (),
            )
        )
        if v5:
            # Receive Maximum is for one connection; what is unreleased from before does not count.
            connection.receive_quota = self.settings.get("receive_maximum", 65535)
            connection.receive_quota += len(session.received_qos2)
        session.connection = connection
        session.outgoing.connected(limits)
        return connection

    def _new_session(self, client_id: str) -> Session:
        outgoing = Outgoing(self.settings.get("max_inflight_messages", 1000))
        session = self.sessions[client_id] = Session(client_id, outgoing)
        return session

    def _refusal(self, what: Connect, will: Will | None) -> int | None:
        """Return why a CONNECT is not accepted, as a reason code of 5.0."""
        longest = self.settings.get("max_keep_alive", 0)
        # MQTT 3 has no Server Keep Alive.
        if what.version != 5 and longest and not 0 < what.keep_alive <= longest:
            return 0x87
        return self._refused_options(will.qos, will.retain) if will else None

    def _refused_options(self, qos: int, retain: bool) -> int | None:
        if qos > self.settings.get("max_published_qos", 2):
            return 0x9B
        return 0x9A if retain and not self.settings.get("retain_available", 1) else None

    @staticmethod
    def _refuse(name: str, what: Connect, code: int) -> Connection:
        """Answer by CONNACK, as far as the version has a code, and close (section 3.2.2.2)."""
        limits = Limits(what.version, 65535, FOREVER)
        connection = Connection(name, what.client, limits, 0, 0, 0, None, 0, closing=True)
        return_codes = {0x87: 5}
        if what.version == 5 or code in return_codes:
            told = code if what.version == 5 else return_codes[code]
            connection.expected.append(Expected(CONNACK, codes=(frozenset((told,)),)))
        return connection

    def _keep_alive(self, what: Connect) -> int:
        longest = self.settings.get("max_keep_alive", 0)
        if what.version == 5 and longest and not 0 < what.keep_alive <= longest:
            return longest
        return what.keep_alive

    def _connack_properties(self, what: Connect, keep_alive: int) -> Properties:
        found: list[tuple[int, int]] = []
        longest = self.settings.get("session_expiry", FOREVER)
        if what.expiry > longest:
            found.append((SESSION_EXPIRY, longest))
        if keep_alive != what.keep_alive:
            found.append((SERVER_KEEP_ALIVE, keep_alive))
        if "receive_maximum" in self.settings:
            found.append((RECEIVE_MAXIMUM, self.settings["receive_maximum"]))
        if (qos := self.settings.get("max_published_qos", 2)) < 2:
            found.append((MAXIMUM_QOS, qos))
        if not self.settings.get("retain_available", 1):
            found.append((RETAIN_AVAILABLE, 0))
        if aliases := self.settings.get("topic_alias_maximum", 32):
            found.append((TOPIC_ALIAS_MAXIMUM, aliases))
        return tuple(found)

    def disconnect(self, connection: Connection, code: int, expiry: int | None) -> None:
        """Take a DISCONNECT."""
        if expiry is not None:
            if connection.expiry == 0 and expiry != 0:
                self._close(connection, 0x82)
                return
            self.sessions[connection.client_id].expiry = expiry
        self._close(connection, None, with_will=code != 0)

    def violate(self, connection: Connection, code: int) -> None:
        """The client broke a rule: 5.0 names the reason, and all versions close."""
        self._close(connection, code)

    def drop(self, connection: Connection) -> None:
        """The network connection is gone."""
        self._end_connection(connection, with_will=True)

    def _close(self, connection: Connection, code: int | None, *, with_will: bool = True) -> None:
        if code is not None and connection.version == 5:
            connection.expected.append(Expected(DISCONNECT, codes=(frozenset((code,)),)))
        connection.closing = True
        self._end_connection(connection, with_will=with_will)

    def _end_connection(self, connection: Connection, *, with_will: bool) -> None:
        session = self.sessions[connection.client_id]
        session.connection = None
        session.outgoing.disconnected(stalled=connection.stalled)
        if connection.stalled:
            self.shared.stalled_connection_ended(session)
        expiry = min(session.expiry, self.settings.get("session_expiry", FOREVER))
        will = connection.will if with_will else None
        if will and will.delay and expiry:
            session.delayed_will = (self.now + will.delay, will)
            will = None
        if expiry == 0:
            self._end_session(session)
        elif expiry != FOREVER:
            session.ends_at = self.now + expiry * 1000
        if will:
            self._publish_will(session.client_id, will)

    def _end_session(self, session: Session) -> None:
        del self.sessions[session.client_id]
        self.shared.session_ended(session)
        if session.delayed_will:
            self._publish_will(session.client_id, session.delayed_will[1])

    def _publish_will(self, client_id: str, will: Will) -> None:
        expires_at = None if will.expiry is None else self.now + will.expiry * 1000
        self.publish(
            Message(
                will.topic, will.payload, will.qos, will.retain, client_id, expires_at=expires_at
            )
        )

    # -- PUBLISH and its acknowledgements

    def publish(self, message: Message) -> bool:
        """Distribute a message; tell whether there is a subscription to it."""
        if message.topic.startswith("$"):
            return True  # not for clients: taken and dropped
        self.events += 1
        found = False
        for session in list(self.sessions.values()):
            plain = [
                s
                for s in session.subscriptions.values()
                if s.share is None and matches(s.filter, message.topic)
            ]
            found = found or bool(plain)
            if session.client_id == message.publisher:
                plain = [s for s in plain if not s.no_local]
            if plain:
                self._offer(session, message, plain)
        found = self.shared.publish(message) or found
        if message.retain:
            self.retained.pop(message.topic, None)
            if message.payload:
                self.retained[message.topic] = message
        return found

    def _offer(self, session: Session, message: Message, by: list[Subscription]) -> None:
        granted = max(s.qos for s in by)
        terms = Terms(
            min(granted, message.qos),
            # The standard does not say what holds when only some have Retain As Published.
            any(s.retain_flag(message) for s in by),
            tuple(s.ident for s in by if s.ident),
        )
        delivery = Delivery(message, terms, self.events)
        # QoS 0 is kept for nobody who is away.
        delivery.optional = session.connection is None and terms.qos == 0
        session.outgoing.deliveries.append(delivery)

    def publish_received(self, connection: Connection, packet_id: int, message: Message) -> None:
        """Take a PUBLISH, its Topic Alias resolved."""
        session = self.sessions[connection.client_id]
        if refusal := self._refused_options(message.qos, message.retain):
            self._close(connection, refusal)
            return
        if message.qos == 2 and packet_id in session.received_qos2:
            self._answer(connection, PUBREC, packet_id, {0})
            return
        if message.qos == 2 and len(session.received_qos2) >= connection.receive_quota:
            self._close(connection, 0x93)
            return
        is_refused = message.topic.startswith("$")  # the server's own topics
        found = self.publish(message)
        codes = {0x87} if is_refused else {0} if found else {0, 0x10}
        if message.qos == 1:
            self._answer(connection, PUBACK, packet_id, codes)
        if message.qos == 2:
            if not is_refused or connection.version != 5:  # else the exchange is over
                session.received_qos2.add(packet_id)
            self._answer(connection, PUBREC, packet_id, codes)

    def _answer(self, connection: Connection, kind: int, packet_id: int, codes: set[int]) -> None:
        """Expect an acknowledgement; MQTT 3 has none but success."""
        allowed = frozenset(codes if connection.version == 5 else {0})
        connection.expected.append(Expected(kind, packet_id, (allowed,)))

    def pubrel_received(self, connection: Connection, packet_id: int) -> None:
        """Take a PUBREL."""
        received = self.sessions[connection.client_id].received_qos2
        known = packet_id in received
        received.discard(packet_id)
        self._answer(connection, PUBCOMP, packet_id, {0 if known else 0x92})

    def acknowledged(self, connection: Connection, kind: int, packet_id: int, code: int) -> None:
        """Take a PUBACK, PUBREC or PUBCOMP."""
        outgoing = self.sessions[connection.client_id].outgoing
        before = {d.packet_id: d for d in outgoing.deliveries if d.stage is not Stage.QUEUED}
        known = outgoing.acknowledge(NAMES[kind], packet_id, code)
        if kind != PUBREC or code >= 0x80:
            return
        if not known:
            self._answer(connection, PUBREL, packet_id, {0, 0x92})
        elif before[packet_id].terms.qos == 2:
            outgoing.unsent_pubrels.discard(packet_id)
            self._answer(connection, PUBREL, packet_id, {0})

    # -- SUBSCRIBE and UNSUBSCRIBE

    def subscribe(
        self, connection: Connection, packet_id: int, filters: list[tuple[str, int]], ident: int
    ) -> None:
        """Take a SUBSCRIBE; filters come with their options byte."""
        if self._closed_for_filters(connection, [name for name, _ in filters]):
            return
        session = self.sessions[connection.client_id]
        self.events += 1
        codes = []
        for name, options in filters:
            parsed = split_share(name)
            if parsed is None:
                codes.append(0x8F if connection.version == 5 else 0x80)
                continue
            qos = min(options & 3, self.settings.get("max_qos", 2))
            is_new = name not in session.subscriptions
            subscription = session.subscriptions[name] = Subscription(
                name, *parsed, qos, bool(options & 4), bool(options & 8), ident
            )
            codes.append(qos)
            handling = options >> 4
            if parsed[0] is None and (handling == 0 or (handling == 1 and is_new)):
                self._offer_retained(session, subscription)
        allowed = tuple(frozenset((code,)) for code in codes)
        connection.expected.append(Expected(SUBACK, packet_id, allowed))

    def _closed_for_filters(self, connection: Connection, names: list[str]) -> bool:
        """Close for an ill-formed filter in MQTT 3, which has no code for it (4.8.0-1 of 3.1.1).

        Shared subscriptions are of 5.0, so what is wrong with one is not wrong in MQTT 3.
        """
        if connection.version == 5 or all(is_filter(name) for name in names):
            return False
        self._close(connection, 0x8F)
        return True

    def _offer_retained(self, session: Session, subscription: Subscription) -> None:
        for message in self.retained.values():
            if not matches(subscription.filter, message.topic) or message.expired(self.now):
                continue
            own = message.publisher == session.client_id
            terms = subscription.terms(message)
            terms = Terms(terms.qos, True, terms.ids)
            # The standard does not say whether No Local holds for what is retained.
            delivery = Delivery(message, terms, self.events, optional=own and subscription.no_local)
            session.outgoing.deliveries.append(delivery)

    def unsubscribe(self, connection: Connection, packet_id: int, names: list[str]) -> None:
        """Take an UNSUBSCRIBE."""
        if self._closed_for_filters(connection, names):
            return
        subscriptions = self.sessions[connection.client_id].subscriptions
        codes = [frozenset((0 if subscriptions.pop(n, None) else 0x11,)) for n in names]
        allowed = tuple(codes) if connection.version == 5 else ()
        connection.expected.append(Expected(UNSUBACK, packet_id, allowed))

    # -- what the server sends

    def received(self, connection: Connection, got: Packet) -> None:
        """Judge a packet the server has sent. Raises Mismatch."""
        head = connection.expected[0] if connection.expected else None
        if got.kind == PUBLISH and (head is None or head.kind != CONNACK):
            self._publish_sent(connection, got)
            return
        session = self.sessions.get(connection.client_id)
        if got.kind == PUBREL and session and session.connection is connection:
            unsent = session.outgoing.unsent_pubrels
            accepted = head is None or head.kind != CONNACK
            if accepted and got.packet_id in unsent and got.codes == (0,):
                unsent.remove(got.packet_id)
                return
        if head is None:
            msg = f"{got} is not to be sent here"
            raise Mismatch(msg)
        if problem := head.difference(got):
            msg = f"{got}: {problem}; expected {head}"
            raise Mismatch(msg)
        connection.expected.pop(0)

    def _publish_sent(self, connection: Connection, got: Packet) -> None:
        session = self.sessions.get(connection.client_id)
        if session is None or session.connection is not connection:
            msg = f"{got} to a connection that is to be closed"
            raise Mismatch(msg)
        got = self._resolve_alias(connection, got)
        offers = self.shared.offers(connection.client_id)
        taken = session.outgoing.take(got, list(offers), self.now)
        self.shared.judged(connection.client_id, offers, taken)

    @staticmethod
    def _resolve_alias(connection: Connection, got: Packet) -> Packet:
        aliases = [v for ident, v in got.properties if ident == TOPIC_ALIAS]
        if not aliases:
            return got
        alias = aliases[0]
        assert isinstance(alias, int)
        if not 0 < alias <= connection.alias_maximum:
            msg = f"{got}: Topic Alias beyond Topic Alias Maximum (5.0:MQTT-3.1.2-26)"
            raise Mismatch(msg)
        topic = got.topic or connection.aliases.get(alias, "")
        connection.aliases[alias] = topic
        rest = tuple(p for p in got.properties if p[0] != TOPIC_ALIAS)
        return replace(got, topic=topic, properties=rest)

    def check_quiet(self) -> None:
        """Judge what is missing when nothing more comes. Raises Mismatch."""
        for session in self.sessions.values():
            connection = session.connection
            if connection is None:
                continue
            if connection.expected:
                msg = f"{session.client_id}: {connection.expected[0]} is missing"
                raise Mismatch(msg)
            self.shared.drop_too_large(session)
            if connection.stalled:
                continue
            blocked = self.shared.may_hold_up(session)
            try:
                idle = session.outgoing.check_quiet(self.now, blocked=blocked)
            except Mismatch as error:
                msg = f"{session.client_id}: {error}"
                raise Mismatch(msg) from None
            if idle:
                self.shared.nothing_waits(session, self.now)
