"""A broker that is killed at random moments, with traffic at QoS 1 and 2: nothing is lost.

The short form kills it a few times on each database. `./dev crash` does so for an hour.
"""

from __future__ import annotations

import asyncio
import os
import random
import resource
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.client import make_client
from support.databases import DatabaseServer
from support.numbered import Received, receive
from support.restarting import RestartingBroker

from amqtt.client import MQTTClient

KILLS = int(os.environ.get("AMQTT_CRASH_KILLS", "0"))
SECONDS = float(os.environ.get("AMQTT_CRASH_SECONDS", "0"))
SEED = int(os.environ.get("AMQTT_CRASH_SEED", str(time.time_ns() % 1_000_000)))
# Of the short form; a server that was not stopped takes its time to give the lock back.
SHORT = {"sqlite": 5, "postgresql": 3, "mysql": 3}
IN_FLIGHT = 20
RETAINED_TOPICS = 5
LIMIT = 100 + SECONDS * 2 + KILLS * 20


@pytest.fixture
def broker(url: str, tmp_path: Path) -> Iterator[RestartingBroker]:
    """A broker that keeps its sessions in a database."""
    started = start_broker(url, tmp_path)
    yield started
    started.kill()


def start_broker(url: str, folder: Path) -> RestartingBroker:
    options = {"connection": url, "clear_on_shutdown": False}
    broker = RestartingBroker(folder, {"amqtt.contrib.persistence.SessionDBPlugin": options})
    broker.start()
    return broker


class Traffic:
    """Publish numbers until told to stop."""

    def __init__(self, client: MQTTClient, prefix: str) -> None:
        self._client = client
        self._prefix = prefix
        self.acknowledged = 0
        self.is_over = False
        self.progress = asyncio.Event()
        self.retained = [-1] * RETAINED_TOPICS

    async def publish(self, qos: int) -> int:
        """Publish at a QoS, several at a time; return how many."""
        room = asyncio.Semaphore(IN_FLIGHT)
        pending: set[asyncio.Task[Any]] = set()

        def done(task: asyncio.Task[Any]) -> None:
            pending.discard(task)
            room.release()
            self._note()

        count = 0
        while not self.is_over:
            await room.acquire()
            payload = str(count).encode() + b" " * (count * 37 % 200)
            task = asyncio.ensure_future(
                self._client.publish(f"{self._prefix}/m/{qos}", payload, qos=qos)
            )
            pending.add(task)
            task.add_done_callback(done)
            count += 1
        await asyncio.gather(*pending)
        return count

    async def retain(self) -> int:
        """Publish retained messages, one after the other."""
        count = 0
        while not self.is_over:
            topic = count % RETAINED_TOPICS
            await self._client.publish(
                f"{self._prefix}/r/{topic}", str(count).encode(), qos=2, retain=True
            )
            self.retained[topic] = count
            count += 1
            self._note()
        return count

    def _note(self) -> None:
        self.acknowledged += 1
        self.progress.set()

    async def wait_for(self, more: int) -> None:
        """Wait until that many more messages were acknowledged."""
        goal = self.acknowledged + more
        while self.acknowledged < goal:
            self.progress.clear()
            await self.progress.wait()


def persistent(name: str, version: int) -> MQTTClient:
    properties = {"connect_properties": {"session_expiry_interval": 86_400}} if version == 5 else {}
    client = make_client(
        version, name, auto_reconnect=True, cleansession=False, reconnect_retries=-1, **properties
    )
    client.config.reconnect_max_interval = 0.05  # type: ignore[assignment]  # seconds are long
    return client


Accident = Callable[[], Awaitable[None]]


async def again_and_again(
    accident: Accident, traffic: Traffic, dice: random.Random, times: int
) -> None:
    until = time.monotonic() + SECONDS
    done = 0
    while done < times or time.monotonic() < until:
        await traffic.wait_for(dice.randint(1, 400))
        await accident()
        done += 1
    await traffic.wait_for(50)
    traffic.is_over = True


async def all_arrived(received: Received, topics: dict[str, int]) -> None:
    while any(len(received.seen[topic]) < count for topic, count in topics.items()):
        await asyncio.sleep(0.02)


@pytest.mark.timeout(LIMIT + 30)
async def test_the_broker_is_killed(broker: RestartingBroker, url: str, unique: str) -> None:
    """5.0:MQTT-3.1.2-4@server 3.1.1:MQTT-4.1.0-1@server"""

    async def kill() -> None:
        broker.kill()
        await asyncio.to_thread(broker.start)

    await check_traffic(broker, unique, kill, KILLS or SHORT[url.split("+")[0]])


