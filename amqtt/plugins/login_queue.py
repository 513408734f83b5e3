"""Let logins that take long wait for their turn, fair between those who try to log in.

Checking a password takes the processor for long on purpose. Whoever sends many wrong ones must not
keep others from logging in: neither the user whose name it uses, nor anybody else.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections import Counter, deque
from typing import TYPE_CHECKING

from amqtt.plugins.base import Decision

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from amqtt.logs import LogLimiter
    from amqtt.session import Session

__all__ = ["TOO_MANY_LOGINS", "LoginQueue", "TooManyLoginsError"]

MOST_OF_ADDRESS = 128
"""Logins that wait for one address."""
MOST_OF_USER = 64
"""Logins that wait for one user name."""
MOST_WAITING = 256
"""Logins that wait altogether."""

TOO_MANY_LOGINS = Decision(
    False, reason_code=0x97, reason_string="too many logins are waiting, try again later"
)
"""What a plugin answers to a login for which there is no place."""

_SUBNET_BITS = 64  # a site of IPv6 has that many addresses to choose from


class TooManyLoginsError(Exception):
    """Report that a login has no place in the queue, or lost it to one of somebody else."""


class LoginQueue:
    """Give turns to logins: to the addresses in turn, and to the users of each address in turn.

    An address of IPv6 stands for its /64 network. As many logins wait as `MOST_OF_ADDRESS`,
    `MOST_OF_USER` and `MOST_WAITING` say. At a bound, the new login replaces the last one of the
    address and user with the most logins waiting, if these are at least two more than its own; else
    it is refused.

    Args:
        log: where it is said that some were refused, such as `peer_log` of a plugin.
        slots: how many have their turn at a time; None means one for each processor.

    """

    def __init__(self, log: LogLimiter, slots: int | None = None) -> None:
        """Make a queue in which nobody waits."""
        self._log = log
        self._free = slots or os.cpu_count() or 1
        # By address and user. Whose turn is next comes first.
        self._waiting: dict[str, dict[str, deque[asyncio.Future[None]]]] = {}
        self._of_user: Counter[str] = Counter()
        self._count = 0

    def __len__(self) -> int:
        """Return how many logins wait."""
        return self._count

    @contextlib.asynccontextmanager
    async def turn(self, session: Session) -> AsyncIterator[None]:
        """Wait for the turn of a login, which lasts as long as the `async with` block.

        Args:
            session: what the client has sent in CONNECT.

        Raises:
            TooManyLoginsError: too many are waiting.

        """
        await self._wait(_network_of(session.remote_address), session.username or "")
        try:
            yield
        finally:
            self._free += 1
            self._give_turns()

    async def _wait(self, address: str, user: str) -> None:
        if self._free > 0:  # then nobody waits
            self._free -= 1
            return
        self._make_room(address, user)
        place = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(address, {}).setdefault(user, deque()).append(place)
        self._of_user[user] += 1
        self._count += 1
        try:
            await place
        except asyncio.CancelledError:
            if place.cancelled():
                # Since then it may have been left out already, when its turn came.
                if place in self._waiting.get(address, {}).get(user, ()):
                    self._remove(address, user, place)
            elif place.exception() is None:  # it had its turn
                self._free += 1
                self._give_turns()
            raise

    def _give_turns(self) -> None:
        while self._free > 0 and self._count > 0:
            address, users = next(iter(self._waiting.items()))
            user, places = next(iter(users.items()))
            place = places[0]
            self._remove(address, user, place)
            # Both go to the end of their line.
            if user in users:
                users[user] = users.pop(user)
            if address in self._waiting:
                self._waiting[address] = self._waiting.pop(address)
            if not place.done():
                self._free -= 1
                place.set_result(None)

    def _remove(self, address: str, user: str, place: asyncio.Future[None]) -> None:
        users = self._waiting[address]
        users[user].remove(place)
        if not users[user]:
            del users[user]
        if not users:
            del self._waiting[address]
        self._of_user[user] -= 1
        if self._of_user[user] == 0:
            del self._of_user[user]
        self._count -= 1

    # -- bounds

    def _make_room(self, address: str, user: str) -> None:
        own = self._waiting.get(address, {})
        if sum(map(len, own.values())) >= MOST_OF_ADDRESS:
            self._evict([(address, each) for each in own], address, user)
        if self._of_user[user] >= MOST_OF_USER:
            self._evict([(at, user) for at in self._waiting], address, user)
        if self._count >= MOST_WAITING:
            self._evict(
                [(at, each) for at, users in self._waiting.items() for each in users], address, user
            )

    def _evict(self, candidates: Iterable[tuple[str, str]], address: str, user: str) -> None:
        """Take the place of somebody who has more of them."""

        def places(at: str, of: str) -> int:
            return len(self._waiting.get(at, {}).get(of, ()))

        self._log.log(
            logging.WARNING, "logins refused because too many wait", address,
            "Login of user '%s' from %s: %d logins are waiting, of %d addresses; one is refused",
            user, address, self._count, len(self._waiting),
        )  # fmt: skip
        longest = max(candidates, key=lambda each: places(*each))
        if places(*longest) < places(address, user) + 2:
            raise TooManyLoginsError
        last = self._waiting[longest[0]][longest[1]][-1]
        self._remove(*longest, last)
        if not last.done():
            last.set_exception(TooManyLoginsError())


def _network_of(address: str | None) -> str:
    """Return what one attacker may have of addresses."""
    from ipaddress import IPv6Address, ip_address  # a broker without passwords needs none of it

    text = (address or "").partition("%")[0]
    try:
        parsed = ip_address(text)
    except ValueError:  # of a Unix socket, or of an application's own
        return text
    if not isinstance(parsed, IPv6Address):
        return text
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return f"{int(parsed) >> (parsed.max_prefixlen - _SUBNET_BITS):x}::/{_SUBNET_BITS}"
