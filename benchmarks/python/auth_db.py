#!/usr/bin/env python3
"""Measure what `amqtt.contrib.auth_db` costs: remembered verdicts, and many logins at once.

Everything stays on 127.0.0.1 and in a temporary folder. Exit status: 0 when publishing with
TopicAuthDBPlugin reaches half of what it reaches without, and no message was lost; 1 when not.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parents[2]))

import yaml

from amqtt.contexts import Action
from amqtt.contrib.auth_db.managers import TopicManager, UserManager
from benchmarks.load.peers import free_port

HOST = "127.0.0.1"
WINDOW = 500
PAYLOAD = b"x" * 64
ANYBODY: dict[str, Any] = {"amqtt.plugins.authentication.AnonymousAuthPlugin": {}}
TOPICS = "amqtt.contrib.auth_db.TopicAuthDBPlugin"
USERS = "amqtt.contrib.auth_db.UserAuthDBPlugin"


def string(text: str) -> bytes:
    """Encode a text as MQTT has it."""
    return len(text.encode()).to_bytes(2, "big") + text.encode()


def packet(first: int, body: bytes) -> bytes:
    """Make a packet of at most 16,383 bytes."""
    size = len(body)
    length = bytes([size]) if size < 128 else bytes([size % 128 | 128, size // 128])
    return bytes([first]) + length + body


def connect(client_id: str, user: str, password: str | None) -> bytes:
    """Make a CONNECT packet."""
    flags = 0x82 | (0x40 if password is not None else 0)
    body = string("MQTT") + bytes([4, flags, 0, 0]) + string(client_id) + string(user)
    return packet(0x10, body + (string(password) if password is not None else b""))


@contextmanager
def broker(folder: Path, plugins: dict[str, Any]) -> Iterator[int]:
    """Run a broker with these plugins; gives its port."""
    port = free_port()
    config = {
        "listeners": {"default": {"bind": f"{HOST}:{port}"}},
        "limits": {"decision_timeout": 3600},
        "plugins": plugins,
    }
    (folder / "broker.yaml").write_text(yaml.safe_dump(config))
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "amqtt.scripts.broker_script", "-c", "broker.yaml"],
            cwd=folder,
            stdout=log,
            stderr=log,
        )
    try:
        yield port
    finally:
        process.terminate()
        process.wait(60)


class Peer:
    """A connection that speaks MQTT 3.1.1."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Use a connection."""
        self.reader = reader
        self.writer = writer

    @classmethod
    async def login(cls, port: int, client_id: str, password: str | None = None) -> Peer:
        """Connect; wait until there is a broker, and until it answers."""
        while True:
            try:
                peer = cls(*await asyncio.open_connection(HOST, port))
                break
            except ConnectionRefusedError:
                await asyncio.sleep(0.05)
        peer.writer.write(connect(client_id, "bench", password))
        answer = await peer.reader.readexactly(4)
        if answer[3] != 0:
            msg = f"{client_id} is refused with code {answer[3]}"
            raise ConnectionError(msg)
        return peer

    async def subscribe(self, topic: str) -> None:
        """Subscribe with QoS 0."""
        self.writer.write(packet(0x82, b"\0\1" + string(topic) + b"\0"))
        if (await self.reader.readexactly(5))[4] != 0:
            msg = f"subscribing to {topic} is refused"
            raise ConnectionError(msg)


async def throughput(port: int, seconds: float) -> float:
    """Publish with QoS 1 to a subscriber; return messages per second, each of them received."""
    subscriber = await Peer.login(port, "subscriber")
    await subscriber.subscribe("bench/+")
    publisher = await Peer.login(port, "publisher")
    batch = b"".join(
        packet(0x32, string(f"bench/{n % 10}") + n.to_bytes(2, "big") + PAYLOAD)
        for n in range(1, WINDOW + 1)
    )
    received = len(batch) - 2 * WINDOW  # QoS 0 has no packet identifiers
    count, began, due = 0, 0.0, 0.0
    for turn in range(10**9):
        if turn == 3:  # verdicts are remembered by now
            began, due = time.perf_counter(), time.perf_counter() + seconds
        publisher.writer.write(batch)
        await publisher.reader.readexactly(4 * WINDOW)
        await asyncio.wait_for(subscriber.reader.readexactly(received), 60)
        count += WINDOW if turn >= 3 else 0
        if turn > 3 and time.perf_counter() > due:
            break
    rate = count / (time.perf_counter() - began)
    for each in (publisher, subscriber):
        each.writer.close()
    return rate


