"""A million events of plugins leave nothing behind."""

from __future__ import annotations

import gc
import os
from pathlib import Path

import pytest
from support.embedded import Peer, config_of, sample, until
from support.endpoints import resident_bytes
from support.wire import publish

from amqtt.broker import Broker

ANONYMOUS = "amqtt.plugins.authentication.AnonymousAuthPlugin"
MESSAGES = 500_000  # two events each, and a third one, in a task, of those that are retained
BATCH = 10_000
BLOCK = 500


def resident() -> int:
    """Return how much memory this process has, in bytes."""
    gc.collect()
    return resident_bytes(os.getpid()) or 0


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads /proc")
async def test_memory_is_flat_over_a_million_events() -> None:
    async with Broker(config_of([ANONYMOUS, sample("EventCounter")])) as broker:
        plugin = broker.plugins_manager.get_plugin("EventCounter")
        peer = await Peer.login(broker, "p")
        blocks = {retain: publish("t", b"x", retain=retain) * BLOCK for retain in (False, True)}

        async def publish_batch(retain: bool) -> None:
            counted = plugin.counted + 2 * BATCH
            waited = plugin.waited + (BATCH if retain else 0)
            for _ in range(BATCH // BLOCK):
                peer.send(blocks[retain])
            await until(lambda: plugin.counted == counted and plugin.waited == waited)

        async def publish_many(messages: int, *, retain: bool = False) -> None:
            for _ in range(messages // BATCH):
                await publish_batch(retain)

        await publish_many(MESSAGES // 5)  # what is kept for use again is there then
        await publish_many(MESSAGES // 25, retain=True)
        before = resident()
        await publish_many(MESSAGES)
        await publish_many(MESSAGES // 25, retain=True)
        grown = resident() - before
        dropped = broker.statistics()["publish_dropped"]
        await peer.close()
    assert dropped == 0
    print(f"grown by {grown:,} bytes")
    # 16 bytes that are left of each event would be more.
    assert grown < 16 * MESSAGES * 2, f"{grown:,} bytes"
