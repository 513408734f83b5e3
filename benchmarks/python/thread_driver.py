"""The jobs for clients that call back from a network thread of their own."""

from __future__ import annotations

import queue
import threading
import time
from abc import abstractmethod
from collections.abc import Callable

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

PATIENCE = 30.0


def wait(event: threading.Event, what: str) -> None:
    """Wait for an event that must come."""
    if not event.wait(PATIENCE):
        raise TimeoutError(f"no {what} in {PATIENCE:.0f} s")


class ThreadDriver(Driver):
    """A client that publishes from any thread and reports by callbacks.

    A driver lets its client call `self.on_published(number)` for each message that is out and
    `self.on_payload(payload)` for each that came in. A job puts its own functions there.
    """

    def __init__(self) -> None:
        """Make a driver that ignores what its client reports."""
        self.on_published: Callable[[int], None] = lambda _number: None
        self.on_payload: Callable[[bytes], None] = lambda _payload: None

    @abstractmethod
    def connect(self, job: Job) -> None:
        """Connect and wait for CONNACK."""

    @abstractmethod
    def publish(self, topic: str, payload: bytes, qos: int) -> int:
        """Hand a message to the client; return the number that it will report."""

    @abstractmethod
    def subscribe(self, topic_filter: str, qos: int) -> None:
        """Subscribe and wait for SUBACK."""

    @abstractmethod
    def disconnect(self) -> None:
        """Disconnect and end the network thread."""

    def run(self, job: Job, meter: Meter) -> list[bytes]:
        """Do the job from this thread."""
        self.connect(job)
        try:
            if job.mode.startswith("recv"):
                return self._receive(job, meter)
            if job.mode == "rtt":
                return self._echo(job, meter)
            if job.mode == "pub0":
                self._publish_unacknowledged(job, meter)
            else:
                self._publish_window(job, meter, job.window if job.mode == "pub1w" else 1)
            return []
        finally:
            self.disconnect()

    def _publish_unacknowledged(self, job: Job, meter: Meter) -> None:
        publish = self.publish
        payloads = make_payloads(job.count, job.size)
        meter.start()
        for payload in payloads:
            publish(PUBLISH_TOPIC, payload, 0)
        # Clients report messages of QoS 0 too, so the end is known by its number only.
        published: queue.SimpleQueue[int] = queue.SimpleQueue()
        self.on_published = published.put
        end = publish(END_TOPIC, b"end", 1)
        while published.get(timeout=PATIENCE) != end:
            pass
        meter.stop(job.count)

    def _publish_window(self, job: Job, meter: Meter, window: int) -> None:
        publish, qos = self.publish, job.qos
        payloads = make_payloads(job.count, job.size)
        slots = threading.Semaphore(window)
        self.on_published = lambda _number: slots.release()
        meter.start()
        for payload in payloads:
            slots.acquire()
            publish(PUBLISH_TOPIC, payload, qos)
        for _ in range(window):  # all slots free: all acknowledged
            slots.acquire()
        meter.stop(job.count)

    def _receive(self, job: Job, meter: Meter) -> list[bytes]:
        received: list[bytes] = []
        finished = threading.Event()

        def take(payload: bytes) -> None:
            received.append(payload)
            if len(received) == 1:
                meter.start()
            elif len(received) == job.count:
                meter.stop(job.count - 1)
                finished.set()

        self.on_payload = take
        self.subscribe(f"{RECEIVE_PREFIX}/#", job.qos)
        announce_ready()
        finished.wait()  # the parent process bounds it
        return received

    def _echo(self, job: Job, meter: Meter) -> list[bytes]:
        received: list[bytes] = []
        arrived = threading.Event()

        def take(payload: bytes) -> None:
            received.append(payload)
            arrived.set()

        self.on_payload = take
        self.subscribe(ECHO_TOPIC, 0)
        publish, clock = self.publish, time.perf_counter
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
