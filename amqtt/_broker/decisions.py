"""Let plugins decide, each within its time, and hand their verdicts to the engine."""

from __future__ import annotations

import asyncio
import logging
import weakref
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from amqtt._engine.pump import call_if_alive
from amqtt.logs import LogLimiter

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Hashable

    from amqtt._broker.verdicts import Verdict

logger = logging.getLogger("amqtt.broker")

# Verdicts that wait to be handed over together, at most.
_MOST_TOGETHER = 64


class _Engine(Protocol):
    def topics_allowed(self, tickets: list[int], ttl: float) -> None: ...
    def topic_decided(
        self, ticket: int, allowed: bool, code: int, reason: str, ttl: float
    ) -> None: ...


class _NotBegun(NamedTuple):
    task: asyncio.Task[None]
    decision: Coroutine[Any, Any, None]


class RunningDecisions:
    """Run decisions as tasks, and end those that take too long.

    Args:
        loop: the event loop.
        timeout: seconds that a decision may take.
        ended: called when a decision has ended, whatever its outcome.

    Attributes:
        timeout: seconds that a decision may take.

    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, timeout: float, ended: Callable[[], None]
    ) -> None:
        """Begin without decisions."""
        self._loop = loop
        self.timeout = timeout
        self._ended = weakref.WeakMethod(ended)
        # When each has to be made; the oldest come first.
        self._failures = LogLimiter(logger)
        self._due: dict[asyncio.Task[None], float] = {}
        # Decisions that nobody has begun to make, by key.
        self._not_begun: dict[Hashable, _NotBegun] = {}
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        """Return how many decisions are being made."""
        return len(self._due)

    def start(self, decision: Coroutine[Any, Any, None], key: Hashable = None) -> None:
        """Run a decision; when its time is over, it is cancelled.

        Args:
            decision: what makes it.
            key: its name for `withdraw`; None means that it has none.

        """
        task = self._loop.create_task(self._run(decision, key))
        self._due[task] = self._loop.time() + self.timeout
        if key is not None:
            self._not_begun[key] = _NotBegun(task, decision)
        if self._timer is None:
            self._watch(self.timeout)

    def withdraw(self, key: Hashable) -> bool:
        """Forget a decision that is wanted no more, unless plugins were asked already.

        What plugins have begun is left to them: being cancelled costs some of them a connection.

        Returns:
            Whether it is forgotten: nothing of the decision has run, nor will.

        """
        found = self._not_begun.pop(key, None)
        if found is None:
            return False
        found.task.cancel()
        found.decision.close()
        self._due.pop(found.task, None)
        return True

    def cancel_all(self) -> None:
        """Cancel all decisions."""
        for key in list(self._not_begun):
            self.withdraw(key)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._failures.flush()
        due, self._due = self._due, {}
        for task in due:
            task.cancel()

    async def _run(self, decision: Coroutine[Any, Any, None], key: Hashable) -> None:
        # All in the task itself: a callback at its end would cost another turn of the loop.
        if key is not None:
            self._not_begun.pop(key, None)
        try:
            await decision
        except Exception:
            self._failures.log(
                logging.ERROR, "decisions that failed", "", "A decision has failed", exc_info=True
            )
        finally:
            task = asyncio.current_task()
            if task is not None:
                self._due.pop(task, None)
            ended = self._ended()
            if ended is not None:
                ended()

    def _watch(self, delay: float) -> None:
        # One timer for all: a timer for each would cost more than most decisions do.
        again = weakref.WeakMethod(self._cancel_overdue)  # the loop must not keep the broker
        self._timer = self._loop.call_later(delay, call_if_alive, again)

    def _cancel_overdue(self) -> None:
        self._timer = None
        now = self._loop.time()
        for task, due in list(self._due.items()):
            if due > now:
                self._watch(due - now)
                return
            task.cancel()  # the plugins that have not answered are named in the log


class TopicAnswers:
    """Collect the verdicts on topics, and hand those of one turn of the loop over together.

    Args:
        loop: the event loop.

    Attributes:
        engine: who gets the verdicts; None while there is nobody.
        will_be_flushed: whether whoever gives verdicts calls `flush()` soon in any case.

    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin without verdicts."""
        self._loop = loop
        self._engine: _Engine | None = None
        self.will_be_flushed = False
        # What is allowed without further ado, by the seconds for which that holds.
        self._allowed: dict[float, list[int]] = {}
        self._count = 0

    @property
    def engine(self) -> _Engine | None:
        """Who gets the verdicts."""
        return self._engine

    @engine.setter
    def engine(self, engine: _Engine | None) -> None:
        # What was collected answers questions of the engine before.
        self._engine = engine
        self._allowed, self._count = {}, 0

    def add(self, ticket: int, verdict: Verdict, ttl: float) -> None:
        """Take a verdict."""
        if self._engine is None:
            return
        if not verdict.allowed:
            self._engine.topic_decided(ticket, False, verdict.code, verdict.reason, ttl)
            return
        if self._count == 0 and not self.will_be_flushed:
            self._loop.call_soon(self.flush)
        self._allowed.setdefault(ttl, []).append(ticket)
        self._count += 1
        if self._count >= _MOST_TOGETHER:
            self.flush()

    def flush(self) -> None:
        """Hand over what was collected."""
        if self._count == 0:
            return
        allowed, self._allowed, self._count = self._allowed, {}, 0
        if self._engine is not None:
            for ttl, tickets in allowed.items():
                self._engine.topics_allowed(tickets, ttl)