@pytest.mark.timeout(LIMIT + 30)
async def test_the_database_is_killed(server: DatabaseServer, tmp_path: Path, unique: str) -> None:
    url = await asyncio.to_thread(server.new_database)
    broker = start_broker(url, tmp_path)

    async def kill() -> None:
        await asyncio.to_thread(server.stop)
        await asyncio.to_thread(server.start)

    try:
        await check_traffic(broker, unique, kill, KILLS or 2)
    finally:
        broker.kill()


@pytest.mark.timeout(LIMIT + 30)
async def test_the_disk_is_full_and_the_broker_is_killed(
    sqlite_url: str, tmp_path: Path, unique: str
) -> None:
    """No file of the broker may grow: SQLite takes that as it takes a full disk."""
    broker = start_broker(sqlite_url, tmp_path)

    async def fill() -> None:
        resource.prlimit(broker.pid, resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
        while broker.log().count("cannot store changes") < broker.starts:
            await asyncio.sleep(0.01)
        broker.kill()
        await asyncio.to_thread(broker.start)

    try:
        await check_traffic(broker, unique, fill, KILLS or 3)
    finally:
        broker.kill()


async def check_traffic(
    broker: RestartingBroker, unique: str, accident: Accident, times: int
) -> None:
    """Publish through accidents: everything arrives, QoS 2 once, in order.

    At a session that is there, at one that is away, and at the two of a shared subscription
    together, which keep no order.
    """
    print(f"AMQTT_CRASH_SEED={SEED}")  # shown when it fails
    dice = random.Random(SEED)
    publisher = persistent(f"{unique}-publisher", dice.choice((4, 5)))
    names = ("online", "away", "first", "second")
    clients = {name: persistent(f"{unique}-{name}", dice.choice((4, 5))) for name in names}
    received = {name: Received() for name in ("online", "away", "shared")}
    for name, client in clients.items():
        await client.connect(broker.uri)
        group = "$share/group/" if name in ("first", "second") else ""
        await client.subscribe([(f"{group}{unique}/m/+", 2)])
    await clients["away"].disconnect()
    await publisher.connect(broker.uri)
    traffic = Traffic(publisher, unique)
    readers = [
        asyncio.ensure_future(receive(clients["online"], received["online"])),
        asyncio.ensure_future(receive(clients["first"], received["shared"])),
        asyncio.ensure_future(receive(clients["second"], received["shared"])),
    ]
    everything = asyncio.ensure_future(
        asyncio.wait_for(
            asyncio.gather(
                traffic.publish(1),
                traffic.publish(2),
                traffic.retain(),
                again_and_again(accident, traffic, dice, times),
            ),
            LIMIT,
        )
    )
    try:
        await asyncio.wait({everything, *readers}, return_when=asyncio.FIRST_COMPLETED)
        for reader in readers:
            assert not reader.done(), reader.exception()
        sent = dict(zip((f"{unique}/m/1", f"{unique}/m/2"), (await everything)[:2], strict=True))
        await clients["away"].connect(broker.uri, cleansession=False)
        readers.append(asyncio.ensure_future(receive(clients["away"], received["away"])))
        for name, end in received.items():
            try:
                await asyncio.wait_for(all_arrived(end, sent), LIMIT)
            except asyncio.TimeoutError:
                pytest.fail(f"{name}: { ({t: len(s) for t, s in end.seen.items()}) } of {sent}")
    finally:
        for task in (everything, *readers):
            task.cancel()
        await asyncio.gather(everything, *readers, return_exceptions=True)
        await publisher.disconnect()
        for client in clients.values():
            await client.disconnect()
    for name, end in received.items():
        for topic, count in sent.items():
            end.check(topic, count, int(topic[-1]))
            assert name == "shared" or end.in_order(topic), f"{topic}: out of order"
    await check_retained(broker, unique, traffic)
    broker.stop()
    print(f"{broker.starts} starts, {sum(sent.values())} messages")


async def check_retained(broker: RestartingBroker, unique: str, traffic: Traffic) -> None:
    """The retained messages are those that were published last."""
    reader = make_client(4)
    await reader.connect(broker.uri)
    await reader.subscribe([(f"{unique}/r/+", 1)])
    expected = {f"{unique}/r/{i}": last for i, last in enumerate(traffic.retained) if last >= 0}
    found: dict[str, int] = {}
    for _ in expected:
        message = await reader.deliver_message(timeout_duration=10)
        assert message is not None
        found[message.topic] = int(message.data)
    await reader.disconnect()
    assert found == expected
