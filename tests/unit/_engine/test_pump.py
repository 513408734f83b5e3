"""The pump that brings what the engine says to the event loop."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from typing import Any

import pytest

from amqtt._engine.pump import EventPump


class Engine:
    """Has events as long as `left` is more than 0, and says all the time that there are some."""

    def __init__(self) -> None:
        self.left = 0
        self._reading, self._writing = os.pipe()
        os.write(self._writing, b"x")

    def fileno(self) -> int:
        return self._reading

    def take_events(self, most: int) -> tuple[list[Any], bool]:
        count = min(self.left, most)
        self.left -= count
        return [()] * count, self.left > 0

    def close(self) -> None:
        os.close(self._reading)
        os.close(self._writing)


class Owner:
    """Notes in which turn of the loop it was handed how many events."""

    def __init__(self) -> None:
        self.turn = 0
        self.taken: list[tuple[int, int]] = []

    def handle(self, events: list[Any]) -> None:
        self.taken.append((self.turn, len(events)))

    def next_turn(self) -> None:
        self.turn += 1
        asyncio.get_running_loop().call_soon(self.next_turn)


@pytest.fixture
def engine() -> Iterator[Engine]:
    made = Engine()
    yield made
    made.close()


async def test_many_events_are_taken_once_in_a_turn(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("amqtt._engine.pump._EVENTS_PER_TICK", 10)
    owner, loop = Owner(), asyncio.get_running_loop()
    engine.left = 1000
    pump = EventPump(loop, engine, owner.handle)
    owner.next_turn()
    while engine.left:
        await asyncio.sleep(0)
    pump.close()
    assert [count for _, count in owner.taken] == [10] * 100
    turns = [turn for turn, _ in owner.taken]
    assert len(set(turns)) == len(turns)


async def test_a_pause_leaves_the_events_where_they_are(engine: Engine) -> None:
    owner, loop = Owner(), asyncio.get_running_loop()
    pump = EventPump(loop, engine, owner.handle)
    pump.pause()
    engine.left = 3
    for _ in range(10):
        await asyncio.sleep(0)
    assert owner.taken == []
    pump.resume()
    while engine.left:
        await asyncio.sleep(0)
    assert [count for _, count in owner.taken] == [3]
    pump.close()


async def test_what_is_left_is_taken_though_a_handler_has_failed(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("amqtt._engine.pump._EVENTS_PER_TICK", 10)
    loop = asyncio.get_running_loop()
    monkeypatch.setattr(loop, "call_exception_handler", lambda _: None)
    owner = Owner()
    handle = owner.handle

    class Failing:
        def handle(self, events: list[Any]) -> None:
            handle(events)
            raise ValueError

    failing = Failing()
    engine.left = 30
    pump = EventPump(loop, engine, failing.handle)
    while engine.left:
        await asyncio.sleep(0)
    pump.close()
    assert [count for _, count in owner.taken] == [10] * 3
