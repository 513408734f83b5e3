"""Questions to plugins that do not come to answer: what is kept of them, and who gets answers."""

from __future__ import annotations

import asyncio
import socket
import time
from typing import Any, ClassVar

import pytest
from support import plugin_samples
from support.embedded import LIMIT, Peer, config_of, port_of, sample, until
from support.wire import CONNACK_ACCEPTED, connect, publish, string

from amqtt.broker import Broker
from amqtt.plugins.base import BaseAuthPlugin, BaseTopicPlugin

ANONYMOUS = "amqtt.plugins.authentication.AnonymousAuthPlugin"
BUSY_V5 = b"\x20\x03\x00\x97\x00"
BUSY = b"\x20\x02\x00\x03"


class Stubborn(BaseAuthPlugin, BaseTopicPlugin):
    """Waits for a gate, one for each question, whatever is done to it."""

    gates: ClassVar[list[asyncio.Event]] = []

    @classmethod
    async def wait(cls) -> bool:
        """Wait for a gate of its own."""
        gate = asyncio.Event()
        cls.gates.append(gate)
        while not gate.is_set():
            try:
                await gate.wait()
            except asyncio.CancelledError:
                continue
        return True

    async def authenticate(self, **_: Any) -> bool:
        return await self.wait()

    async def topic_filtering(self, **_: Any) -> bool:
        return await self.wait()


@pytest.fixture(autouse=True)
def gates() -> None:
    Stubborn.gates.clear()
    plugin_samples.UserGate.gate = asyncio.Event()
    plugin_samples.UserGate.asked = 0


def wait_without_the_loop(condition: Any) -> None:
    """Wait while the event loop is blocked, and the broker's plugins with it."""
    deadline = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < deadline


def come_and_go(broker: Broker, count: int, packet: Any) -> None:
    """Connect, and be refused for want of a decision before the event loop has run."""
    for number in range(count):
        with socket.create_connection(("127.0.0.1", port_of(broker))) as peer:
            peer.sendall(packet(number))
    wait_without_the_loop(lambda: broker.statistics()["packets_received"] == count)
    wait_without_the_loop(lambda: broker.statistics()["connections"]["default"] == 0)


# Longer than it takes to send some CONNECTs.
SOON = {"decision_timeout": 0.5}


@pytest.mark.parametrize("threads", [1, 2])
async def test_clients_that_left_are_not_kept(threads: int) -> None:
    config = config_of([sample("UserGate")], threads=threads, limits=SOON)
    async with Broker(config) as broker:
        will = ("will", bytes(50_000))
        come_and_go(broker, 100, lambda n: connect(f"c{n}", username="slow", will=will))
        peer = await Peer.login(broker, "behind", username="good")
        assert plugin_samples.UserGate.asked == 1  # nobody waits for the other answers
        assert len(broker._dispatch.registry) == 1
        await peer.close()
        peer = await Peer.login(broker, "c", username="good")
        await peer.close()


@pytest.mark.parametrize("threads", [1, 2])
async def test_exchanges_of_clients_that_left_are_not_kept(threads: int) -> None:
    plugins = {"amqtt.plugins.scram.ScramAuthPlugin": {"password_file": "/dev/null"}}
    async with Broker(config_of(plugins, threads=threads, limits=SOON)) as broker:
        method = b"\x15" + string("SCRAM-SHA-256") + b"\x16" + string(b"n,,n=u,r=" + b"x" * 20)
        come_and_go(broker, 100, lambda n: connect(f"c{n}", properties=method))
        refused = await Peer.open(broker)
        refused.send(connect("behind", properties=b"\x15" + string("SCRAM-SHA-256")))
        await refused.packet()
        await refused.close()
        await until(lambda: len(broker._dispatch.registry) == 0)
        await until(lambda: len(broker._dispatch._decisions) == 0)
        assert broker._dispatch.exchanges._steps == {}


async def test_clients_that_wait_are_bounded_in_number() -> None:
    config = config_of(
        [sample("UserGate")],
        limits={"max_pending_decisions": 2},
        protocol={"reason_strings": False},
    )
    async with Broker(config) as broker:
        waiting = [await Peer.open(broker) for _ in range(2)]
        for number, peer in enumerate(waiting):
            peer.send(connect(f"c{number}", username="slow"))
        await until(lambda: plugin_samples.UserGate.asked == 2)
        for data, answer in (
            (connect("new", username="good", properties=b""), BUSY_V5),
            (connect("new", username="good"), BUSY),
        ):
            refused = await Peer.open(broker)
            refused.send(data)
            await refused.expect(answer)
            await refused.close()
        assert plugin_samples.UserGate.asked == 2
        plugin_samples.UserGate.gate.set()
        for peer in waiting:
            await peer.expect(CONNACK_ACCEPTED)
            await peer.close()
        later = await Peer.login(broker, "later", username="good")
        await later.close()


