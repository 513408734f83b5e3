"""The time limit of decisions, and verdicts that are handed over together."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from amqtt._broker.decisions import RunningDecisions, TopicAnswers, Verdict


class Owner:
    def __init__(self) -> None:
        self.ended = 0

    def decision_ended(self) -> None:
        self.ended += 1


async def until_empty(running: RunningDecisions) -> None:
    while len(running):
        await asyncio.sleep(0.01)


async def test_decisions_that_hang_are_cancelled_and_others_are_not() -> None:
    owner, outcomes = Owner(), []
    running = RunningDecisions(asyncio.get_running_loop(), 0.05, owner.decision_ended)

    async def hang(name: str) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            outcomes.append(f"{name} is cancelled")
            raise

    async def decide() -> None:
        outcomes.append("decided")

    running.start(hang("first"))
    running.start(decide())
    assert len(running) == 2
    await asyncio.sleep(0)
    running.start(hang("second"))  # one timer watches all
    assert len(running) == 2
    await asyncio.wait_for(until_empty(running), 10)
    assert outcomes == ["decided", "first is cancelled", "second is cancelled"]
    assert owner.ended == 3


async def test_a_decision_that_fails_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    owner = Owner()
    running = RunningDecisions(asyncio.get_running_loop(), 10, owner.decision_ended)

    async def fail() -> None:
        raise ValueError("broken")

    running.start(fail())
    await asyncio.wait_for(until_empty(running), 10)
    assert "A decision has failed" in caplog.text
    assert "broken" in caplog.text
    running.cancel_all()


async def test_all_can_be_cancelled() -> None:
    owner, outcomes = Owner(), []
    running = RunningDecisions(asyncio.get_running_loop(), 10, owner.decision_ended)

    async def hang() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            outcomes.append("ended")

    running.start(hang())
    await asyncio.sleep(0)
    not_begun = hang()
    running.start(not_begun)
    running.cancel_all()
    assert len(running) == 0
    while not outcomes:
        await asyncio.sleep(0)
    assert outcomes == ["ended"]
    not_begun.close()


async def test_a_decision_that_has_not_begun_can_be_withdrawn() -> None:
    owner, outcomes = Owner(), []
    running = RunningDecisions(asyncio.get_running_loop(), 10, owner.decision_ended)

    async def decide(name: str) -> None:
        outcomes.append(f"{name} begun")
        await asyncio.sleep(0)
        outcomes.append(f"{name} ended")

    running.start(decide("first"), 1)
    running.start(decide("second"), 2)
    assert running.withdraw(1)
    assert not running.withdraw(1)
    assert not running.withdraw(3)
    assert len(running) == 1
    await asyncio.sleep(0)
    assert not running.withdraw(2)  # which plugins are at work on
    await asyncio.wait_for(until_empty(running), 10)
    assert outcomes == ["second begun", "second ended"]
    running.start(decide("third"), 3)
    running.cancel_all()
    assert not running.withdraw(3)


class Engine:
    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    def topics_allowed(self, tickets: list[int], ttl: float) -> None:
        self.calls.append(("allowed", tickets, ttl))

    def topic_decided(self, ticket: int, allowed: bool, code: int, reason: str, ttl: float) -> None:
        self.calls.append((ticket, allowed, code, reason, ttl))


async def test_what_is_allowed_is_handed_over_together() -> None:
    engine = Engine()
    answers = TopicAnswers(asyncio.get_running_loop())
    answers.engine = engine
    for ticket in range(3):
        answers.add(ticket, Verdict(True), 0.0)
    answers.add(3, Verdict(True), 60.0)
    assert engine.calls == []
    await asyncio.sleep(0)  # at the end of this turn of the loop
    assert engine.calls == [("allowed", [0, 1, 2], 0.0), ("allowed", [3], 60.0)]
    answers.add(4, Verdict(True), 0.0)
    await asyncio.sleep(0)
    assert engine.calls[2:] == [("allowed", [4], 0.0)]


async def test_many_do_not_wait_for_the_end_of_the_turn() -> None:
    engine = Engine()
    answers = TopicAnswers(asyncio.get_running_loop())
    answers.engine = engine
    for ticket in range(130):
        answers.add(ticket, Verdict(True), 0.0)
    assert [len(call[1]) for call in engine.calls] == [64, 64]
    answers.flush()
    assert [ticket for call in engine.calls for ticket in call[1]] == list(range(130))


async def test_refusals_have_their_reasons() -> None:
    engine = Engine()
    answers = TopicAnswers(asyncio.get_running_loop())
    answers.engine = engine
    answers.add(1, Verdict(False, 0x97, "too much"), 5.0)
    assert engine.calls == [(1, False, 0x97, "too much", 5.0)]


async def test_nobody_to_tell() -> None:
    answers = TopicAnswers(asyncio.get_running_loop())
    answers.add(1, Verdict(True), 0.0)
    answers.flush()
    answers.engine = engine = Engine()
    await asyncio.sleep(0)
    assert engine.calls == []


async def test_verdicts_that_are_flushed_anyway_cost_no_turn_of_the_loop() -> None:
    engine, calls = Engine(), []
    loop = asyncio.get_running_loop()
    answers = TopicAnswers(loop)
    answers.engine = engine
    answers.will_be_flushed = True
    answers.add(1, Verdict(True), 0.0)
    loop.call_soon(calls.append, "next turn")
    while not calls:
        await asyncio.sleep(0)
    assert engine.calls == []
    answers.flush()
    answers.flush()
    assert engine.calls == [("allowed", [1], 0.0)]


async def test_verdicts_are_those_of_the_engine_that_has_asked() -> None:
    first, second = Engine(), Engine()
    answers = TopicAnswers(asyncio.get_running_loop())
    answers.engine = first
    answers.add(1, Verdict(True), 0.0)
    answers.engine = None
    answers.engine = second  # before the turn of the loop ends
    await asyncio.sleep(0)
    answers.add(1, Verdict(True), 0.0)
    await asyncio.sleep(0)
    assert first.calls == []
    assert second.calls == [("allowed", [1], 0.0)]
