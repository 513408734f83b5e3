"""The jobs for clients with an asyncio interface.

A driver hands out the client's own bound methods, so nothing of ours runs per message.
"""

from __future__ import annotations

import asyncio
import time
from abc import abstractmethod
from collections.abc import Awaitable, Callable
from typing import Any

from benchmarks.python.driver import (
    ECHO_TOPIC,
    END_TOPIC,
    PUBLISH_TOPIC,
    RECEIVE_PREFIX,
    Driver,
    Job,
    Meter,
    announce_ready,
    make_payloads,
)


class AsyncDriver(Driver):
    """A client whose publish and receive are coroutines."""

    publish: Callable[..., Awaitable[Any]]  # (topic, payload, qos=...)
    receive: Callable[[], Awaitable[Any]]
    payload_of: Callable[[Any], bytes]  # of a received message

    @abstractmethod
    async def connect(self, job: Job) -> None:
        """Connect; set `publish` and `receive`."""

    @abstractmethod
    async def subscribe(self, topic_filter: str, qos: int) -> None:
        """Subscribe, and wait for the acknowledgement."""

    @abstractmethod
    async def disconnect(self) -> None:
        """Disconnect."""

    def run(self, job: Job, meter: Meter) -> list[bytes]:
        """Do the job on a new event loop."""
        return asyncio.run(self._run(job, meter))

    async def _run(self, job: Job, meter: Meter) -> list[bytes]:
        received: list[bytes] = []
        await self.connect(job)
        try:
            if job.mode.startswith("recv"):
                received = await self._receive(job, meter)
            elif job.mode == "rtt":
                received = await self._echo(job, meter)
            else:
                await (self._publish_window if job.mode == "pub1w" else self._publish)(job, meter)
        finally:
            await self.disconnect()
        return received

    async def _publish(self, job: Job, meter: Meter) -> None:
        publish, qos = self.publish, job.qos
        payloads = make_payloads(job.count, job.size)
        meter.start()
        for payload in payloads:
            await publish(PUBLISH_TOPIC, payload, qos=qos)
        if qos == 0:
            await publish(END_TOPIC, b"end", qos=1)
        meter.stop(job.count)

    async def _publish_window(self, job: Job, meter: Meter) -> None:
        publish = self.publish
        payloads = iter(make_payloads(job.count, job.size))

        async def publish_in_turn() -> None:
            for payload in payloads:
                await publish(PUBLISH_TOPIC, payload, qos=1)

        meter.start()
        await asyncio.gather(*[publish_in_turn() for _ in range(job.window)])
        meter.stop(job.count)

    async def _receive(self, job: Job, meter: Meter) -> list[bytes]:
        receive, payload_of = self.receive, self.payload_of
        await self.subscribe(f"{RECEIVE_PREFIX}/#", job.qos)
        announce_ready()
        received = [payload_of(await receive())]
        meter.start()
        for _ in range(job.count - 1):
            received.append(payload_of(await receive()))
        meter.stop(job.count - 1)
        return received

    async def _echo(self, job: Job, meter: Meter) -> list[bytes]:
        publish, receive, clock = self.publish, self.receive, time.perf_counter
        payload_of = self.payload_of
        await self.subscribe(ECHO_TOPIC, 0)
        received: list[bytes] = []
        payloads = make_payloads(job.count, job.size)
        meter.start()
        for payload in payloads:
            before = clock()
            await publish(ECHO_TOPIC, payload, qos=0)
            received.append(payload_of(await receive()))
            meter.round_trips.append(clock() - before)
        meter.stop(job.count)
        return received
