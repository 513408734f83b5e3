"""A client whose process is killed: publishes numbers, and writes down what it has received.

It is started again with the same session file. What it writes to its standard output is what its
application knows: "stored TOPIC RUN NUMBER" for a publish that has returned, "took TOPIC NUMBER"
for a received message, before that is acknowledged. "finished": nothing more is published.
"""

from __future__ import annotations

import argparse
import asyncio
import os
from typing import Any

from amqtt.client import MQTTClient
from support.client import make_client

IN_FLIGHT = 10


def say(*words: object) -> None:
    """Write a line at once, so that a killed process has written it or has not."""
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


async def publish(
    client: MQTTClient, topic: str, qos: int, run: int, stopped: asyncio.Event
) -> None:
    """Publish numbers until the standard input ends."""
    room = asyncio.Semaphore(IN_FLIGHT)

    async def one(number: int) -> None:
        await client.publish(topic, f"{run} {number}".encode(), qos=qos)
        say("stored", topic, run, number)
        room.release()

    number = 0
    tasks: set[asyncio.Task[None]] = set()
    while not stopped.is_set():
        await room.acquire()
        task = asyncio.ensure_future(one(number))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        number += 1
    await asyncio.gather(*tasks)


async def take(client: MQTTClient, *, acknowledges: bool) -> None:
    """Write down what comes."""
    async for message in client.messages():
        say("took", message.topic, message.data.decode())
        if acknowledges:
            client.acknowledge(message)


async def main() -> None:
    """Connect, and go on until the process is killed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("uri")
    parser.add_argument("file")
    parser.add_argument("name")
    parser.add_argument("run", type=int)
    parser.add_argument("--version", type=int, default=4)
    parser.add_argument("--manual", action="store_true")
    parser.add_argument("--offline", action="store_true", help="publishes are put aside")
    given = parser.parse_args()
    config: dict[str, Any] = {
        "session_file": given.file,
        "cleansession": False,
        "auto_reconnect": True,
        "reconnect_retries": -1,
        "reconnect_max_interval": 1,
        "manual_acknowledgement": given.manual,
        "offline_queue_messages": 10_000 if given.offline else 0,
        "plugins": {},
    }
    if given.version == 5:
        config["connect_properties"] = {"session_expiry_interval": 600}
    client = make_client(given.version, given.name, **config)
    await client.connect(given.uri)
    if not client.session.parent:  # type: ignore[union-attr]
        await client.subscribe([(f"{given.name}/back/1", 1), (f"{given.name}/back/2", 2)])
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_reader(0, stopped.set)
    say("ready", given.run)
    taking = asyncio.ensure_future(take(client, acknowledges=given.manual))
    await asyncio.gather(
        publish(client, f"{given.name}/there/1", 1, given.run, stopped),
        publish(client, f"{given.name}/there/2", 2, given.run, stopped),
    )
    say("finished", given.run)
    await taking


if __name__ == "__main__":
    asyncio.run(main())
