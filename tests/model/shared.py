"""Messages of shared subscriptions (section 4.8.2 of 5.0).

The server chooses the member that gets a message. Which one it was shows when it sends the message;
until then all that could have been chosen are kept in mind.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from model.delivery import Delivery, Message, Mismatch, Stage, Terms
from model.state import Session, Subscription
from model.topics import matches


@dataclass(eq=False)
class Shared:
    """A message that none of the members has been seen to get."""

    message: Message
    name: str  # of the shared subscription
    candidates: dict[str, tuple[Terms, ...]]  # by client identifier: who may have it, and how
    optional: bool = False  # the server may have dropped it
    any_ids: bool = False  # as with Delivery
    alike: set[str] = field(default_factory=set)  # who was sent a copy that looks the same
    begun: set[str] = field(default_factory=set)  # who may have been sent it without seeing it


class SharedSubscriptions:
    """All shared subscriptions and the messages under way."""

    def __init__(self, sessions: dict[str, Session]) -> None:
        """Look for members among these sessions, which others change."""
        self._sessions = sessions
        self._waiting: list[Shared] = []

    def publish(self, message: Message) -> bool:
        """Give a message to one member of each group; tell whether there is a group for it."""
        found = False
        for name in sorted({n for s in self._sessions.values() for n in s.subscriptions}):
            members = self._members(name)
            one = next(iter(members.values()))
            if one.share is None or not matches(one.filter, message.topic):
                continue
            found = True
            present = {c: s for c, s in members.items() if self._sessions[c].connection}
            # Who is away is not chosen while somebody is there who keeps up.
            free = [c for c in present if not self._has_backlog(self._sessions[c])]
            self._add(Shared(message, name, {}), present if free else members)
        return found

    def messages(self) -> Iterator[Message]:
        """Yield the messages under way."""
        return (shared.message for shared in self._waiting)

    def offers(self, client_id: str) -> dict[Delivery, Shared]:
        """Return the copies that the client may get."""
        return {
            Delivery(
                shared.message,
                terms,
                share=shared.name,
                begun=client_id in shared.begun,
                any_ids=shared.any_ids,
            ): shared
            for shared in self._waiting
            for terms in shared.candidates.get(client_id, ())
        }

    def judged(self, client_id: str, offers: dict[Delivery, Shared], taken: Delivery) -> None:
        """A PUBLISH came that was ``taken``, which may be one of the offers."""
        for delivery, shared in offers.items():
            if delivery.alike:
                shared.alike.add(client_id)
            shared.any_ids = shared.any_ids or delivery.any_ids
        if taken in offers:
            self._waiting.remove(offers[taken])

    def session_ended(self, session: Session) -> None:
        """Hand over what the session had or may have had, but for QoS 2 that was begun."""
        for delivery in session.outgoing.deliveries:
            again = delivery.stage is Stage.PUBLISHED and delivery.terms.qos == 1
            if delivery.share and again:
                self._hand_over(Shared(delivery.message, delivery.share, {}))
        for shared in list(self._waiting):
            if terms := shared.candidates.pop(session.client_id, None):
                lost = session.client_id in shared.begun and terms[0].qos == 2
                lost = lost or session.client_id in shared.alike
                shared.optional = shared.optional or lost
                self._waiting.remove(shared)
                self._hand_over(shared)

    def drop_too_large(self, session: Session) -> None:
        """What the client does not accept counts as delivered if the session has it."""
        for shared in self._waiting:
            for terms in shared.candidates.get(session.client_id, ()):
                if session.outgoing.is_too_large(Delivery(shared.message, terms)):
                    shared.optional = True

    def stalled_connection_ended(self, session: Session) -> None:
        """What was sent last is not known."""
        for shared in self._waiting:
            for terms in shared.candidates.get(session.client_id, ()):
                shared.optional = shared.optional or terms.qos == 0
                shared.begun.add(session.client_id)

    def may_hold_up(self, session: Session) -> bool:
        """Tell whether the session may have a message that cannot be sent to it now."""
        return not session.outgoing.has_room(1) and any(
            terms.qos
            for shared in self._waiting
            for terms in shared.candidates.get(session.client_id, ())
        )

    def nothing_waits(self, session: Session, now: int) -> None:
        """All the session had was sent: what was not is with another. Raises Mismatch."""
        for shared in list(self._waiting):
            shared.candidates.pop(session.client_id, None)
            if shared.candidates:
                continue
            self._waiting.remove(shared)
            if not shared.optional and not shared.message.expired(now):
                msg = f"{shared.message} is delivered to no member of {shared.name!r}"
                raise Mismatch(msg)

    def _members(self, name: str) -> dict[str, Subscription]:
        return {
            session.client_id: session.subscriptions[name]
            for session in self._sessions.values()
            if name in session.subscriptions
        }

    def _has_backlog(self, session: Session) -> bool:
        if session.connection and session.connection.stalled:
            return True  # for all we know
        mine = any(session.client_id in shared.candidates for shared in self._waiting)
        return mine or any(
            d.stage is Stage.QUEUED or (d.stage is Stage.PUBLISHED and not d.fresh)
            for d in session.outgoing.deliveries
        )

    def _add(self, shared: Shared, members: dict[str, Subscription]) -> None:
        """Let one of these members get it, besides those that may have it already."""
        for client_id, subscription in members.items():
            terms = subscription.terms(shared.message)
            shared.candidates[client_id] = (*shared.candidates.get(client_id, ()), terms)
            session = self._sessions[client_id]
            waits = session.connection is None or self._has_backlog(session)
            # QoS 0 need not be kept for who is away, or may be when its turn comes.
            shared.optional = shared.optional or (waits and terms.qos == 0)
        if shared.candidates:
            self._waiting.append(shared)

    def _hand_over(self, shared: Shared) -> None:
        others = self._members(shared.name)
        if not others:
            shared.optional = True
        self._add(shared, others)
