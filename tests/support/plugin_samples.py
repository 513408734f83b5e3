"""Plugins that the tests load by their dotted path."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from dataclasses import dataclass
from enum import Enum
from typing import Any, ClassVar

from amqtt.contexts import Action, BaseContext
from amqtt.plugins.base import BaseAuthPlugin, BasePlugin, BaseTopicPlugin, Decision
from amqtt.plugins.topic_checking import TopicAccessControlListPlugin, TopicTabooPlugin

MODULE = __name__


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Plain(BasePlugin[BaseContext]):
    """Has neither options nor handlers."""


class WithOptions(BasePlugin[BaseContext]):
    @dataclass
    class Config:
        count: int
        file_name: str = "x"
        colour: Colour = Colour.RED


class Recorder(BasePlugin[BaseContext]):
    """Notes the events it is told."""

    def __init__(self, context: BaseContext) -> None:
        super().__init__(context)
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.closed = 0

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("on_"):
            raise AttributeError(name)

        async def note(**kwargs: Any) -> None:
            self.events.append((name, kwargs))

        return note

    async def close(self) -> None:
        self.closed += 1

    def names(self) -> list[str]:
        return [name for name, _ in self.events]


class Counting(BasePlugin[BaseContext]):
    """Counts the messages, and waits at a gate for each."""

    def __init__(self, context: BaseContext) -> None:
        super().__init__(context)
        self.received = 0
        self.gate = asyncio.Event()
        self.gate.set()

    async def on_broker_message_received(self, *, client_id: str, message: Any) -> None:
        await self.gate.wait()
        self.received += 1
        assert client_id
        assert message.data


class BadHandler(BasePlugin[BaseContext]):
    def on_broker_pre_start(self) -> None:
        pass


class BadConfig(BasePlugin[BaseContext]):
    class Config:  # type: ignore[assignment]
        pass


class BadInit(BasePlugin[BaseContext]):
    def __init__(self, context: BaseContext) -> None:
        super().__init__(context)
        msg = "no"
        raise ValueError(msg)


class BadAuth(BaseAuthPlugin):
    def authenticate(self, **_: Any) -> bool:  # type: ignore[override]
        return True


class BadTopic(BaseTopicPlugin):
    def topic_filtering(self, **_: Any) -> bool:  # type: ignore[override]
        return True


class Failing(BaseAuthPlugin, BaseTopicPlugin):
    """Raises wherever it is asked or told something."""

    async def authenticate(self, **_: Any) -> bool:
        msg = "authenticate is broken"
        raise RuntimeError(msg)

    async def topic_filtering(self, **_: Any) -> bool:
        msg = "topic_filtering is broken"
        raise RuntimeError(msg)

    async def on_broker_post_start(self) -> None:
        msg = "the handler is broken"
        raise RuntimeError(msg)

    async def close(self) -> None:
        msg = "close is broken"
        raise RuntimeError(msg)


class Answers(BaseAuthPlugin, BaseTopicPlugin):
    """Answers what its options say."""

    @dataclass
    class Config:
        auth: Any = True
        topic: Any = True

    async def authenticate(self, **_: Any) -> Any:
        return self.config.auth

    async def topic_filtering(self, **_: Any) -> Any:
        return self.config.topic


class AnswersToo(Answers):
    """The same once more."""


class Neither:
    """Has no truth value."""

    def __bool__(self) -> bool:
        msg = "neither true nor false"
        raise ValueError(msg)


class NotAPlugin:
    """Does not derive from `BasePlugin`, which entry points need not."""

    def __init__(self, context: BaseContext) -> None:
        self.context = context


class UserGate(BaseAuthPlugin):
    """Admits users by name; the user `slow` has to wait for `gate`, `raises` breaks it."""

    gate: asyncio.Event
    asked = 0

    async def authenticate(self, *, session: Any) -> bool | Decision | None:
        type(self).asked += 1
        session.attributes["asked"] = True
        if session.username == "slow":
            await self.gate.wait()
        if session.username == "raises":
            msg = "authenticate is broken"
            raise RuntimeError(msg)
        if session.username == "banned":
            return Decision(False, 0x8A, "you are banned")
        if session.username == "renamed":
            session.username = "other"
        return session.username not in ("bad", None)


class TopicGate(BaseTopicPlugin):
    """Waits for `gate` when a topic begins with `slow`, refuses what begins with `no`."""

    gate: asyncio.Event
    asked: list[tuple[str | None, str, str]]

    async def topic_filtering(
        self, *, session: Any = None, topic: str | None = None, action: Action | None = None
    ) -> bool | Decision:
        assert topic is not None
        self.asked.append((session.client_id, str(action), topic))
        if topic.startswith("slow"):
            await self.gate.wait()
        if topic.startswith("no"):
            return Decision(False, 0x97, "over your quota")
        return True


class RememberedTopics(TopicGate):
    verdict_ttl = 3600.0


class AclSubclass(TopicAccessControlListPlugin):
    """Runs in Python, because it is not exactly the packaged plugin."""


class TabooSubclass(TopicTabooPlugin):
    """The same."""


class InOrder(BasePlugin[BaseContext]):
    """Waits in one handler and not in the others, and notes in which order they begin."""

    begun: ClassVar[list[str]] = []

    async def on_broker_client_connected(self, *, client_id: str, client_session: Any) -> None:
        self.begun.append(f"connected {client_id}")
        await asyncio.sleep(0)
        assert client_session

    async def on_broker_message_received(self, *, client_id: str, message: Any) -> None:
        self.begun.append(f"received {message.data.decode()} of {client_id}")

    async def on_broker_client_disconnected(self, *, client_id: str, client_session: Any) -> None:
        self.begun.append(f"disconnected {client_id}")
        await asyncio.sleep(0)
        assert client_session


NOTED: ContextVar[str] = ContextVar("NOTED", default="nothing")


class Immediate(BaseTopicPlugin):
    """Never waits, and fails now and then."""

    seen: ClassVar[list[str]] = []

    async def on_broker_message_received(self, *, client_id: str, message: Any) -> None:
        self.seen.append(NOTED.get())
        NOTED.set(message.topic)
        if message.topic == "cancel":
            raise asyncio.CancelledError
        if message.topic == "fail":
            raise ValueError(f"handler of {client_id}")

    async def topic_filtering(
        self, *, session: Any = None, topic: str | None = None, action: Action | None = None
    ) -> bool | None:
        if action is Action.PUBLISH and topic == "fail-to-decide":
            raise ValueError(f"decision on {session.client_id}")
        if action is Action.PUBLISH and topic == "cancel-decision":
            raise asyncio.CancelledError
        return topic != "forbidden"


class Strict(BaseTopicPlugin):
    """Takes back all verdicts with each message to `forget`, in the batch that it decides in."""

    verdict_ttl = 3600.0
    asked = 0

    async def topic_filtering(
        self, *, session: Any = None, topic: str | None = None, action: Action | None = None
    ) -> bool | None:
        type(self).asked += 1
        assert session
        assert action
        if topic == "forget":
            self.context.invalidate_verdicts()  # type: ignore[attr-defined]
        return True


class EventCounter(BasePlugin[BaseContext]):
    """Counts the events of messages, in handlers that never wait and in one that does."""

    def __init__(self, context: BaseContext) -> None:
        super().__init__(context)
        self.counted = 0
        self.waited = 0

    async def on_broker_message_received(self, *, client_id: str, message: Any) -> None:
        self.counted += len(message.data) and len(client_id)

    async def on_broker_message_broadcast(self, *, client_id: str, message: Any) -> None:
        self.counted += len(message.topic) and len(client_id)

    async def on_broker_retained_message(
        self, *, client_id: str | None, retained_message: Any
    ) -> None:
        assert client_id is None
        await asyncio.sleep(0)
        self.waited += bool(retained_message.data)
