"""Driver of aiomqtt, which is paho-mqtt with an asyncio interface."""

from __future__ import annotations

import os
from operator import attrgetter

import aiomqtt

from benchmarks.python.async_driver import AsyncDriver
from benchmarks.python.driver import HOST, KEEP_ALIVE, Job


class AiomqttDriver(AsyncDriver):
    """`aiomqtt.Client` without a bound on its queues."""

    distribution = "aiomqtt"
    payload_of = attrgetter("payload")

    async def connect(self, job: Job) -> None:
        """Connect; set `publish` and `receive`."""
        self.client = aiomqtt.Client(
            HOST,
            job.port,
            identifier=f"aiomqtt{os.getpid()}",
            keepalive=KEEP_ALIVE,
            max_inflight_messages=job.window,
            max_queued_outgoing_messages=0,
        )
        await self.client.__aenter__()
        self.publish = self.client.publish
        self.receive = self.client.messages.__anext__

    async def subscribe(self, topic_filter: str, qos: int) -> None:
        """Subscribe, and wait for the acknowledgement."""
        await self.client.subscribe(topic_filter, qos=qos)

    async def disconnect(self) -> None:
        """Disconnect."""
        await self.client.__aexit__(None, None, None)


DRIVER = AiomqttDriver
