"""What plugins are asked with, when the engine's events come close behind each other."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any, ClassVar

import pytest
from support.embedded import config_of

from amqtt._engine.codes import BrokerEvent, TopicAction
from amqtt.broker import Broker
from amqtt.contexts import Action
from amqtt.plugins.base import BaseAuthPlugin, BaseTopicPlugin
from amqtt.plugins.enhanced_authentication import AuthenticationStep, BaseEnhancedAuthPlugin

PUBLISH, RECEIVE = TopicAction.PUBLISH, TopicAction.RECEIVE


class Asked(BaseAuthPlugin, BaseTopicPlugin, BaseEnhancedAuthPlugin):
    """Notes who it was asked about, after everything else has had its turn."""

    authentication_methods = ("M",)
    notes: ClassVar[list[tuple[Any, ...]]] = []

    async def authenticate(self, *, session: Any) -> bool:
        session.attributes["role"] = f"of {session.username}"
        await asyncio.sleep(0)
        self.notes.append(("authenticate", session.username))
        return True

    async def topic_filtering(
        self, *, session: Any = None, topic: str | None = None, action: Action | None = None
    ) -> bool:
        for _ in range(5):
            await asyncio.sleep(0)
        self.notes.append(
            (
                str(action),
                topic,
                session.client_id,
                session.username,
                session.password,
                session.remote_address,
                session.is_anonymous,
                session.attributes.get("role"),
            )
        )
        return True

    async def authenticate_step(self, *, step: AuthenticationStep) -> bool:
        self.notes.append(("step", step.session.client_id))
        return True


class Engine:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []

    def __getattr__(self, name: str) -> Any:
        return lambda *values: self.told.append((name, *values))

    def find_session(self, client_id: str) -> None:
        """Have no session."""


@pytest.fixture(autouse=True)
def notes() -> Iterator[list[tuple[Any, ...]]]:
    Asked.notes.clear()
    yield Asked.notes
    Asked.notes.clear()


def facts(user: str | None, login: int, client_id: str = "c") -> dict[str, Any]:
    return {
        "client_id": client_id, "username": user, "login": login, "connected": True,
        "password": f"password of {user}".encode(), "address": f"host of {user}", "port": 1,
        "listener": "default", "external": 0, "protocol_version": 4, "clean_start": False,
        "keep_alive": 0, "properties": {}, "tls": None, "will": ("t", b"will", 0, False),
    }  # fmt: skip


def broker_with(engine: Engine) -> Broker:
    broker = Broker(config_of([f"{__name__}.Asked"]))
    broker._dispatch.attach(engine, None)  # type: ignore[arg-type]
    return broker


async def decided(broker: Broker) -> None:
    while len(broker._dispatch._decisions):
        await asyncio.sleep(0)
    await asyncio.sleep(0)


async def test_a_client_that_is_refused_at_once_leaves_nothing() -> None:
    engine = Engine()
    broker = broker_with(engine)
    dispatch = broker._dispatch
    events: list[Any] = []
    for ticket in range(1, 101):
        events.append((BrokerEvent.AUTHENTICATE, ticket, facts("u", 0, f"c{ticket}")))
        events.append((BrokerEvent.CLIENT_REFUSED, ticket))
    dispatch.handle(events)
    assert len(dispatch.registry) == 0
    assert len(dispatch._decisions) == 0
    await decided(broker)
    assert Asked.notes == []
    assert len(dispatch.registry) == 0
    # The engine counts what is open here.
    answers = [told for told in engine.told if told[0] == "authenticated"]
    assert answers == [("authenticated", n, False, 0x87, "", None) for n in range(1, 101)]
    dispatch.detach()


async def test_a_client_that_is_refused_while_it_is_decided_on_leaves_nothing() -> None:
    engine = Engine()
    broker = broker_with(engine)
    broker._dispatch.handle([(BrokerEvent.AUTHENTICATE, 1, facts("u", 0))])
    await asyncio.sleep(0)  # the plugin is at work
    broker._dispatch.handle([(BrokerEvent.CLIENT_REFUSED, 1)])
    assert len(broker._dispatch.registry) == 0
    await decided(broker)
    assert Asked.notes == [("authenticate", "u")]
    assert len(broker._dispatch.registry) == 0
    broker._dispatch.detach()


async def test_an_exchange_that_ends_at_once_leaves_nothing() -> None:
    engine = Engine()
    broker = broker_with(engine)
    dispatch = broker._dispatch
    step = (facts("u", 0), "c", "M", b"data", True, False)
    dispatch.handle(
        [
            (BrokerEvent.AUTHENTICATION_STEP, 1, *step),
            (BrokerEvent.AUTHENTICATION_ENDED, 1),
            (BrokerEvent.CLIENT_REFUSED, 1),
        ]
    )
    assert len(dispatch.registry) == 0
    assert dispatch.exchanges._steps == {}
    await decided(broker)
    assert Asked.notes == []
    assert dispatch.exchanges._steps == {}
    assert [told[:3] for told in engine.told if told[0] == "authentication_reply"] == [
        ("authentication_reply", 1, 2)
    ]
    dispatch.handle([(BrokerEvent.AUTHENTICATION_STEP, 2, *step)])
    await asyncio.sleep(0)
    dispatch.handle([(BrokerEvent.AUTHENTICATION_ENDED, 2), (BrokerEvent.CLIENT_REFUSED, 2)])
    await decided(broker)
    assert Asked.notes == [("step", "c")]
    assert len(dispatch.registry) == 0
    assert dispatch.exchanges._steps == {}
    dispatch.detach()


def login(ticket: int, user: str | None, number: int, *, resumed: bool) -> list[Any]:
    who = facts(user, number)
    return [
        (BrokerEvent.AUTHENTICATE, ticket, who),
        (BrokerEvent.CLIENT_CONNECTED, ticket, resumed, who),
    ]


@pytest.mark.parametrize("action", [PUBLISH, RECEIVE])
async def test_a_decision_is_about_who_was_asked_about(action: int) -> None:
    """Another user has the session before the plugin looks at it."""
    broker = broker_with(Engine())
    dispatch = broker._dispatch
    dispatch.handle([(BrokerEvent.AUTHENTICATE, 1, facts("alice", 0))])
    await decided(broker)
    dispatch.handle([(BrokerEvent.CLIENT_CONNECTED, 1, False, facts("alice", 1))])
    dispatch.handle([(BrokerEvent.AUTHENTICATE, 2, facts("mallory", 0))])
    await decided(broker)
    Asked.notes.clear()
    dispatch.handle(
        [
            (BrokerEvent.CHECK_TOPIC, 3, "c", action, "t", 1, "alice"),
            (BrokerEvent.CLIENT_DISCONNECTED, "c", 0),
            (BrokerEvent.CLIENT_CONNECTED, 2, True, facts("mallory", 2)),
            (BrokerEvent.CHECK_TOPIC, 4, "c", action, "t", 2, "mallory"),
        ]
    )
    await decided(broker)
    name = "publish" if action == PUBLISH else "receive"
    assert Asked.notes == [
        (name, "t", "c", user, f"password of {user}", f"host of {user}", False, f"of {user}")
        for user in ("alice", "mallory")
    ]
    dispatch.detach()


async def test_a_decision_is_about_the_login_that_was_asked_about() -> None:
    """The same user has logged in again, with another password."""
    broker = broker_with(Engine())
    dispatch = broker._dispatch
    again = {**facts("alice", 2), "password": b"new", "address": "elsewhere"}
    dispatch.handle(
        [
            (BrokerEvent.CLIENT_CONNECTED, 1, False, facts("alice", 1)),
            (BrokerEvent.CHECK_TOPIC, 3, "c", PUBLISH, "t", 1, "alice"),
            (BrokerEvent.CLIENT_CONNECTED, 2, True, again),
            (BrokerEvent.CHECK_TOPIC, 4, "c", PUBLISH, "t", 2, "alice"),
        ]
    )
    session = broker._dispatch.registry.get("c")
    await decided(broker)
    assert [note[3:6] for note in Asked.notes] == [
        ("alice", "password of alice", "host of alice"),
        ("alice", "new", "elsewhere"),
    ]
    assert dispatch.registry.get("c") is session
    dispatch.detach()


async def test_a_session_of_an_earlier_process_is_its_owners() -> None:
    broker = broker_with(Engine())
    dispatch = broker._dispatch
    dispatch.handle(
        [
            (BrokerEvent.CLIENT_CONNECTED, 2, True, facts("mallory", 2)),
            # As it may come when the events before have waited.
            (BrokerEvent.CHECK_TOPIC, 4, "c", RECEIVE, "t", 0, "alice"),
            (BrokerEvent.CHECK_TOPIC, 5, "c", RECEIVE, "t", 0, None),
        ]
    )
    await decided(broker)
    assert [note[3:5] for note in Asked.notes] == [("alice", None), (None, None)]
    dispatch.detach()


async def test_what_plugins_know_of_one_user_is_not_another_s() -> None:
    broker = broker_with(Engine())
    registry = broker._dispatch.registry
    first = registry.connected(1, False, facts("alice", 1))
    first.attributes["role"] = "admin"
    again = registry.connected(2, True, facts("alice", 2))
    assert again is first
    assert again.attributes == {"role": "admin"}
    other = registry.connected(3, True, facts("mallory", 3))
    assert other.attributes == {}
    assert first.username == "alice"
    assert first.password == "password of alice"
    assert registry.get("c") is other
    broker._dispatch.detach()


async def test_verdicts_are_given_to_the_engine_that_has_asked() -> None:
    first, second = Engine(), Engine()
    broker = broker_with(first)
    dispatch = broker._dispatch
    dispatch.handle([(BrokerEvent.CHECK_TOPIC, 1, "c", PUBLISH, "t", 0, None)])
    running = list(dispatch._decisions._due)
    dispatch._decisions._due.clear()  # as if the plugin would not be cancelled
    dispatch.detach()
    dispatch.attach(second, None)  # type: ignore[arg-type]
    await asyncio.gather(*running)
    await asyncio.sleep(0)
    assert [told for told in second.told if told[0] != "set_events"] == []
    assert [told for told in first.told if told[0] == "topics_allowed"] == []
    dispatch.detach()


@pytest.mark.parametrize("name", [5, b"bytes", ["list"]])
async def test_a_user_name_that_is_no_text_refuses(
    name: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def authenticate(_: Asked, *, session: Any) -> bool:
        session.username = name
        return True

    monkeypatch.setattr(Asked, "authenticate", authenticate)
    engine = Engine()
    broker = broker_with(engine)
    broker._dispatch.handle([(BrokerEvent.AUTHENTICATE, 1, facts("alice", 0))])
    await decided(broker)
    assert ("authenticated", 1, False, 0x87, "", None) in engine.told
    assert type(name).__name__ in caplog.text
    broker._dispatch.detach()


async def test_a_question_that_cannot_be_handled_is_refused(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Engine()
    broker = broker_with(engine)
    dispatch = broker._dispatch

    def fail(*_: Any) -> None:
        msg = "broken"
        raise ValueError(msg)

    monkeypatch.setattr(dispatch.registry, "candidate", fail)
    monkeypatch.setattr(dispatch.registry, "asker", fail)
    monkeypatch.setitem(dispatch._on_kind, BrokerEvent.PSK_KEY, fail)
    dispatch.handle(
        [
            (BrokerEvent.AUTHENTICATE, 1, facts("u", 0)),
            (BrokerEvent.AUTHENTICATION_STEP, 2, facts("u", 0), "c", "M", b"", True, False),
            (BrokerEvent.CHECK_TOPIC, 3, "c", PUBLISH, "t", 0, None),
            (BrokerEvent.PSK_KEY, 4, "listener", "identity"),
        ]
    )
    assert [told for told in engine.told if told[0] != "set_events"] == [
        ("authenticated", 1, False, 0x87, "", None),
        ("authentication_reply", 2, 2, b"", 0x87, "", None),
        ("topic_decided", 3, False, 0x87, "", 0.0),
        ("psk_key", 4, b""),
    ]
    assert caplog.text.count("could not be handled") == 4
    dispatch.detach()
