"""What plugins decide: their opinions, the verdict they make, and its way to the engine."""

from __future__ import annotations

import asyncio
import logging
import math
import weakref
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from amqtt._engine.pump import call_if_alive
from amqtt.logs import LogLimiter
from amqtt.plugins.base import Decision

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Hashable, Iterable, Mapping

    from amqtt.plugins.manager import PluginManager

logger = logging.getLogger("amqtt.broker")

NOT_AUTHORIZED = 0x87
_LEAST_REFUSAL = 0x80
_LONGEST_REASON = 65_535
# A verdict that holds longer than this holds for ever, as far as anybody will notice.
_LONGEST_TTL = 1e9
# Verdicts that wait to be handed over together, at most.
_MOST_TOGETHER = 64
# What OpenSSL takes.
_LONGEST_KEY = 512
# Of a shorter one, who records a handshake can try all that is likely (RFC 9257, 4.2).
_SHORTEST_SAFE_KEY = 16


class Verdict(NamedTuple):
    """What was decided.

    Attributes:
        allowed: whether the client may.
        code: the reason code of the refusal.
        reason: a text for the client; empty means none.

    """

    allowed: bool
    code: int = NOT_AUTHORIZED
    reason: str = ""

    @classmethod
    def refusal(cls) -> Verdict:
        """Return a refusal without a reason."""
        return cls(False)


_ALLOWED = Verdict(True)


def combine(
    manager: PluginManager[Any], results: Mapping[Any, Any], *, native_allows: bool = False
) -> Verdict:
    """Make one verdict of what several plugins say.

    Only `True` and a `Decision` whose `allow` is `True` are in favour. A value of another type is
    a refusal, whether Python takes it for true or not, and is logged.

    Args:
        manager: where it is logged what is wrong with a result.
        results: what each plugin says; None is no opinion.
        native_allows: whether a plugin in the engine is in favour.

    Returns:
        Leave, when somebody is in favour and nobody is against; the first refusal otherwise.

    """
    allowed = native_allows
    for plugin, result in results.items():
        if result is True:
            allowed = True
        elif result is False:
            return Verdict.refusal()
        elif isinstance(result, Decision):
            if result.allow is not True:
                if result.allow is not False:
                    report_wrong_type(manager, plugin, result.allow, "Decision.allow")
                return _refusal_of(result)
            allowed = True
        elif result is not None:
            report_wrong_type(manager, plugin, result, "a verdict")
            return Verdict.refusal()
    return _ALLOWED if allowed else Verdict.refusal()


def report_wrong_type(manager: PluginManager[Any], plugin: Any, value: object, where: str) -> None:
    """Log that a plugin has decided with a value of a wrong type, which refuses the client.

    Args:
        manager: the plugins.
        plugin: the plugin.
        value: what it has returned; only its type is logged.
        where: what the value stands for.

    """
    name = type(plugin).__name__
    manager.peer_log.log(
        logging.ERROR,
        "unusable results of plugins",
        name,
        "Plugin '%s' has returned a value of the type '%s' as %s, which is neither true nor false"
        " and refuses the client; only True, False, None and Decision are verdicts",
        name,
        type(value).__name__,
        where,
    )


def _refusal_of(decision: Decision) -> Verdict:
    code, reason = decision.reason_code, decision.reason_string
    if type(code) is not int or not _LEAST_REFUSAL <= code <= 0xFF:  # a subclass may not check it
        code = NOT_AUTHORIZED
    if not isinstance(reason, str):
        return Verdict(False, code)
    cut = reason.replace("\0", "").encode(errors="replace")[:_LONGEST_REASON]
    return Verdict(False, code, cut.decode(errors="ignore"))


def verdict_ttl(plugins: Iterable[Any]) -> float:
    """Return for how long a verdict of these plugins together holds, in seconds."""
    ttl = math.inf
    for plugin in plugins:
        declared = getattr(plugin, "verdict_ttl", 0)
        if type(declared) is int and declared == 0:
            return 0.0
        is_number = isinstance(declared, int | float) and not math.isnan(declared)
        ttl = min(ttl, max(0.0, float(declared)) if is_number else 0.0)
    return min(ttl, _LONGEST_TTL) if ttl != math.inf else 0.0


async def find_psk(manager: PluginManager[Any], listener: str, identity: str) -> bytes:
    """Ask the plugins for the key of a client.

    Args:
        manager: the plugins; those with a method `psk_key` are asked, all at once.
        listener: name of the listener, for the log.
        identity: what the client calls itself.

    Returns:
        The key that the first of them has; empty when none has one, or one has failed.

    """
    able = [plugin for plugin in manager.plugins if hasattr(plugin, "psk_key")]
    found = await manager.ask(able, "psk_key", {"identity": identity, "hint": ""})
    if any(each is False for each in found.values()):
        return b""
    key = next((each for each in found.values() if each), b"")
    if not isinstance(key, bytes | bytearray) or len(key) > _LONGEST_KEY:
        manager.peer_log.log(
            logging.ERROR, "unusable pre-shared keys", identity,
            "listener '%s': a key of '%s' is no bytes, or more than %d", listener, identity,
            _LONGEST_KEY,
        )  # fmt: skip
        return b""
    if key and len(key) < _SHORTEST_SAFE_KEY:
        manager.peer_log.log(
            logging.WARNING, "short pre-shared keys", identity,
            "listener '%s': the key of '%s' has %d bytes; with fewer than %d it can be guessed",
            listener, identity, len(key), _SHORTEST_SAFE_KEY,
        )  # fmt: skip
    if not key:
        manager.peer_log.log(
            logging.DEBUG, "unknown pre-shared keys", identity,
            "listener '%s': no plugin has a key of '%s'", listener, identity,
        )  # fmt: skip
    return bytes(key)


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
