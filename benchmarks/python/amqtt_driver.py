"""Driver of this package's client."""

from __future__ import annotations

import os
from operator import attrgetter
from typing import Any

from amqtt.client import MQTTClient
from benchmarks.python.async_driver import AsyncDriver
from benchmarks.python.driver import HOST, KEEP_ALIVE, Job


class AmqttDriver(AsyncDriver):
    """`amqtt.client.MQTTClient` with its default plugins, and with a session file when told so."""

    distribution = "amqtt"
    payload_of = attrgetter("data")

    async def connect(self, job: Job) -> None:
        """Connect; set `publish` and `receive`."""
        config: dict[str, Any] = {"auto_reconnect": False, "keep_alive": KEEP_ALIVE}
        client_id = f"amqtt{os.getpid()}"
        if self.keeps_session:
            config.update(cleansession=False, session_file=f"{client_id}.session")
        self.client = MQTTClient(client_id=client_id, config=config)
        await self.client.connect(f"mqtt://{HOST}:{job.port}/")
        self.publish = self.client.publish
        self.receive = self.client.deliver_message

    async def subscribe(self, topic_filter: str, qos: int) -> None:
        """Subscribe, and wait for the acknowledgement."""
        granted = await self.client.subscribe([(topic_filter, qos)])
        if granted != [qos]:
            raise RuntimeError(f"{topic_filter} was granted {granted}")

    async def disconnect(self) -> None:
        """Disconnect."""
        await self.client.disconnect()


DRIVER = AmqttDriver
