"""Messages that carry numbers, so that it shows what is lost, doubled or out of order."""

from __future__ import annotations

import asyncio
from collections import defaultdict

from amqtt.client import MQTTClient


class Received:
    """What one end has received, by topic."""

    def __init__(self) -> None:
        self.numbers: dict[str, list[int]] = defaultdict(list)
        self.seen: dict[str, set[int]] = defaultdict(set)
        self.arrived: dict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(0))

    def take(self, topic: str, number: int) -> None:
        self.numbers[topic].append(number)
        if number not in self.seen[topic]:
            self.seen[topic].add(number)
            self.arrived[topic].release()

    def check(self, topic: str, sent: int, qos: int) -> None:
        """Every message came, and at QoS 2 only once."""
        found = self.numbers[topic]
        assert self.seen[topic] == set(range(sent)), f"{topic}: messages are missing"
        if qos == 2:
            repeated = [number for number in self.seen[topic] if found.count(number) > 1]
            assert not repeated, f"{topic}: duplicates {repeated[:10]}"

    def in_order(self, topic: str) -> bool:
        """Return whether the messages came in order, each when it came first."""
        first = list(dict.fromkeys(self.numbers[topic]))
        return first == sorted(first)


async def receive(client: MQTTClient, received: Received) -> None:
    while True:
        message = await client.deliver_message()
        if message is not None:
            received.take(message.topic, int(message.data))
