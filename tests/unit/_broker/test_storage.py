"""How batches of changes reach a storage plugin, and what becomes of its errors."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from support.client import until

from amqtt._broker import storage
from amqtt._broker.storage import StateKeeper, find_storage
from amqtt.contexts import BaseContext, BrokerConfig
from amqtt.errors import PluginError
from amqtt.events import BrokerEvents
from amqtt.plugins.manager import PluginManager
from amqtt.plugins.storage import BaseStoragePlugin, StateChanges, StoredState


class Engine:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.committed_numbers: list[int] = []
        self.parts: list[Any] = []
        self.rest: dict[str, Any] | None = None
        self.kept: dict[str, Any] = {}
        self.is_restored = False

    def keep_state(self, **how: Any) -> None:
        self.kept = how

    def restore(self, part: object) -> None:
        self.parts.append(part)

    def finish_restore(self) -> None:
        self.is_restored = True

    def committed(self, number: int) -> None:
        self.committed_numbers.append(number)

    def take_changes(self) -> dict[str, Any] | None:
        return self.rest


class Plugin(BaseStoragePlugin):
    """Keeps numbers of batches, unless it is told to fail."""

    def __init__(self, failures: int = 0) -> None:
        super().__init__(BaseContext())
        self.failures = failures
        self.numbers: list[int] = []
        self.hangs = False

    async def restore(self) -> AsyncGenerator[StoredState, None]:
        yield StoredState(received=[(1, 2)])  # type: ignore[list-item]
        yield StoredState(received=[(1, 3)])  # type: ignore[list-item]

    async def commit(self, changes: StateChanges) -> None:
        if self.hangs:
            await asyncio.Event().wait()
        if self.failures > 0:
            self.failures -= 1
            raise OSError("no room")
        self.numbers.append(changes.number)


async def until_committed(engine: Engine, numbers: list[int]) -> None:
    while engine.committed_numbers != numbers:
        await asyncio.sleep(0.001)


async def test_what_is_stored_reaches_the_engine() -> None:
    engine, plugin = Engine(), Plugin()
    await StateKeeper(plugin, engine).restore()
    assert [part.received for part in engine.parts] == [[(1, 2)], [(1, 3)]]
    assert engine.is_restored
    assert engine.kept == {"durable": True, "commit_delay": 0.002}


async def test_batches_are_committed_in_their_order() -> None:
    engine, plugin = Engine(), Plugin()
    keeper = StateKeeper(plugin, engine)
    for number in (1, 2, 3):
        keeper.changed({"number": number})
    await asyncio.wait_for(until_committed(engine, [1, 2, 3]), 10)
    assert plugin.numbers == [1, 2, 3]


async def test_a_batch_is_tried_until_it_is_stored(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(storage, "_FIRST_PAUSE", 0.0)
    caplog.set_level(logging.WARNING)
    engine, plugin = Engine(), Plugin(failures=5)
    keeper = StateKeeper(plugin, engine)
    keeper.changed({"number": 1})
    keeper.changed({"number": 2})
    await asyncio.wait_for(until_committed(engine, [1, 2]), 10)
    errors = [each for each in caplog.records if each.levelno == logging.ERROR]
    assert len(errors) == 1, "once, not for each attempt"
    assert "no room" in errors[0].getMessage()
    assert "stores changes again" in caplog.text


async def test_another_kind_of_error_is_logged_too(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(storage, "_FIRST_PAUSE", 0.0)
    engine, plugin = Engine(), Plugin()
    errors = iter([OSError("no room"), OSError("no room"), PluginError("another broker"), None])

    async def commit(_: StateChanges) -> None:
        error = next(errors)
        if error is not None:
            raise error

    plugin.commit = commit  # type: ignore[method-assign]
    StateKeeper(plugin, engine).changed({"number": 1})
    await asyncio.wait_for(until_committed(engine, [1]), 10)
    texts = [each.getMessage() for each in caplog.records if each.levelno == logging.ERROR]
    assert ["no room" in texts[0], "another broker" in texts[1], len(texts)] == [True, True, 2]


@pytest.mark.parametrize("times", [1, 3])
async def test_a_commit_that_is_cancelled_is_tried_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, times: int
) -> None:
    """A plugin may be cancelled without anybody having cancelled the broker, by its driver say."""
    monkeypatch.setattr(storage, "_FIRST_PAUSE", 0.0)
    engine, plugin = Engine(), Plugin()
    commit = plugin.commit

    async def cancelled(changes: StateChanges) -> None:
        nonlocal times
        times -= 1
        if times >= 0:
            raise asyncio.CancelledError
        await commit(changes)

    monkeypatch.setattr(plugin, "commit", cancelled)
    keeper = StateKeeper(plugin, engine)
    keeper.changed({"number": 1})
    keeper.changed({"number": 2})
    await asyncio.wait_for(until_committed(engine, [1, 2]), 10)
    assert "the commit was cancelled" in caplog.text


async def test_a_writer_that_is_cancelled_says_so_and_begins_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    engine, plugin = Engine(), Plugin()
    plugin.hangs = True
    keeper = StateKeeper(plugin, engine)
    keeper.changed({"number": 1})
    await asyncio.sleep(0)
    assert keeper._task is not None
    keeper._task.cancel()
    await asyncio.wait((keeper._task,))
    await asyncio.sleep(0)
    assert "Storage was cancelled: 1 batches of changes wait for the next one" in caplog.text
    plugin.hangs = False
    keeper.changed({"number": 2})
    await asyncio.wait_for(until_committed(engine, [1, 2]), 10)


async def test_a_commit_that_takes_long_is_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(storage, "_SLOW", 0.0)
    engine, plugin = Engine(), Plugin()
    may_end = asyncio.Event()

    async def commit(_: StateChanges) -> None:
        await may_end.wait()

    plugin.commit = commit  # type: ignore[method-assign]
    StateKeeper(plugin, engine).changed({"number": 1})
    await until(lambda: "has not stored changes" in caplog.text)
    may_end.set()
    await asyncio.wait_for(until_committed(engine, [1]), 10)
    assert "stores changes again" in caplog.text


async def test_the_progress_of_a_restore_is_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(storage, "_PROGRESS", 1)
    caplog.set_level(logging.INFO)
    await StateKeeper(Plugin(), Engine()).restore()
    assert "Restoring: 1 rows so far" in caplog.text
    assert "Restored 2 rows" in caplog.text


async def test_the_last_changes_are_stored() -> None:
    engine, plugin = Engine(), Plugin()
    keeper = StateKeeper(plugin, engine)
    engine.rest = {"number": 7}
    await keeper.finish(10)
    assert plugin.numbers == [7]


async def test_changes_that_cannot_be_stored_in_time_are_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    engine, plugin = Engine(), Plugin()
    plugin.hangs = True
    keeper = StateKeeper(plugin, engine)
    keeper.changed({"number": 1})
    await keeper.finish(0.01)
    assert "1 batches are lost" in caplog.text


def test_there_is_one_storage_plugin_at_most() -> None:
    assert find_storage([object()]) is None
    one = Plugin()
    assert find_storage([object(), one]) is one
    with pytest.raises(ValueError, match="several storage plugins: Plugin, Plugin"):
        find_storage([Plugin(), Plugin()])


async def test_events_that_are_stored_are_not_told() -> None:
    plugin = _WithHandlers()
    context = BaseContext()
    context.config = BrokerConfig(plugins={})
    manager: PluginManager[BaseContext] = PluginManager("amqtt.none", context)
    for event in BrokerEvents:
        manager._add_handler(plugin, event)
    assert not manager.handlers(BrokerEvents.RETAINED_MESSAGE)
    assert manager.handlers(BrokerEvents.POST_START)


class _WithHandlers(Plugin):
    """Handles two events, of which one is stored."""

    stored_events = frozenset({BrokerEvents.RETAINED_MESSAGE})

    async def on_broker_retained_message(self, **_: Any) -> None:
        """Not to be called."""

    async def on_broker_post_start(self) -> None:
        """To be called."""
