"""Bring what changes in a broker to its storage plugin, and what is stored back to the broker."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from typing import Any, Protocol

from amqtt.errors import PluginError
from amqtt.plugins.storage import BaseStoragePlugin, StateChanges, StoredState

logger = logging.getLogger("amqtt.broker")

_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 5.0
# Seconds between two log records about a store that cannot be reached.
_REPEATED = 30.0
# Seconds for which a commit may take before that is said.
_SLOW = 5.0
# Rows between two log records about a restore.
_PROGRESS = 250_000


class _Engine(Protocol):
    def keep_state(self, *, durable: bool, commit_delay: float) -> None: ...
    def restore(self, part: object) -> None: ...
    def finish_restore(self) -> None: ...
    def committed(self, number: int) -> None: ...
    def take_changes(self) -> dict[str, Any] | None: ...


def find_storage(plugins: list[Any]) -> BaseStoragePlugin | None:
    """Return the storage plugin among the plugins of a broker; None if there is none.

    Raises:
        ValueError: there are several.

    """
    found = [each for each in plugins if isinstance(each, BaseStoragePlugin)]
    if len(found) > 1:
        names = ", ".join(type(each).__name__ for each in found)
        msg = f"a broker keeps its state in one place, but has several storage plugins: {names}"
        raise ValueError(msg)
    return found[0] if found else None


class StateKeeper:
    """Stand between a broker's engine and its storage plugin.

    Args:
        plugin: the plugin.
        engine: an engine that is not started yet.

    """

    def __init__(self, plugin: BaseStoragePlugin, engine: _Engine) -> None:
        """Tell the engine to keep its state."""
        self._plugin = plugin
        self._engine = engine
        self._waiting: deque[StateChanges] = deque()
        self._task: asyncio.Task[None] | None = None
        self._gave_up = False
        # When trouble was logged last, and which, while it lasts.
        self._said: float | None = None
        self._known: type[Exception] | None = None
        engine.keep_state(durable=plugin.durable, commit_delay=plugin.commit_delay)

    async def restore(self) -> None:
        """Give the engine what is stored.

        Raises:
            Exception: what the plugin raises, or what is wrong with its rows.

        """
        rows = reported = 0
        async with contextlib.aclosing(self._plugin.restore()) as parts:
            async for part in parts:
                self._engine.restore(part)
                rows += _count(part)
                if rows - reported >= _PROGRESS:
                    reported = rows
                    logger.info("Restoring: %d rows so far", rows)
                await asyncio.sleep(0)
        self._engine.finish_restore()
        if rows:
            logger.info("Restored %d rows of sessions and retained messages", rows)

    def changed(self, changes: dict[str, Any]) -> None:
        """Commit a batch of the engine soon."""
        self._waiting.append(StateChanges(**changes))
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._commit_waiting())
            self._task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._task = None
        if not task.cancelled() and task.exception() is not None:
            logger.critical("Storage stopped unexpectedly", exc_info=task.exception())
        elif task.cancelled() and not self._gave_up:
            logger.critical(
                "Storage was cancelled: %d batches of changes wait for the next one",
                len(self._waiting),
            )

    async def _commit_waiting(self) -> None:
        while self._waiting:
            changes = self._waiting[0]
            await self._commit(changes)
            self._waiting.popleft()
            self._engine.committed(changes.number)

    async def _commit(self, changes: StateChanges) -> None:
        pause = _FIRST_PAUSE
        loop = asyncio.get_running_loop()
        while True:
            watch = loop.call_later(_SLOW, self._say, "has not stored changes for 5 s yet")
            try:
                await self._ask_plugin(changes)
            except Exception as error:  # whatever it is, the batch must not be lost
                self._say_failure(error)
            else:
                self._say_success()
                return
            finally:
                watch.cancel()
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    async def _ask_plugin(self, changes: StateChanges) -> None:
        """Let the plugin commit; being cancelled itself is one of the ways in which it fails."""
        # In a task of its own, which tells that from a cancellation of this one.
        commit = asyncio.ensure_future(self._plugin.commit(changes))
        try:
            await asyncio.wait({commit})
        except asyncio.CancelledError:
            commit.cancel()
            raise
        if commit.cancelled():
            msg = "the commit was cancelled"
            raise PluginError(msg)
        commit.result()

    def _say_failure(self, error: Exception) -> None:
        # What a plugin says itself needs no traceback.
        is_new = type(error) is not self._known
        self._known = type(error)
        self._say(
            f"cannot store changes ({error!r})",
            is_new=is_new,
            cause=error if is_new and not isinstance(error, PluginError) else None,
        )

    def _say(self, what: str, *, is_new: bool = False, cause: Exception | None = None) -> None:
        now = asyncio.get_running_loop().time()
        if self._said is not None and not is_new and now - self._said < _REPEATED:
            return
        self._said = now
        logger.error(
            "%s %s; clients wait for their acknowledgements",
            type(self._plugin).__name__,
            what,
            exc_info=cause,
        )

    def _say_success(self) -> None:
        if self._said is not None:
            logger.warning("%s stores changes again", type(self._plugin).__name__)
        self._said = self._known = None

    async def finish(self, timeout: float) -> None:
        """Store what is left, after the engine has stopped and its events were handled.

        Args:
            timeout: seconds for all of it; then what is left is lost, and that is logged.

        """
        rest = self._engine.take_changes()
        if rest is not None:
            self.changed(rest)
        task = self._task
        if task is None:
            return
        done, _ = await asyncio.wait([task], timeout=timeout)
        if not done:
            self._gave_up = True
            task.cancel()
            logger.critical(
                "%s could not store the last changes within %d s: %d batches are lost",
                type(self._plugin).__name__,
                timeout,
                len(self._waiting),
            )


def _count(part: StoredState) -> int:
    return sum(
        len(rows)
        for rows in (
            part.sessions,
            part.subscriptions,
            part.messages,
            part.deliveries,
            part.received,
            part.retained,
        )
    )