async def test_clients_that_wait_are_bounded_in_bytes() -> None:
    limits = {"max_pending_decision_bytes": 300_000}
    async with Broker(config_of([sample("UserGate")], limits=limits)) as broker:
        first = await Peer.open(broker)
        first.send(connect("a", username="slow", will=("t", bytes(60_000))))
        await until(lambda: plugin_samples.UserGate.asked == 1)
        refused = await Peer.open(broker)
        refused.send(connect("b", username="good", will=("t", bytes(60_000))))
        await refused.expect(BUSY)
        small = await Peer.login(broker, "c", username="good")
        await first.close()
        # What the plugin is at work on counts until it is done.
        again = await Peer.open(broker)
        again.send(connect("b", username="good", will=("t", bytes(60_000))))
        await again.expect(BUSY)
        plugin_samples.UserGate.gate.set()
        await until(lambda: len(broker._dispatch._decisions) == 0)
        large = await Peer.login(broker, "b", username="good", will=("t", bytes(60_000)))
        for peer in (refused, small, again, large):
            await peer.close()


async def test_a_broker_whose_loop_is_blocked_refuses_at_the_bound() -> None:
    limits = {"max_pending_decisions": 10}
    async with Broker(config_of([sample("UserGate")], limits=limits)) as broker:
        peers = [socket.create_connection(("127.0.0.1", port_of(broker))) for _ in range(30)]
        for number, peer in enumerate(peers):
            peer.sendall(connect(f"c{number}", username="good"))
        answers = []
        for peer in peers:
            peer.settimeout(LIMIT)
        wait_without_the_loop(lambda: broker.statistics()["connections"]["default"] >= 10)
        await until(lambda: broker.statistics()["clients_connected"] == 10)
        for peer in peers:
            answers.append(peer.recv(4))
            peer.close()
        assert sorted(answers) == [CONNACK_ACCEPTED] * 10 + [BUSY] * 20


async def test_a_verdict_from_before_a_restart_admits_nobody() -> None:
    broker = Broker(config_of([f"{__name__}.Stubborn"]))
    await broker.start()
    old = await Peer.open(broker)
    old.send(connect("old"))
    await until(lambda: len(Stubborn.gates) == 1)
    await broker.shutdown()
    await old.close()
    await broker.start()
    new = await Peer.open(broker)
    new.send(connect("new"))
    await until(lambda: len(Stubborn.gates) == 2)
    Stubborn.gates[0].set()
    for _ in range(20):
        await asyncio.sleep(0)
    # The engine has had a turn behind whatever it was told.
    assert broker.statistics()["clients_connected"] == 0
    Stubborn.gates[1].set()
    await new.expect(CONNACK_ACCEPTED)
    await new.close()
    await broker.shutdown()


async def test_a_verdict_on_a_topic_from_before_a_restart_is_nothing() -> None:
    broker = Broker(config_of([ANONYMOUS, f"{__name__}.Topics"]))
    await broker.start()
    old = await Peer.login(broker, "old")
    old.send(publish("t", b"x", qos=1, packet_id=1))
    await until(lambda: len(Stubborn.gates) == 1)
    await broker.shutdown()
    await old.close()
    await broker.start()
    seen = broker.subscribe("#")
    new = await Peer.login(broker, "new")
    new.send(publish("t", b"y", qos=1, packet_id=1))
    await until(lambda: len(Stubborn.gates) == 2)
    Stubborn.gates[0].set()
    for _ in range(20):
        await asyncio.sleep(0)
    received = broker.statistics()["publish_received"]
    assert received == 1
    assert seen._waiting.empty()
    Stubborn.gates[1].set()
    await new.expect(b"\x40\x02\x00\x01")
    assert (await asyncio.wait_for(anext(seen), LIMIT)).data == b"y"
    await new.close()
    await broker.shutdown()


class Topics(BaseTopicPlugin):
    """Decides on topics as `Stubborn` does."""

    async def topic_filtering(self, **_: Any) -> bool:
        return await Stubborn.wait()


@pytest.mark.parametrize("verdict", ["yes", 1, [1]])
async def test_only_true_admits(verdict: Any, caplog: pytest.LogCaptureFixture) -> None:
    async with Broker(config_of([sample("Answers")])) as broker:
        plugin = broker.plugins_manager.get_plugin("Answers")
        plugin.config.auth = verdict
        peer = await Peer.open(broker)
        peer.send(connect("c"))
        await peer.expect(b"\x20\x02\x00\x05")
        await peer.close()
        plugin.config.auth, plugin.config.topic = True, verdict
        client = await Peer.login(broker, "c")
        client.send(b"\x82\x06\x00\x01\x00\x01t\x00")
        await client.expect(b"\x90\x03\x00\x01\x80")
        await client.close()
    assert f"Plugin 'Answers' has returned a value of the type '{type(verdict).__name__}'" in (
        caplog.text
    )
