"""What a broker holds, as mappings that read and write the engine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from amqtt._broker.messages import retained_message
from amqtt.errors import BrokerError
from amqtt.session import RetainedApplicationMessage, Session

if TYPE_CHECKING:
    from collections.abc import Callable

    from amqtt._broker.sessions import EngineSource, SessionRegistry

Handler = TypeVar("Handler")
"""What stands for the connection of a session."""


class SessionsView(Mapping[str, tuple[Session, Handler]], Generic[Handler]):
    """The sessions of a broker by client id: those connected and those that wait for their client.

    Every access asks the engine.
    """

    def __init__(
        self,
        engine: EngineSource,
        registry: SessionRegistry,
        handler_of: Callable[[Session], Handler],
    ) -> None:
        """Make a view of an engine's sessions."""
        self._engine = engine
        self._registry = registry
        self._handler_of = handler_of

    def __getitem__(self, client_id: str) -> tuple[Session, Handler]:
        """Return a session and the handler of its connection."""
        engine = self._engine()
        facts = engine.find_session(client_id) if engine is not None else None
        session = self._registry.get(client_id) if facts is not None else None
        if facts is None or session is None:
            raise KeyError(client_id)
        session.set_connected(bool(facts["connected"]))
        return session, self._handler_of(session)

    def __iter__(self) -> Iterator[str]:
        """Iterate over the client ids of this moment."""
        engine = self._engine()
        return iter(engine.session_ids() if engine is not None else [])

    def __len__(self) -> int:
        """Return the number of sessions."""
        engine = self._engine()
        return engine.session_count() if engine is not None else 0

    def __repr__(self) -> str:
        """Name the clients."""
        return f"{type(self).__name__}({list(self)})"


class SubscriptionsView(Mapping[str, list[tuple[Session, int]]]):
    """The subscribers and their granted QoS, by topic filter.

    Every access asks the engine. A filter that nobody subscribes to has an empty list.
    """

    def __init__(self, engine: EngineSource, registry: SessionRegistry) -> None:
        """Make a view of an engine's subscriptions."""
        self._engine = engine
        self._registry = registry

    def _all(self) -> dict[str, list[tuple[str, int]]]:
        engine = self._engine()
        return engine.subscriptions() if engine is not None else {}

    def _subscribers_of(self, topic_filter: str) -> list[tuple[str, int]]:
        engine = self._engine()
        return engine.subscribers_of(topic_filter) if engine is not None else []

    def __getitem__(self, topic_filter: str) -> list[tuple[Session, int]]:
        """Return the subscribers of exactly this filter."""
        return [
            (self._registry.of_event(client_id), qos)
            for client_id, qos in self._subscribers_of(topic_filter)
        ]

    def __contains__(self, topic_filter: object) -> bool:
        """Tell whether somebody subscribes to exactly this filter."""
        return isinstance(topic_filter, str) and bool(self._subscribers_of(topic_filter))

    def __iter__(self) -> Iterator[str]:
        """Iterate over the filters of this moment."""
        return iter(self._all())

    def __len__(self) -> int:
        """Return the number of different filters."""
        return len(self._all())

    def __repr__(self) -> str:
        """Show filters, client ids and QoS."""
        return f"{type(self).__name__}({self._all()})"


class RetainedView(MutableMapping[str, RetainedApplicationMessage]):
    """The retained messages by topic. Writing stores and deletes them in the engine."""

    def __init__(self, engine: EngineSource, session_of: Callable[[str], Session]) -> None:
        """Make a view of an engine's retained messages."""
        self._engine = engine
        self._session_of = session_of

    def _running(self) -> Any:
        engine = self._engine()
        if engine is None:
            msg = "Broker instance can't retain a message: it is not running"
            raise BrokerError(msg)
        return engine

    def __getitem__(self, topic: str) -> RetainedApplicationMessage:
        """Return the retained message of a topic."""
        engine = self._engine()
        found = engine.find_retained(topic) if engine is not None else None
        if found is None:
            raise KeyError(topic)
        return retained_message(
            found, self._session_of(found.publisher) if found.publisher else None
        )

    def __setitem__(self, topic: str, message: RetainedApplicationMessage) -> None:
        """Retain a message, without publishing it."""
        self._running().retain(topic, message.data, message.qos or 0)

    def __delitem__(self, topic: str) -> None:
        """Forget the retained message of a topic."""
        if topic not in self:
            raise KeyError(topic)
        self._running().retain(topic, b"", 0)

    def __iter__(self) -> Iterator[str]:
        """Iterate over the topics of this moment."""
        engine = self._engine()
        return iter([message.topic for message in engine.retained()] if engine is not None else [])

    def __len__(self) -> int:
        """Return the number of retained messages."""
        engine = self._engine()
        return int(engine.status()["retained"]) if engine is not None else 0  # type: ignore[arg-type]

    def __repr__(self) -> str:
        """Name the topics."""
        return f"{type(self).__name__}({list(self)})"
