"""Sessions of a broker's engine, as plugins and applications see them."""

from __future__ import annotations

import asyncio
import itertools
import weakref
from typing import TYPE_CHECKING, Any

from amqtt._engine.pump import call_if_alive
from amqtt._engine.tls_peer import TlsPeer
from amqtt.session import ApplicationMessage, Session

if TYPE_CHECKING:
    from collections.abc import Callable

    from amqtt._engine.types import BrokerEngine

    EngineSource = Callable[[], BrokerEngine | None]


class BrokerSession(Session):
    """A session that the engine keeps; its queue of waiting messages is the engine's."""

    def __init__(self, engine: EngineSource, client_id: str) -> None:
        """Make a session that is not connected yet."""
        super().__init__()
        self.client_id = client_id
        self._engine: EngineSource | None = engine
        # The login whose client is described, and the user name that the engine knows it by.
        self.login = 0
        self.owner: str | None = None

    def snapshot(self) -> BrokerSession:
        """Return a session that stays as this one is now, whoever logs in meanwhile.

        `attributes` and the messages that wait are those of this one.
        """
        copied = BrokerSession.__new__(BrokerSession)
        copied.__dict__.update(self.__dict__)
        return copied

    def _facts(self) -> dict[str, Any] | None:
        engine = self._engine() if self._engine is not None else None
        return None if engine is None else engine.find_session(self.client_id or "")

    @property
    def retained_messages(self) -> asyncio.Queue[Any]:
        """The messages that wait until the client connects again."""
        if self._retained_messages is None:
            self._retained_messages = _WaitingMessages(self)
        return self._retained_messages

    @retained_messages.setter
    def retained_messages(self, queue: asyncio.Queue[Any]) -> None:
        self._retained_messages = queue

    @property
    def retained_messages_count(self) -> int:
        """The number of messages that wait until the client connects again."""
        return int((self._facts() or {}).get("queued", 0))

    @property
    def inflight_in_count(self) -> int:
        """The number of received messages whose handshake is not complete."""
        return int((self._facts() or {}).get("inflight_in", 0))

    @property
    def inflight_out_count(self) -> int:
        """The number of sent messages that are not acknowledged."""
        return int((self._facts() or {}).get("inflight_out", 0))

    def enqueue(self, message: ApplicationMessage) -> None:
        """Queue a message for the client in the engine."""
        engine = self._engine() if self._engine is not None else None
        if engine is None or self.client_id is None:
            return
        engine.create_session(self.client_id)
        engine.enqueue(self.client_id, message.topic, message.data, message.qos or 0)

    def fill(self, facts: dict[str, Any]) -> None:
        """Take what the engine knows of the client."""
        self.client_id = facts["client_id"]
        self.username = self.owner = facts["username"]
        self.login = facts["login"]
        if not facts["listener"]:  # it is away: nothing is known of a connection
            return
        self.remote_address = facts["address"]
        self.remote_port = facts["port"]
        self.password = _text_if_possible(facts["password"])
        self.protocol_version = facts["protocol_version"]
        self.clean_session = facts["clean_start"]
        self.keep_alive = facts["keep_alive"]
        self.properties = facts["properties"]
        self.ssl_object = TlsPeer(*facts["tls"]) if facts["tls"] is not None else None
        will = facts["will"]
        self.will_flag = will is not None
        topic, message, qos, retain = will or (None, None, None, None)
        self.will_topic, self.will_message = topic, message
        self.will_qos, self.will_retain = qos, retain

    def set_connected(self, connected: bool) -> None:
        """Follow the state of the connection."""
        if connected and not self.transitions.is_connected():
            self.transitions.connect()
        elif not connected and not self.transitions.is_disconnected():
            self.transitions.disconnect()

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the engine too."""
        return {**super().__getstate__(), "_engine": None}


class _WaitingMessages(asyncio.Queue[Any]):
    """Hand messages that are put to the engine; there is nothing to take out."""

    def __init__(self, session: BrokerSession) -> None:
        super().__init__()
        self._session = session

    def _put(self, item: Any) -> None:
        self._session.enqueue(item)

    def qsize(self) -> int:
        return self._session.retained_messages_count

    def empty(self) -> bool:
        return True

    def put_nowait(self, item: Any) -> None:
        self._put(item)

    async def put(self, item: Any) -> None:
        self._put(item)


# Seconds for which a session that has ended is still found.
_REMEMBERED = 1.0
# And how many of them, at most.
_MOST_REMEMBERED = 10_000


class SessionRegistry:
    """Keep the session objects that plugins and applications have seen.

    Those that have ended are found for another second: a client that only comes to publish has left
    before the handlers of its message run, and they may ask who it was.

    Args:
        loop: the event loop of the broker.
        engine: returns the engine, or None while there is none.
        marks_anonymous: whether clients without user name are marked as anonymous.
        tls_of: returns the TLS object of a connection that was handed in, by its number.
        keep_alive_extra: seconds that are added to the keep alive of clients that have one.

    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        engine: EngineSource,
        marks_anonymous: bool,
        tls_of: Callable[[int], Any],
        keep_alive_extra: int,
    ) -> None:
        """Begin without sessions."""
        self._loop = loop
        self._engine = engine
        self._marks_anonymous = marks_anonymous
        self._tls_of = tls_of
        self._keep_alive_extra = keep_alive_extra
        self._sessions: dict[str, BrokerSession] = {}
        # Of clients that are not admitted yet, by ticket.
        self._candidates: dict[int, BrokerSession] = {}
        # Of sessions that are over, with the time to forget them, by client id; oldest first.
        self._ended: dict[str, tuple[float, BrokerSession]] = {}
        self._forgetting: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        """Return how many session objects are kept."""
        return len(self._sessions) + len(self._candidates) + len(self._ended)

    def clear(self) -> None:
        """Forget all sessions."""
        self._sessions.clear()
        self._candidates.clear()
        self._ended.clear()
        if self._forgetting is not None:
            self._forgetting.cancel()
            self._forgetting = None

    def _fill(self, session: BrokerSession, facts: dict[str, Any]) -> None:
        session.fill(facts)
        if facts["listener"] and facts["keep_alive"]:
            session.keep_alive = facts["keep_alive"] + self._keep_alive_extra
        if facts["external"]:
            session.ssl_object = self._tls_of(facts["external"])

    def _make(self, facts: dict[str, Any]) -> BrokerSession:
        session = BrokerSession(self._engine, facts["client_id"])
        self._fill(session, facts)
        session.is_anonymous = self._marks_anonymous and not session.username
        return session

    def candidate(self, ticket: int, facts: dict[str, Any]) -> BrokerSession:
        """Make the session of a client that wants to connect."""
        session = self._candidates[ticket] = self._make(facts)
        return session

    def drop_candidate(self, ticket: int) -> None:
        """Forget a client that was refused."""
        self._candidates.pop(ticket, None)

    def connected(self, ticket: int, resumed: bool, facts: dict[str, Any]) -> BrokerSession:
        """Return the session of a client that was admitted."""
        candidate = self._candidates.pop(ticket, None) or self._make(facts)
        known = self._sessions.get(facts["client_id"]) if resumed else None
        if known is not None and known.owner != facts["username"]:
            # What plugins have noted of one user is not another's; before the first there was none.
            is_anybodys = known.login == 0 and known.owner is None
            known = known if is_anybodys else None
        session = known or candidate
        if known is not None:
            self._fill(known, facts)
            known.is_anonymous = candidate.is_anonymous
            # Snapshots keep the ones before.
            known.attributes = {**known.attributes, **candidate.attributes}
        else:
            session.username = session.owner = facts["username"]
            session.login = facts["login"]
        session.parent = 1 if resumed else 0
        session.set_connected(True)
        self._sessions[facts["client_id"]] = session
        return session

    def disconnected(self, client_id: str, reason: int) -> BrokerSession:
        """Return the session of a client whose connection is over."""
        session = self.get(client_id) or BrokerSession(self._engine, client_id)
        session.set_connected(False)
        session.disconnect_reason = reason
        return session

    def ended(self, client_id: str) -> None:
        """Forget a session that is over, in a while."""
        session = self._sessions.pop(client_id, None)
        if session is None:
            return
        self._ended.pop(client_id, None)  # so that it goes to the end
        self._ended[client_id] = self._loop.time() + _REMEMBERED, session
        if len(self._ended) > _MOST_REMEMBERED:
            del self._ended[next(iter(self._ended))]
        if self._forgetting is None:
            self._forget_later()

    def _forget_later(self) -> None:
        again = weakref.WeakMethod(self._forget)  # the loop must not keep the engine
        self._forgetting = self._loop.call_later(_REMEMBERED, call_if_alive, again)

    def _forget(self) -> None:
        self._forgetting = None
        now = self._loop.time()
        for client_id, (until, _) in list(self._ended.items()):
            if until > now:
                self._forget_later()
                return
            del self._ended[client_id]

    def recent(self, client_id: str) -> BrokerSession | None:
        """Return a session that has ended a moment ago, or whose end is still to be told here."""
        _, session = self._ended.get(client_id, (0.0, None))
        return self._sessions.get(client_id, session)

    def get(self, client_id: str) -> BrokerSession | None:
        """Return a session that the engine has or had a moment ago; None when it has not."""
        session = self.look_at(client_id)
        if session is not None:
            self._sessions[client_id] = session
        return session

    def look_at(self, client_id: str) -> BrokerSession | None:
        """Return a session that the engine has, and keep nothing of it; None when it has none."""
        known = self._sessions.get(client_id)
        if known is not None:
            return known
        engine = self._engine()
        facts = engine.find_session(client_id) if engine is not None else None
        if facts is None:
            return None
        session = self._make(facts)
        session.set_connected(bool(facts["connected"]))
        return session

    def of_event(self, client_id: str) -> BrokerSession:
        """Return the session that an event is about, though it may be over by now."""
        known = self.get(client_id) or self.recent(client_id)
        return known or BrokerSession(self._engine, client_id)

    def asker(self, client_id: str, login: int, user_name: str | None) -> BrokerSession:
        """Return the session of a client as it was when the engine asked about it.

        Args:
            client_id: the client.
            login: the login that had the session then.
            user_name: the user of that login.

        Returns:
            The session of that login, and never that of one behind it.

        """
        session = self.recent(client_id) or self.get(client_id)
        if session is not None and session.login == login:
            return session
        session = BrokerSession(self._engine, client_id)
        session.login, session.username, session.owner = login, user_name, user_name
        session.is_anonymous = self._marks_anonymous and not user_name
        return session


