"""A client with a session file whose process is killed, with traffic at QoS 1 and 2 both ways.

The short form kills it a few times. `./dev chaos` does so a hundred times.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.brokers import MissingBrokerError, RunningBroker
from support.client import connected, make_client
from support.endpoints import Trust
from support.python import python_environment

from amqtt.client import MQTTClient

KILLS = int(os.environ.get("AMQTT_CHAOS_KILLS", "6"))
SEED = int(os.environ.get("AMQTT_CHAOS_SEED", str(time.time_ns() % 1_000_000)))
LIMIT = 60 + KILLS * 8
TESTS = Path(__file__).parents[1]


@pytest.fixture(params=["amqtt", "mosquitto"])
def server(request: pytest.FixtureRequest, trust: Trust, tmp_path: Path) -> Iterator[RunningBroker]:
    try:
        running = RunningBroker(request.param, tmp_path, trust)
    except MissingBrokerError as error:
        if os.environ.get("CI"):
            pytest.fail(f"not tested: {error}")
        pytest.skip(f"not tested: {error}")
    yield running
    running.stop()


class Killed:
    """The process, and what all its runs have written."""

    def __init__(self, uri: str, file: Path, name: str, *options: str) -> None:
        self._arguments = (uri, str(file), name)
        self._options = options
        self.runs = 0
        self.stored: dict[str, set[tuple[int, int]]] = defaultdict(set)
        self.took: dict[str, list[int]] = defaultdict(list)
        self.lines = 0
        self.is_ready = asyncio.Event()
        self.is_finished = asyncio.Event()
        self.is_over = False

    async def start(self) -> None:
        self.runs += 1
        self.is_ready.clear()
        environment = python_environment()
        environment["PYTHONPATH"] += f":{TESTS}"
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "support.killed_client", *self._arguments, str(self.runs),
            *self._options, env=environment, stdout=asyncio.subprocess.PIPE,
            stdin=asyncio.subprocess.PIPE,
        )  # fmt: skip
        self._reader = asyncio.ensure_future(self._read())

    async def _read(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            self.lines += 1
            kind, *values = line.decode().split()
            if kind == "stored":
                self.stored[values[0]].add((int(values[1]), int(values[2])))
            elif kind == "took":
                self.took[values[0]].append(int(values[1]))
            elif kind == "ready":
                self.is_ready.set()
            else:
                self.is_finished.set()

    async def lives_for(self, lines: int) -> None:
        """Wait until it is connected and has done so much."""
        await self.is_ready.wait()
        goal = self.lines + lines
        while self.lines < goal:
            assert self._process.returncode is None, "it has ended by itself"
            await asyncio.sleep(0.002)

    async def stop_publishing(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        await self.is_finished.wait()

    async def kill(self) -> None:
        if self._process.returncode is None:
            self._process.send_signal(signal.SIGKILL)
        assert await self._process.wait() == -signal.SIGKILL
        await self._reader


class Arrived:
    """What the other side has got of the killed client."""

    def __init__(self) -> None:
        self.messages: dict[str, list[tuple[int, int]]] = defaultdict(list)

    async def take(self, client: MQTTClient) -> None:
        async for message in client.messages():
            run, number = message.data.split()
            self.messages[message.topic].append((int(run), int(number)))


async def send_numbers(client: MQTTClient, topic: str, qos: int, killed: Killed) -> int:
    """Publish numbers to the killed client until it lives on; never more than it can bear."""
    count = 0
    while not killed.is_over:
        while count - len(set(killed.took[topic])) > 200 and not killed.is_over:
            await asyncio.sleep(0.005)
        await client.publish(topic, str(count).encode(), qos=qos)
        count += 1
    return count


async def run(killed: Killed, server: RunningBroker, version: int, name: str) -> dict[str, Any]:
    """Kill it again and again; return what was sent and what has arrived."""
    print(f"AMQTT_CHAOS_KILLS={KILLS} AMQTT_CHAOS_SEED={SEED}")  # shown when it fails
    dice = random.Random(SEED)
    arrived = Arrived()
    async with connected(make_client(version, f"{name}-steady"), server.uri()) as steady:
        await steady.subscribe([(f"{name}/there/+", 2)])
        taking = asyncio.ensure_future(arrived.take(steady))
        await killed.start()
        await killed.is_ready.wait()
        sending = [
            asyncio.ensure_future(send_numbers(steady, f"{name}/back/{qos}", qos, killed))
            for qos in (1, 2)
        ]
        for _ in range(KILLS):
            await killed.lives_for(dice.randint(1, 600))
            await asyncio.sleep(dice.random() * 0.003)  # anywhere between two lines
            await killed.kill()
            await killed.start()
        await killed.lives_for(100)
        killed.is_over = True
        sent = await asyncio.gather(*sending)
        await killed.stop_publishing()

        def is_missing() -> bool:
            there = any(
                not stored <= set(arrived.messages[topic])
                for topic, stored in list(killed.stored.items())
            )
            back = any(
                len(set(killed.took[f"{name}/back/{qos}"])) < count
                for qos, count in zip((1, 2), sent, strict=True)
            )
            return there or (back and "--manual" in killed._options)

        deadline = time.monotonic() + 20
        while is_missing() and time.monotonic() < deadline:
            await asyncio.sleep(0.02)
        taking.cancel()
    return {"arrived": arrived.messages, "sent": dict(zip((1, 2), sent, strict=True))}


def check_published(killed: Killed, arrived: dict[str, list[tuple[int, int]]], name: str) -> None:
    """Nothing that the application knew to be stored is lost; at QoS 2 nothing came twice."""
    for qos in (1, 2):
        topic = f"{name}/there/{qos}"
        came = arrived[topic]
        missing = killed.stored[topic] - set(came)
        assert not missing, f"{topic}: {sorted(missing)[:10]} of {len(killed.stored[topic])}"
        first = list(dict.fromkeys(came))
        assert first == sorted(first), f"{topic}: out of order"
        if qos == 2:
            twice = [each for each, count in Counter(came).items() if count > 1]
            assert not twice, f"{topic}: {twice[:10]}"


@pytest.mark.timeout(LIMIT + 30)
@pytest.mark.parametrize("version", [4, 5], ids=["3.1.1", "5.0"])
async def test_acknowledged_by_the_application(
    version: int, server: RunningBroker, unique: str, tmp_path: Path
) -> None:
    """Nothing is lost either way; what was taken may come again if that was not stored.

    3.1.1:MQTT-4.1.0-1@client 3.1.1:MQTT-4.4.0-1@client
    5.0:MQTT-4.1.0-1@client 5.0:MQTT-4.4.0-1@client 5.0:MQTT-3.1.2-23@client
    """
    killed = Killed(
        server.uri(), tmp_path / "session", unique, "--manual", "--version", str(version)
    )
    try:
        result = await asyncio.wait_for(run(killed, server, version, unique), LIMIT)
    finally:
        await killed.kill()
    check_published(killed, result["arrived"], unique)
    for qos in (1, 2):
        came = killed.took[f"{unique}/back/{qos}"]
        missing = set(range(result["sent"][qos])) - set(came)
        assert not missing, f"QoS {qos}: {sorted(missing)[:20]}; {came[-5:]} came last"
        print(f"QoS {qos}: {len(came) - len(set(came))} of {len(came)} came again")


@pytest.mark.timeout(LIMIT + 30)
@pytest.mark.parametrize("version", [4, 5], ids=["3.1.1", "5.0"])
async def test_acknowledged_by_the_client(
    version: int, server: RunningBroker, unique: str, tmp_path: Path
) -> None:
    """What was received at QoS 2 never comes twice."""
    killed = Killed(server.uri(), tmp_path / "session", unique, "--version", str(version))
    try:
        result = await asyncio.wait_for(run(killed, server, version, unique), LIMIT)
    finally:
        await killed.kill()
    check_published(killed, result["arrived"], unique)
    came = killed.took[f"{unique}/back/2"]
    assert len(came) == len(set(came)), "duplicates"
