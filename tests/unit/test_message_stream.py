"""Streams of received messages: what is left in them, and who may wait for one."""

from __future__ import annotations

import asyncio
import gc

import pytest

from amqtt._client.inbox import Inbox, MessageStream
from amqtt.session import ApplicationMessage


class Owner:
    """A client with an inbox of eight messages."""

    def __init__(self) -> None:
        self.consumed = 0
        self.inbox = Inbox(8, 1 << 20, False, self._consumed)

    def _consumed(self, messages: int, _size: int) -> None:
        self.consumed += messages

    def end_of_messages(self) -> BaseException | None:
        return None

    def inbox_has_unclaimed(self) -> bool:
        return False

    async def deliver_message(
        self, timeout_duration: float | None = None
    ) -> ApplicationMessage | None:
        raise NotImplementedError

    def receive(self, count: int) -> None:
        for number in range(count):
            message = ApplicationMessage(None, "a/b", 0, b"%d" % number, False)
            assert self.inbox.claim(message)


async def test_what_waits_in_a_stream_that_was_left_makes_room() -> None:
    """After `async for ...: break`; the engine stops to read when nobody makes room."""
    owner = Owner()
    for _ in range(10):
        stream = MessageStream(owner, ("a/#",))
        owner.receive(8)
        async for message in stream:
            assert message.data == b"0"
            break
        del stream
        gc.collect()
    assert owner.consumed == 80


async def test_what_another_stream_has_too_waits_there() -> None:
    owner = Owner()
    kept, left = MessageStream(owner, ("a/#",)), MessageStream(owner, ("a/b",))
    owner.receive(8)
    del left
    gc.collect()
    assert owner.consumed == 0
    await kept.aclose()
    assert owner.consumed == 8


async def test_a_second_task_that_waits_is_refused() -> None:
    owner = Owner()
    stream = MessageStream(owner, ("a/#",))
    first = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0)
    with pytest.raises(RuntimeError, match="Another task waits for a message of this stream"):
        await anext(stream)
    owner.receive(2)
    assert (await first).data == b"0"
    assert (await anext(stream)).data == b"1"


async def test_a_task_that_was_cancelled_does_not_wait_any_more() -> None:
    owner = Owner()
    stream = MessageStream(owner, ("a/#",))
    first = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.wait((first,))
    owner.receive(1)
    assert (await anext(stream)).data == b"0"