class LocalSubscription:
    """Iterate over the messages of a subscription that needs no connection.

    Get it from `Broker.subscribe`. It ends when the broker stops, with `close()`, at the end of an
    `async with` block, or when nobody holds it.

    Attributes:
        dropped: messages that were dropped because too many were waiting.

    """

    def __init__(self, most: int, unsubscribe: Callable[[], object]) -> None:
        """Begin to collect messages."""
        self.dropped = 0
        self._most = most
        self._unsubscribe = unsubscribe
        self._waiting: asyncio.Queue[ApplicationMessage | None] = asyncio.Queue()
        self._is_closed = False

    def deliver(self, message: ApplicationMessage) -> bool:
        """Take a message; False when too many are waiting."""
        if self._waiting.qsize() >= self._most:
            self.dropped += 1
            return False
        self._waiting.put_nowait(message)
        return True

    def end(self) -> None:
        """End the iteration behind the messages that are waiting."""
        if not self._is_closed:
            self._is_closed = True
            self._waiting.put_nowait(None)

    def close(self) -> None:
        """Unsubscribe."""
        self._unsubscribe()
        self.end()

    def __aiter__(self) -> LocalSubscription:
        """Return itself."""
        return self

    async def __anext__(self) -> ApplicationMessage:
        """Return the next message, as soon as there is one."""
        message = await self._waiting.get()
        if message is None:
            self._waiting.put_nowait(None)  # for whoever asks again
            raise StopAsyncIteration
        return message

    async def __aenter__(self) -> LocalSubscription:
        """Return itself."""
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Unsubscribe."""
        self.close()


def _text_if_possible(data: bytes | None) -> str | bytes | None:
    if data is None:
        return None
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data


subscriber_numbers = itertools.count(1)
