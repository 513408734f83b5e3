"""A connection that is cut again and again, with traffic both ways.

The short form cuts 60 times. `./dev chaos` cuts a thousand times, or as often as it is told.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest
from support.client import HAS_V5, make_client
from support.numbered import Received, receive
from support.process import BrokerProcess
from support.relay import Relay

from amqtt.client import MQTTClient

CUTS = int(os.environ.get("AMQTT_CHAOS_CUTS", "60"))
SEED = int(os.environ.get("AMQTT_CHAOS_SEED", "1"))
# Both flows of a client together: mosquitto takes 20 of QoS 2, and has no way to say so in 3.1.1.
IN_FLIGHT = 10
LIMIT = 60 + CUTS * 0.5


async def publish(client: MQTTClient, topic: str, qos: int, relay: Relay, peer: Received) -> int:
    """Publish numbers until all cuts are made; return how many.

    Several are on their way at a time. The receiver must have got them for more to follow, so
    that no queue of the broker has to hold many.
    """
    room = asyncio.Semaphore(IN_FLIGHT)
    arrived = peer.arrived[topic]
    pending: set[asyncio.Task[Any]] = set()

    async def make_room() -> None:
        while True:
            await arrived.acquire()
            room.release()

    maker = asyncio.ensure_future(make_room())
    count = 0
    try:
        while not relay.done:
            await room.acquire()
            payload = str(count).encode() + b" " * (count * 37 % 200)
            task = asyncio.ensure_future(client.publish(topic, payload, qos=qos))
            pending.add(task)
            task.add_done_callback(pending.discard)
            count += 1
            for each in [each for each in pending if each.done()]:
                each.result()
        await asyncio.gather(*pending)
        for _ in range(IN_FLIGHT):
            await room.acquire()
    finally:
        maker.cancel()
    return count


@pytest.mark.timeout(LIMIT + 30)
@pytest.mark.parametrize("kept", [False, True], ids=["in memory", "in a file"])
@pytest.mark.parametrize("version", [4, 5], ids=["3.1.1", "5.0"])
async def test_nothing_is_lost(
    version: int, kept: bool, broker: BrokerProcess, unique: str, tmp_path: Path
) -> None:
    """QoS 1 and 2 in both directions through a thousand broken connections.

    3.1.1:MQTT-4.4.0-1@client 5.0:MQTT-4.4.0-1@client
    """
    print(f"AMQTT_CHAOS_CUTS={CUTS} AMQTT_CHAOS_SEED={SEED}")  # shown when it fails
    more: dict[str, Any] = {"auto_reconnect": True, "cleansession": False, "reconnect_retries": -1}
    if version == 5:
        more["connect_properties"] = {"session_expiry_interval": 600}
    if kept:
        more["session_file"] = str(tmp_path / "session")
    chaotic = make_client(version, f"{unique}-chaotic", **more)
    chaotic.config.reconnect_max_interval = 0.02  # type: ignore[assignment]  # seconds are long
    steady = make_client(version, f"{unique}-steady")
    there, back = Received(), Received()
    async with Relay(broker.port, CUTS, SEED) as relay:
        await steady.connect(f"mqtt://127.0.0.1:{broker.port}")
        await steady.subscribe([(f"{unique}/there/+", 2)])
        await chaotic.connect(relay.uri)
        await chaotic.subscribe([(f"{unique}/back/1", 1), (f"{unique}/back/2", 2)])
        readers = [
            asyncio.ensure_future(receive(steady, there)),
            asyncio.ensure_future(receive(chaotic, back)),
        ]
        flows = [
            (chaotic, "there", 1, there),
            (chaotic, "there", 2, there),
            (steady, "back", 1, back),
            (steady, "back", 2, back),
        ]
        publishers = [
            publish(client, f"{unique}/{way}/{qos}", qos, relay, received)
            for client, way, qos, received in flows
        ]
        everything = asyncio.ensure_future(asyncio.gather(*publishers))
        try:
            await asyncio.wait(
                {everything, *readers}, timeout=LIMIT, return_when=asyncio.FIRST_COMPLETED
            )
            state = {name: len(found) for end in (there, back) for name, found in end.seen.items()}
            for reader in readers:
                assert not reader.done(), reader.exception()
            assert everything.done(), f"stuck after {relay.cuts} of {CUTS} cuts with {state}"
            counts = everything.result()
        finally:
            for task in (everything, *readers):
                task.cancel()
            await asyncio.gather(everything, *readers, return_exceptions=True)
            await chaotic.disconnect()
            await steady.disconnect()
        assert relay.cuts == CUTS
        for (_, way, qos, received), sent in zip(flows, counts, strict=True):
            assert sent > IN_FLIGHT
            received.check(f"{unique}/{way}/{qos}", sent, qos)
        for _, way, qos, received in flows:
            if not HAS_V5 and not received.in_order(f"{unique}/{way}/{qos}"):
                pytest.xfail("calls of publish() overtake one another after a reconnect")
            assert received.in_order(f"{unique}/{way}/{qos}"), f"{way}/{qos}: out of order"
