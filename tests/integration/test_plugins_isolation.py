"""What plugins do not do to the broker: run without need, stall it, or make it grow."""

from __future__ import annotations

import asyncio
import gc
import sys
import tracemalloc
from collections import Counter
from types import CodeType, FrameType

import pytest
from support import plugin_samples
from support.embedded import LIMIT, Peer, client_of, config_of, sample, until
from support.wire import CONNACK_ACCEPTED, PINGREQ, PINGRESP, connect, publish, subscribe

import amqtt
from amqtt.broker import Broker

ANONYMOUS = "amqtt.plugins.authentication.AnonymousAuthPlugin"
HOME = amqtt.__path__[0]
MESSAGES = 500


@pytest.fixture(autouse=True)
def gates() -> None:
    plugin_samples.UserGate.gate = asyncio.Event()
    plugin_samples.UserGate.asked = 0
    plugin_samples.TopicGate.gate = asyncio.Event()
    plugin_samples.TopicGate.asked = []


class CallCounter:
    """Count the calls of functions of this package by where they are."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()

    def __call__(self, frame: FrameType, event: str, _: object) -> None:
        code: CodeType = frame.f_code
        if event == "call" and code.co_filename.startswith(HOME):
            self.calls[f"{code.co_filename[len(HOME) :]}:{code.co_qualname}"] += 1

    def __enter__(self) -> CallCounter:
        sys.setprofile(self)
        return self

    def __exit__(self, *exc: object) -> None:
        sys.setprofile(None)


@pytest.mark.skipif(sys.version_info < (3, 11), reason="counts by co_qualname")
async def test_the_default_configuration_runs_no_python_per_packet() -> None:
    async with Broker(config_of()) as broker:
        subscriber = await Peer.login(broker, "s")
        subscriber.send(subscribe(1, ("t", 0)))
        await subscriber.packet()
        publisher = await Peer.login(broker, "p")
        with CallCounter() as counter:
            for _ in range(MESSAGES):
                publisher.send(publish("t", b"x", qos=1, packet_id=1))
                await publisher.packet()
            await subscriber.read(len(publish("t", b"x")) * MESSAGES)
        statistics = broker.statistics()
        for peer in (subscriber, publisher):
            await peer.close()
    assert statistics["publish_received"] == MESSAGES
    # What runs by the clock may run; nothing has run for each message.
    assert sum(counter.calls.values()) < MESSAGES / 10, counter.calls


async def test_a_plugin_that_waits_for_one_client_holds_up_nobody_else() -> None:
    async with Broker(config_of([ANONYMOUS, sample("TopicGate")])) as broker:
        slow = await Peer.login(broker, "slow")
        slow.send(publish("slow/1", b"x", qos=1, packet_id=1))
        slow.send(publish("a", b"x", qos=1, packet_id=2) + PINGREQ)
        await until(lambda: plugin_samples.TopicGate.asked == [("slow", "publish", "slow/1")])
        async with client_of(broker, "other") as client:
            await client.subscribe([("#", 1)])
            for number in range(50):
                await client.publish("a", b"%d" % number, 1)
                assert (await client.deliver_message(LIMIT)).data == b"%d" % number
            # All that time the slow client was neither answered nor asked about again.
            asked = [each for each in plugin_samples.TopicGate.asked if each[0] == "slow"]
            assert asked == [("slow", "publish", "slow/1")]
            plugin_samples.TopicGate.gate.set()
            await slow.expect(b"\x40\x02\x00\x01" + b"\x40\x02\x00\x02" + PINGRESP)
            topics = [(await client.deliver_message(LIMIT)).topic for _ in range(2)]
            assert topics == ["slow/1", "a"]
        await slow.close()


async def test_a_slow_receiver_gets_everything_in_order() -> None:
    async with (
        Broker(config_of([ANONYMOUS, sample("TopicGate")])) as broker,
        client_of(broker, "c") as client,
    ):
        plugin_samples.TopicGate.gate.set()
        await client.subscribe([("#", 1)])
        plugin_samples.TopicGate.gate.clear()
        for topic in ("a", "slow/1", "b", "no", "slow/2", "c"):
            await broker.publish(topic, b"x", 1)
        assert (await client.deliver_message(LIMIT)).topic == "a"
        await until(lambda: ("c", "receive", "c") in plugin_samples.TopicGate.asked)
        await client.ping()
        plugin_samples.TopicGate.gate.set()
        topics = [(await client.deliver_message(LIMIT)).topic for _ in range(4)]
        assert topics == ["slow/1", "b", "slow/2", "c"]


async def test_a_thousand_clients_are_decided_on_at_the_same_time() -> None:
    count = 1000
    async with Broker(config_of([sample("UserGate")])) as broker:
        peers = [await Peer.open(broker) for _ in range(count)]
        for number, peer in enumerate(peers):
            peer.send(connect(f"c{number}", username="slow"))
        await until(lambda: plugin_samples.UserGate.asked == count)
        assert broker.statistics()["clients_connected"] == 0
        async with client_of(broker, "quick", user="good") as client:
            await client.ping()
            plugin_samples.UserGate.gate.set()
            for peer in peers:
                await peer.expect(CONNACK_ACCEPTED)
            assert broker.statistics()["clients_connected"] == count + 1
        for peer in peers:
            await peer.close()
        await until(lambda: len(broker._dispatch.registry) == 0)


async def test_memory_is_flat_over_many_events() -> None:
    async with Broker(config_of([ANONYMOUS, sample("Counting")])) as broker:
        plugin = broker.plugins_manager.get_plugin("Counting")
        peer = await Peer.login(broker, "p")

        async def publish_many(messages: int) -> None:
            wanted = plugin.received + messages
            for _ in range(messages // 50):
                peer.send(publish("t", b"x" * 1000, qos=1, packet_id=1) * 50)
                await peer.read(4 * 50)
            await until(lambda: plugin.received == wanted)

        await publish_many(1000)
        gc.collect()
        tracemalloc.start()
        try:
            await publish_many(500)
            gc.collect()
            before = tracemalloc.get_traced_memory()[0]
            await publish_many(5000)
            gc.collect()
            after = tracemalloc.get_traced_memory()[0]
        finally:
            tracemalloc.stop()
        await peer.close()
    # A leak of one object for each message would be larger than that.
    assert after - before < 5000 * 16


async def test_handlers_that_do_not_end_make_clients_wait(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("amqtt._broker.dispatch._MOST_RUNNING", 20)
    async with Broker(config_of([ANONYMOUS, sample("Counting")])) as broker:
        plugin = broker.plugins_manager.get_plugin("Counting")
        plugin.gate.clear()
        peer = await Peer.login(broker, "p")
        for _ in range(100):
            peer.send(publish("t", b"x", qos=1, packet_id=1))
            await peer.packet()
        await until(lambda: "handlers of plugins are running" in caplog.text)
        started = broker._dispatch._running()
        plugin.gate.set()
        await until(lambda: plugin.received == 100)
        assert started <= 101
        await peer.close()


async def test_clients_come_and_go_without_a_trace() -> None:
    async with Broker(config_of([sample("UserGate"), sample("TopicGate")])) as broker:
        for number in range(30):
            async with client_of(broker, f"c{number % 3}", user="good") as client:
                await client.subscribe([("a", 0)])
        await until(lambda: len(broker._dispatch.registry) == 0)
        assert broker.statistics()["sessions"] == 0
