"""Let plugins decide, each within its time, and hand their verdicts to the engine."""

from __future__ import annotations

import asyncio
import logging
import weakref
from typing import TYPE_CHECKING, Any, Protocol

from amqtt._bridge import call_if_alive

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from amqtt._verdicts import Verdict

logger = logging.getLogger("amqtt.broker")

# Verdicts that wait to be handed over together, at most.
_MOST_TOGETHER = 64


class _Engine(Protocol):
    def topics_allowed(self, tickets: list[int], ttl: float) -> None: ...
    def topic_decided(
        self, ticket: int, allowed: bool, code: int, reason: str, ttl: float
    ) -> None: ...


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
        self._due: dict[asyncio.Task[None], float] = {}
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        """Return how many decisions are being made."""
        return len(self._due)

    def start(self, decision: Coroutine[Any, Any, None]) -> None:
        """Run a decision; when its time is over, it is cancelled."""
        task = self._loop.create_task(self._run(decision))
        self._due[task] = self._loop.time() + self.timeout
        if self._timer is None:
            self._watch(self.timeout)

    def cancel_all(self) -> None:
        """Cancel all decisions."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        due, self._due = self._due, {}
        for task in due:
            task.cancel()

    async def _run(self, decision: Coroutine[Any, Any, None]) -> None:
        # All in the task itself: a callback at its end would cost another turn of the loop.
        try:
            await decision
        except Exception:
            logger.exception("A decision has failed")
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
        self.engine: _Engine | None = None
        self.will_be_flushed = False
        # What is allowed without further ado, by the seconds for which that holds.
        self._allowed: dict[float, list[int]] = {}
        self._count = 0

    def add(self, ticket: int, verdict: Verdict, ttl: float) -> None:
        """Take a verdict."""
        if self.engine is None:
            return
        if not verdict.allowed:
            self.engine.topic_decided(ticket, False, verdict.code, verdict.reason, ttl)
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
        if self.engine is not None:
            for ttl, tickets in allowed.items():
                self.engine.topics_allowed(tickets, ttl)
