"""Calls of coroutine functions that never wait."""

from __future__ import annotations

import asyncio
import functools
from typing import Any
from unittest.mock import AsyncMock

import pytest

from amqtt._broker.immediate import StartOrder, never_waits, run_to_end


class Sample:
    async def answers(self, *, value: int = 1) -> int:
        return value

    async def awaits(self) -> None:
        await asyncio.sleep(0)

    async def awaits_sometimes(self, go: bool) -> None:
        if go:
            await self.awaits()

    async def iterates(self, items: Any) -> None:
        async for _ in items:
            pass

    async def enters(self, lock: asyncio.Lock) -> None:
        async with lock:
            pass

    async def comprehends(self, items: Any) -> list[Any]:
        return [each async for each in items]

    async def defines(self) -> Any:
        async def inner() -> None:
            await asyncio.sleep(0)

        return inner

    def plain(self) -> None:
        pass


def wrapped(function: Any) -> Any:
    @functools.wraps(function)
    async def call(*args: Any, **kwargs: Any) -> Any:
        return await function(*args, **kwargs)

    return call


@pytest.mark.parametrize("name", ["answers", "defines"])
def test_nothing_to_wait_for(name: str) -> None:
    assert never_waits(getattr(Sample(), name))
    assert never_waits(getattr(Sample, name))


@pytest.mark.parametrize(
    "call",
    [
        Sample().awaits, Sample().awaits_sometimes, Sample().iterates, Sample().enters,
        Sample().comprehends, Sample().plain, wrapped(Sample().answers),
        functools.partial(Sample().answers), AsyncMock(), len, Sample,
    ],
)  # fmt: skip
def test_what_may_wait_or_is_not_known(call: Any) -> None:
    assert not never_waits(call)


def test_a_coroutine_is_run_to_its_end() -> None:
    assert run_to_end(Sample().answers(value=7)) == 7


def test_what_it_raises_is_raised() -> None:
    async def fails() -> None:
        raise KeyError("x")

    with pytest.raises(KeyError):
        run_to_end(fails())


async def test_a_coroutine_that_waits_is_an_error_and_is_closed() -> None:
    closed = []

    async def waits() -> None:
        try:
            await asyncio.sleep(0)
        finally:
            closed.append(True)

    with pytest.raises(RuntimeError, match="has waited"):
        run_to_end(waits())
    assert closed == [True]


async def test_tasks_begin_before_the_order_is_clear_again() -> None:
    loop = asyncio.get_running_loop()
    order = StartOrder(loop)
    begun: list[int] = []

    async def begin(number: int) -> None:
        begun.append(number)

    assert order.is_clear
    tasks = []
    for number in range(3):
        tasks.append(loop.create_task(begin(number)))
        order.task_made()
        assert not order.is_clear
    while not order.is_clear:
        await asyncio.sleep(0)
    assert begun == [0, 1, 2]
    assert all(task.done() for task in tasks)
