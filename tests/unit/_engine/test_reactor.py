"""How events of the engine reach the clients of a loop when one of them fails."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from amqtt._engine.codes import ClientEvent
from amqtt._engine.reactor import ClientReactor


class Client:
    """Takes messages, and fails with the first ones."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error
        self.topics: list[str] = []

    def message_received(self, topic: str, *_: Any) -> None:
        self.topics.append(topic)
        if self.error is not None:
            error, self.error = self.error, None
            raise error

    def connection_lost(self, reason: str) -> None:
        self.topics.append(reason)


def batch_for(reactor: ClientReactor, *clients: Client) -> list[tuple[Any, ...]]:
    handles = [reactor.open(each) for each in clients]  # type: ignore[arg-type]
    messages: list[tuple[Any, ...]] = [
        (ClientEvent.MESSAGE, handle, topic, b"", 0, False, 0, False, None)
        for topic in ("a", "b")
        for handle in handles
    ]
    return [*messages, *((ClientEvent.LOST, handle, "lost") for handle in handles)]


async def test_an_event_that_cannot_be_handled_costs_no_other(
    caplog: pytest.LogCaptureFixture,
) -> None:
    reactor = ClientReactor(asyncio.get_running_loop())
    failing, other = Client(ValueError("broken")), Client()
    reactor._handle(batch_for(reactor, failing, other))
    assert failing.topics == other.topics == ["a", "b", "lost"]
    assert "An event of the engine could not be handled" in caplog.text
    assert "ValueError: broken" in caplog.text


async def test_what_ends_the_program_leaves_the_other_events_to_the_next_turn() -> None:
    reactor = ClientReactor(asyncio.get_running_loop())
    failing, other = Client(SystemExit(3)), Client()
    with pytest.raises(SystemExit):
        reactor._handle(batch_for(reactor, failing, other))
    await asyncio.sleep(0)
    assert failing.topics == other.topics == ["a", "b", "lost"]
