"""Logins that wait for their turn."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from typing import Any

import pytest

from amqtt.logs import LogLimiter
from amqtt.plugins import login_queue
from amqtt.plugins.login_queue import LoginQueue, TooManyLoginsError
from amqtt.session import Session


def session_of(address: str | None, user: str | None) -> Session:
    session = Session()
    session.remote_address, session.username = address, user
    return session


class Crowd:
    """Logins whose checks last until they are told to end, one by one."""

    def __init__(self, slots: int = 1) -> None:
        self.queue = LoginQueue(LogLimiter(logging.getLogger("test.logins")), slots)
        self.served: list[str] = []
        self.refused: Counter[str] = Counter()
        self._ends: list[asyncio.Event] = []
        self.tasks: list[asyncio.Task[None]] = []

    async def come(self, name: str, address: str | None, user: str | None) -> None:
        """Let a login come; when this returns it waits, is served or refused."""
        self.tasks.append(asyncio.create_task(self._login(name, session_of(address, user))))
        await settle()

    async def _login(self, name: str, session: Session) -> None:
        end = asyncio.Event()
        try:
            async with self.queue.turn(session):
                self.served.append(name)
                self._ends.append(end)
                await end.wait()
        except TooManyLoginsError:
            self.refused[name] += 1

    async def end_one(self) -> None:
        self._ends.pop(0).set()
        await settle()

    async def end_all(self) -> None:
        while self._ends:
            await self.end_one()
        assert len(self.queue) == 0
        assert all(each.done() for each in self.tasks)


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_as_many_have_their_turn_as_there_are_slots() -> None:
    crowd = Crowd(slots=2)
    for name in ("1", "2", "3"):
        await crowd.come(name, "192.0.2.1", "u")
    assert crowd.served == ["1", "2"]
    await crowd.end_one()
    assert crowd.served == ["1", "2", "3"]
    await crowd.end_all()


async def test_addresses_take_turns_and_so_do_the_users_of_one() -> None:
    crowd = Crowd()
    for n in range(5):
        await crowd.come(f"flood{n}", "192.0.2.1", "u")
    await crowd.come("neighbour", "192.0.2.1", "v")
    await crowd.come("other", "192.0.2.2", "u")
    await crowd.end_all()
    assert crowd.served == [
        "flood0", "flood1", "other", "neighbour", "flood2", "flood3", "flood4",
    ]  # fmt: skip


async def test_an_address_fills_its_own_share_only(caplog: pytest.LogCaptureFixture) -> None:
    crowd = Crowd()
    for _ in range(600):
        await crowd.come("flood", "192.0.2.1", "u")
    assert crowd.refused["flood"] == 599 - login_queue.MOST_OF_USER
    await crowd.come("same user", "192.0.2.2", "u")
    await crowd.come("same address", "192.0.2.1", "v")
    for _ in range(3):
        await crowd.end_one()
    assert set(crowd.served) == {"flood", "same user", "same address"}
    assert 1 <= len(caplog.records) < 10, "the log is bounded as well"
    await crowd.end_all()
    assert set(crowd.refused) == {"flood"}


async def test_an_address_that_tries_many_names_fills_its_own_share_only() -> None:
    crowd = Crowd()
    for n in range(600):
        await crowd.come("flood", "192.0.2.1", f"u{n}")
    assert len(crowd.queue) == login_queue.MOST_OF_ADDRESS
    await crowd.come("other", "192.0.2.2", "u1")
    await crowd.end_one()
    await crowd.end_one()
    assert crowd.served == ["flood", "flood", "other"]
    await crowd.end_all()


async def test_a_user_name_may_be_tried_from_many_addresses() -> None:
    crowd = Crowd()
    for n in range(200):
        await crowd.come("flood", f"192.0.2.{n % 20}", "u")
    await crowd.come("owner", "198.51.100.1", "u")
    assert len(crowd.queue) == login_queue.MOST_OF_USER
    assert not crowd.refused["owner"]
    for _ in range(22):
        await crowd.end_one()
    assert "owner" in crowd.served
    await crowd.end_all()


async def test_there_is_a_bound_for_all_of_them() -> None:
    crowd = Crowd()
    for n in range(2000):
        await crowd.come("flood", f"192.0.2.{n % 100}", f"u{n % 200}")
    assert len(crowd.queue) == login_queue.MOST_WAITING
    await crowd.come("owner", "198.51.100.1", "owner")
    assert not crowd.refused["owner"]
    await crowd.end_all()
    assert "owner" in crowd.served


async def test_a_login_that_is_given_up_leaves_its_place() -> None:
    crowd = Crowd()
    for name in ("1", "2", "3"):
        await crowd.come(name, "192.0.2.1", "u")
    crowd.tasks[1].cancel()
    await settle()
    assert len(crowd.queue) == 1
    crowd.tasks[0].cancel()  # which has its turn
    await settle()
    assert crowd.served == ["1", "3"]
    crowd._ends.clear()
    crowd.tasks[2].cancel()
    await settle()
    await crowd.come("4", "192.0.2.1", "u")
    assert crowd.served == ["1", "3", "4"]
    await crowd.end_all()


async def test_a_turn_that_comes_with_the_cancellation_is_handed_on() -> None:
    crowd = Crowd()
    for name in ("1", "2", "3"):
        await crowd.come(name, "192.0.2.1", "u")
    crowd._ends.pop(0).set()
    await asyncio.sleep(0)  # the first leaves, the second has its turn and does not run yet
    crowd.tasks[1].cancel()
    await settle()
    assert crowd.served == ["1", "3"]
    await crowd.end_all()


async def test_all_are_given_up_at_once() -> None:
    crowd = Crowd(slots=2)
    for n in range(10):
        await crowd.come(str(n), "192.0.2.1", "u")
    for task in crowd.tasks:  # those that have their turn as well
        task.cancel()
    results = await asyncio.gather(*crowd.tasks, return_exceptions=True)
    assert all(isinstance(each, asyncio.CancelledError) for each in results)
    assert len(crowd.queue) == 0
    crowd._ends.clear()
    await crowd.come("next", "192.0.2.1", "u")
    assert crowd.served == ["0", "1", "next"]
    await crowd.end_all()


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8::1", "2001:db8::2:3", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("fe80::1%eth0", "fe80::1%eth0", True),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
        ("unix:/run/x", "unix:/run/x", True),
        (None, "", True),
    ],
)
async def test_what_counts_as_one_address(one: Any, other: Any, same: bool) -> None:
    assert (login_queue._network_of(one) == login_queue._network_of(other)) is same