async def round_trips(peer: Peer, until: asyncio.Event, least: int) -> list[float]:
    """Send a message to oneself 100 times a second; return the milliseconds each one took."""
    message = packet(0x30, string("bench/0") + PAYLOAD)
    times = []
    while len(times) < least or not until.is_set():
        began = time.perf_counter()
        peer.writer.write(message)
        await peer.reader.readexactly(len(message))
        times.append((time.perf_counter() - began) * 1000)
        await asyncio.sleep(0.01)
    return times


def describe(times: list[float]) -> str:
    """Summarize durations."""
    cuts = statistics.quantiles(times, n=100)
    return f"median {cuts[49]:.2f} ms, 99th {cuts[98]:.2f} ms, most {max(times):.2f} ms"


def log_in(port: int, count: int) -> None:
    """Log in so many at once; return when all are admitted."""

    async def all_of_them() -> None:
        peers = await asyncio.gather(*(Peer.login(port, f"c{n}", "secret") for n in range(count)))
        for each in peers:
            each.writer.close()

    asyncio.run(all_of_them())


async def measure_logins(port: int, count: int) -> None:
    """Let many log in at once while messages are timed."""
    peer = await Peer.login(port, "timed", "secret")
    await peer.subscribe("bench/0")
    done = asyncio.Event()
    done.set()
    print(f"  no logins:     {describe(await round_trips(peer, done, 300))}")
    done.clear()
    timing = asyncio.ensure_future(round_trips(peer, done, 2))
    began = time.perf_counter()
    # In another process: on this event loop they would delay the measurement itself.
    others = multiprocessing.get_context("spawn").Process(target=log_in, args=(port, count))
    others.start()
    await asyncio.to_thread(others.join)
    took = time.perf_counter() - began
    done.set()
    if others.exitcode != 0:
        msg = "not all were admitted"
        raise ConnectionError(msg)
    print(f"  {count} logins:   {describe(await timing)}")
    print(f"  all were admitted within {took:.1f} s, {took / count * 1000:.0f} ms each")
    peer.writer.close()


async def fill(url: str) -> None:
    """Make the user and its rights."""
    users, topics = UserManager(url), TopicManager(url)
    await users.db_sync()
    await users.create_user_auth("bench", "secret")
    await topics.create_topic_auth("bench")
    for action in Action:
        await topics.add_allowed_topic("bench", "bench/#", action)


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0, help="of publishing, each time")
    parser.add_argument("--reps", type=int, default=3, help="how often, by turns")
    parser.add_argument("--logins", type=int, default=1000, help="at once; 0 leaves them out")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="amqtt-bench-") as name:
        folder = Path(name)
        url = f"sqlite+aiosqlite:///{folder}/auth.db"
        asyncio.run(fill(url))
        kinds = {
            "no topic plugin": ANYBODY,
            "TopicAuthDBPlugin": {**ANYBODY, TOPICS: {"connection": url}},
        }
        rates: dict[str, list[float]] = {kind: [] for kind in kinds}
        for _ in range(args.reps):
            for kind, plugins in kinds.items():
                with broker(folder, plugins) as port:
                    rates[kind].append(asyncio.run(throughput(port, args.seconds)))
        without, with_plugin = (statistics.median(each) for each in rates.values())
        print("Messages per second, QoS 1 to one subscriber, each published and received:")
        for kind, found in rates.items():
            spread = f"({min(found):,.0f}-{max(found):,.0f})"
            print(f"  {kind:18} {statistics.median(found):,.0f}  {spread}")
        print(f"  share: {with_plugin / without:.2f}")
        if args.logins:
            print("Time from publishing to receiving, in one connection:")
            with broker(folder, {USERS: {"connection": url}}) as port:
                asyncio.run(measure_logins(port, args.logins))
    return 0 if with_plugin >= without / 2 else 1


if __name__ == "__main__":
    sys.exit(main())
