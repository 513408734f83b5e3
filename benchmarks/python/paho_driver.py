"""Driver of paho-mqtt: callbacks, and a network thread of its own."""

from __future__ import annotations

import os
import threading
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from benchmarks.python.driver import HOST, KEEP_ALIVE, Job
from benchmarks.python.thread_driver import ThreadDriver, wait


class PahoDriver(ThreadDriver):
    """`paho.mqtt.client.Client` with `loop_start`."""

    distribution = "paho-mqtt"

    def connect(self, job: Job) -> None:
        """Connect and wait for CONNACK."""
        self.client = mqtt.Client(
            callback_api_version=CallbackAPIVersion.VERSION2, client_id=f"paho{os.getpid()}"
        )
        self.client.max_inflight_messages_set(job.window)
        self.client.max_queued_messages_set(0)
        connected = threading.Event()
        self.client.on_connect = lambda *_: connected.set()
        self.client.on_message = lambda _client, _data, message: self.on_payload(message.payload)
        self.client.on_publish = self._report
        self.client.connect(HOST, job.port, KEEP_ALIVE)
        self.client.loop_start()
        wait(connected, "CONNACK")

    def publish(self, topic: str, payload: bytes, qos: int) -> int:
        """Hand a message to the client; return its number."""
        return self.client.publish(topic, payload, qos).mid

    def subscribe(self, topic_filter: str, qos: int) -> None:
        """Subscribe and wait for SUBACK."""
        subscribed = threading.Event()
        self.client.on_subscribe = lambda *_: subscribed.set()
        self.client.subscribe(topic_filter, qos)
        wait(subscribed, "SUBACK")

    def disconnect(self) -> None:
        """Disconnect and end the network thread."""
        self.client.disconnect()
        self.client.loop_stop()

    def _report(self, _client: mqtt.Client, _data: Any, number: int, *_more: Any) -> None:
        self.on_published(number)


DRIVER = PahoDriver
