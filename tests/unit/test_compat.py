"""What stands in for an interpreter's own behaves as that of the newest does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from amqtt._compat import wait_for

# More turns of the loop than any of the calls below takes.
MANY = 20


class FailureError(Exception):
    """What is waited for raises it."""


async def turns(number: int) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


async def returns() -> str:
    await turns(3)
    return "done"


async def fails() -> str:
    await turns(3)
    raise FailureError


async def never() -> str:
    await asyncio.Event().wait()
    raise AssertionError


async def fails_when_cancelled() -> str:
    try:
        return await never()
    except asyncio.CancelledError:
        raise FailureError from None


async def returns_when_cancelled() -> str:
    try:
        return await never()
    except asyncio.CancelledError:
        return "done"


@pytest.mark.parametrize("timeout", [None, 10])
@pytest.mark.parametrize("waited_for", [returns, fails, never])
async def test_a_cancellation_is_never_swallowed(
    waited_for: Callable[[], Coroutine[Any, Any, str]], timeout: float | None
) -> None:
    """In whatever turn of the loop it comes, it counts until the call has ended."""
    for number in range(1, MANY):  # without any turn it has not begun
        task = asyncio.ensure_future(wait_for(waited_for(), timeout))
        await turns(number)
        if not task.cancel():
            assert waited_for is not never
            assert (task.exception() is None) == (waited_for is returns)
            return
        await asyncio.wait((task,))
        assert task.cancelled(), f"after {number} turns"
    assert waited_for is never, "it has no end"


async def test_the_result_and_the_exception_are_passed_on() -> None:
    assert await wait_for(returns(), 10) == "done"
    assert await wait_for(returns(), None) == "done"
    assert await wait_for(asyncio.ensure_future(returns()), 10) == "done"
    with pytest.raises(FailureError):
        await wait_for(fails(), 10)


@pytest.mark.parametrize("timeout", [-1, 0, 0.01])
async def test_what_takes_too_long_is_cancelled(timeout: float) -> None:
    task = asyncio.ensure_future(never())
    with pytest.raises(asyncio.TimeoutError):
        await wait_for(task, timeout)
    assert task.cancelled()


async def test_what_has_ended_already_needs_no_time() -> None:
    task = asyncio.ensure_future(returns())
    await task
    assert await wait_for(task, 0) == "done"


async def test_what_ends_by_itself_when_it_is_cancelled_has_a_result() -> None:
    assert await wait_for(returns_when_cancelled(), 0.01) == "done"
    with pytest.raises(FailureError):
        await wait_for(fails_when_cancelled(), 0.01)


async def test_a_caller_that_is_cancelled_again_does_not_wait() -> None:
    """What is waited for may refuse to end."""
    release = asyncio.Event()

    async def refuses() -> None:
        try:
            await release.wait()
        except asyncio.CancelledError:
            await release.wait()

    inner = asyncio.ensure_future(refuses())
    task = asyncio.ensure_future(wait_for(inner, 10))
    await turns(3)
    task.cancel()
    await turns(5)
    assert not task.done()
    task.cancel()
    await asyncio.wait((task,))
    assert task.cancelled()
    release.set()
    await asyncio.wait((inner,))
