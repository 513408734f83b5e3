"""Driver of pymosquitto, which is libmosquitto by way of ctypes."""

from __future__ import annotations

import os
import threading

from pymosquitto.client import Mosquitto
from pymosquitto.constants import Option

from benchmarks.python.driver import HOST, KEEP_ALIVE, Job
from benchmarks.python.thread_driver import ThreadDriver, wait


class PymosquittoDriver(ThreadDriver):
    """`pymosquitto.client.Mosquitto` with `loop_start`, its fastest form."""

    distribution = "pymosquitto"

    def connect(self, job: Job) -> None:
        """Connect and wait for CONNACK."""
        self.client = Mosquitto(f"pymosquitto{os.getpid()}")
        self.client.int_option(Option.SEND_MAXIMUM, job.window)
        connected = threading.Event()
        self.client.on_connect = lambda *_: connected.set()
        self.client.on_message = lambda _client, _data, message: self.on_payload(message.payload)
        self.client.on_publish = lambda _client, _data, number: self.on_published(number)
        self.client.connect(HOST, job.port, KEEP_ALIVE)
        self.client.loop_start()
        wait(connected, "CONNACK")

    def publish(self, topic: str, payload: bytes, qos: int) -> int:
        """Hand a message to the client; return its number."""
        number: int = self.client.publish(topic, payload, qos)
        return number

    def subscribe(self, topic_filter: str, qos: int) -> None:
        """Subscribe and wait for SUBACK."""
        subscribed = threading.Event()
        self.client.on_subscribe = lambda *_: subscribed.set()
        self.client.subscribe(topic_filter, qos)
        wait(subscribed, "SUBACK")

    def disconnect(self) -> None:
        """Disconnect and end the network thread."""
        self.client.disconnect()
        self.client.loop_stop(False)


DRIVER = PymosquittoDriver
