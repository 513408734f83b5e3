"""Driver of gmqtt: an asyncio protocol, publishing without waiting, messages by callback."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from typing import Any

import gmqtt
from gmqtt.mqtt.constants import MQTTv311
from gmqtt.storage import PersistentStorage

from benchmarks.python.driver import (
    ECHO_TOPIC,
    END_TOPIC,
    HOST,
    KEEP_ALIVE,
    PUBLISH_TOPIC,
    RECEIVE_PREFIX,
    Driver,
    Job,
    Meter,
    announce_ready,
    make_payloads,
)

BURST = 200
"""Messages of QoS 0 that are published before the event loop may write them."""


class Window(PersistentStorage):  # type: ignore[misc]
    """What waits for acknowledgement; each acknowledgement publishes the next message."""

    client: Any
    payloads: Iterator[bytes] = iter(())
    qos = 1

    def remove_message_by_mid(self, mid: int) -> None:
        """Take an acknowledgement; publish first, or gmqtt takes all for acknowledged."""
        self.publish_next()
        super().remove_message_by_mid(mid)

    def publish_next(self) -> None:
        """Publish the next message if there is one."""
        for payload in self.payloads:
            self.client.publish(PUBLISH_TOPIC, payload, self.qos)
            return


class GmqttDriver(Driver):
    """`gmqtt.Client` with MQTT 3.1.1, as the other clients use it."""

    distribution = "gmqtt"

    def run(self, job: Job, meter: Meter) -> list[bytes]:
        """Do the job on a new event loop."""
        return asyncio.run(self._run(job, meter))

    async def _run(self, job: Job, meter: Meter) -> list[bytes]:
        self.window = Window()
        self.client = gmqtt.Client(f"gmqtt{os.getpid()}", persistent_storage=self.window)
        self.window.client = self.client
        await self.client.connect(HOST, job.port, keepalive=KEEP_ALIVE, version=MQTTv311)
        try:
            if job.mode.startswith("recv"):
                return await self._receive(job, meter)
            if job.mode == "rtt":
                return await self._echo(job, meter)
            if job.mode == "pub0":
                await self._publish_unacknowledged(job, meter)
            else:
                await self._publish_window(job, meter, job.window if job.mode == "pub1w" else 1)
            return []
        finally:
            await self.client.disconnect()

    async def _subscribe(self, topic_filter: str, qos: int) -> None:
        subscribed = asyncio.Event()
        self.client.on_subscribe = lambda *_: subscribed.set()
        self.client.subscribe(topic_filter, qos)
        await subscribed.wait()

    async def _publish_unacknowledged(self, job: Job, meter: Meter) -> None:
        publish = self.client.publish
        payloads = make_payloads(job.count, job.size)
        meter.start()
        for start in range(0, job.count, BURST):
            for payload in payloads[start : start + BURST]:
                publish(PUBLISH_TOPIC, payload, 0)
            await asyncio.sleep(0)
        publish(END_TOPIC, b"end", 1)
        await self.window.wait_empty()
        meter.stop(job.count)

    async def _publish_window(self, job: Job, meter: Meter, window: int) -> None:
        self.window.payloads = iter(make_payloads(job.count, job.size))
        self.window.qos = job.qos
        meter.start()
        for _ in range(window):
            self.window.publish_next()
        await self.window.wait_empty()
        meter.stop(job.count)

    async def _receive(self, job: Job, meter: Meter) -> list[bytes]:
        received: list[bytes] = []
        finished = asyncio.Event()

        def take(_client: Any, _topic: str, payload: bytes, _qos: int, _more: Any) -> None:
            received.append(payload)
            if len(received) == 1:
                meter.start()
            elif len(received) == job.count:
                meter.stop(job.count - 1)
                finished.set()

        self.client.on_message = take
        await self._subscribe(f"{RECEIVE_PREFIX}/#", job.qos)
        announce_ready()
        await finished.wait()  # the parent process bounds it
        return received

    async def _echo(self, job: Job, meter: Meter) -> list[bytes]:
        received: list[bytes] = []
        arrived = asyncio.Event()

        def take(_client: Any, _topic: str, payload: bytes, _qos: int, _more: Any) -> None:
            received.append(payload)
            arrived.set()

        self.client.on_message = take
        await self._subscribe(ECHO_TOPIC, 0)
        publish, clock = self.client.publish, time.perf_counter
        payloads = make_payloads(job.count, job.size)
        meter.start()
        for payload in payloads:
            before = clock()
            arrived.clear()
            publish(ECHO_TOPIC, payload, 0)
            await arrived.wait()
            meter.round_trips.append(clock() - before)
        meter.stop(job.count)
        return received


DRIVER = GmqttDriver
