"""Driver of paho-mqtt: callbacks, and a network thread of its own."""

from __future__ import annotations

import os
import threading
import time
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

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

PATIENCE = 30.0


def wait(event: threading.Event, what: str) -> None:
    """Wait for an event that must come."""
    if not event.wait(PATIENCE):
        raise TimeoutError(f"no {what} in {PATIENCE:.0f} s")


class PahoDriver(Driver):
    """`paho.mqtt.client.Client` with `loop_start`."""

    distribution = "paho-mqtt"

    def run(self, job: Job, meter: Meter) -> list[bytes]:
        """Do the job; the network thread is paho's."""
        self.client = mqtt.Client(
            callback_api_version=CallbackAPIVersion.VERSION2, client_id=f"paho{os.getpid()}"
        )
        self.client.max_inflight_messages_set(job.window if job.mode == "pub1w" else 20)
        self.client.max_queued_messages_set(0)
        connected = threading.Event()
        self.client.on_connect = lambda *_: connected.set()
        self.client.connect(HOST, job.port, KEEP_ALIVE)
        self.client.loop_start()
        try:
            wait(connected, "CONNACK")
            if job.mode.startswith("recv"):
                return self._receive(job, meter)
            if job.mode == "rtt":
                return self._echo(job, meter)
            if job.mode == "pub1w":
                self._publish_window(job, meter)
            else:
                self._publish(job, meter)
            return []
        finally:
            self.client.disconnect()
            self.client.loop_stop()

    def _subscribe(self, topic_filter: str, qos: int) -> None:
        subscribed = threading.Event()
        self.client.on_subscribe = lambda *_: subscribed.set()
        self.client.subscribe(topic_filter, qos)
        wait(subscribed, "SUBACK")

    def _publish(self, job: Job, meter: Meter) -> None:
        publish, qos = self.client.publish, job.qos
        payloads = make_payloads(job.count, job.size)
        meter.start()
        if qos == 0:
            for payload in payloads:
                publish(PUBLISH_TOPIC, payload, 0)
            publish(END_TOPIC, b"end", 1).wait_for_publish()
        else:
            for payload in payloads:
                publish(PUBLISH_TOPIC, payload, qos).wait_for_publish()
        meter.stop(job.count)

    def _publish_window(self, job: Job, meter: Meter) -> None:
        publish = self.client.publish
        payloads = make_payloads(job.count, job.size)
        slots = threading.Semaphore(job.window)
        self.client.on_publish = lambda *_: slots.release()
        meter.start()
        for payload in payloads:
            slots.acquire()
            publish(PUBLISH_TOPIC, payload, 1)
        for _ in range(job.window):  # all slots free: all acknowledged
            slots.acquire()
        meter.stop(job.count)

    def _receive(self, job: Job, meter: Meter) -> list[bytes]:
        received: list[bytes] = []
        finished = threading.Event()

        def on_message(_client: mqtt.Client, _data: Any, message: mqtt.MQTTMessage) -> None:
            received.append(bytes(message.payload))
            if len(received) == 1:
                meter.start()
            elif len(received) == job.count:
                meter.stop(job.count - 1)
                finished.set()

        self.client.on_message = on_message
        self._subscribe(f"{RECEIVE_PREFIX}/#", job.qos)
        announce_ready()
        finished.wait()  # the parent process bounds it
        return received

    def _echo(self, job: Job, meter: Meter) -> list[bytes]:
        received: list[bytes] = []
        arrived = threading.Event()

        def on_message(_client: mqtt.Client, _data: Any, message: mqtt.MQTTMessage) -> None:
            received.append(bytes(message.payload))
            arrived.set()

        self.client.on_message = on_message
        self._subscribe(ECHO_TOPIC, 0)
        publish, clock = self.client.publish, time.perf_counter
        payloads = make_payloads(job.count, job.size)
        meter.start()
        for payload in payloads:
            before = clock()
            arrived.clear()
            publish(ECHO_TOPIC, payload, 0)
            arrived.wait()
            meter.round_trips.append(clock() - before)
        meter.stop(job.count)
        return received


DRIVER = PahoDriver
