"""Futures whose task goes on in the callback that has the result."""

from __future__ import annotations

import asyncio
import contextvars

import pytest

from amqtt._engine.futures import PromptFuture


def prompt() -> PromptFuture[str]:
    return PromptFuture(loop=asyncio.get_running_loop())


async def called(callback: object, *arguments: object) -> None:
    """Run something as a callback of the loop, and wait until it has run."""
    loop = asyncio.get_running_loop()
    loop.call_soon(callback, *arguments)  # type: ignore[arg-type]
    await asyncio.sleep(0)


async def test_the_task_goes_on_before_the_call_returns() -> None:
    future, steps = prompt(), []

    async def wait() -> None:
        steps.append(await future)

    def resume() -> None:
        future.resume("result")
        steps.append("returned")

    task = asyncio.create_task(wait())
    await asyncio.sleep(0)
    await called(resume)
    assert steps == ["result", "returned"]
    await task


async def test_the_task_keeps_its_context() -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable")
    future, seen = prompt(), []

    async def wait() -> None:
        variable.set("of the task")
        await future
        seen.append(variable.get())

    task = asyncio.create_task(wait())
    await asyncio.sleep(0)
    variable.set("of somebody else")
    await called(future.resume, "result")
    await task
    assert seen == ["of the task"]


async def test_a_result_that_nobody_waits_for_yet() -> None:
    future = prompt()
    future.resume("result")
    assert await future == "result"


async def test_other_callbacks_are_called_by_the_loop() -> None:
    future, seen = prompt(), []
    future.add_done_callback(lambda _: seen.append("other"))
    task = asyncio.create_task(as_task(future))
    await asyncio.sleep(0)
    await called(future.resume, "result")
    assert await task == "result"
    assert seen == []
    await asyncio.sleep(0)
    assert seen == ["other"]


async def as_task(future: PromptFuture[str]) -> str:
    return await future


async def test_a_waiting_task_that_is_cancelled() -> None:
    future = prompt()
    task = asyncio.create_task(as_task(future))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert future.cancelled()


async def test_waiting_with_a_time_limit() -> None:
    future = prompt()
    task = asyncio.create_task(asyncio.wait_for(future, 10))
    await asyncio.sleep(0)
    await called(future.resume, "result")
    assert await task == "result"
