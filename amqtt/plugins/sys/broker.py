"""The topics below `$SYS/broker/`."""

from __future__ import annotations

import asyncio
import os
import resource
import sys
import time
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import amqtt
from amqtt.contexts import BaseContext
from amqtt.errors import BrokerError
from amqtt.plugins.base import BasePlugin
from amqtt.session import Session

DOLLAR_SYS_ROOT = "$SYS/broker/"

STAT_BYTES_SENT = "bytes_sent"
STAT_BYTES_RECEIVED = "bytes_received"
STAT_MSG_SENT = "messages_sent"
STAT_MSG_RECEIVED = "messages_received"
STAT_PUBLISH_SENT = "publish_sent"
STAT_PUBLISH_RECEIVED = "publish_received"
STAT_START_TIME = "start_time"
STAT_CLIENTS_MAXIMUM = "clients_maximum"
STAT_CLIENTS_CONNECTED = "clients_connected"
STAT_CLIENTS_DISCONNECTED = "clients_disconnected"
MEMORY_USAGE_MAXIMUM = "memory_maximum"
CPU_USAGE_MAXIMUM = "cpu_usage_maximum"
CPU_USAGE_LAST = "cpu_usage_last"

_MIB = 1024 * 1024


def val_to_bytes_str(value: Any) -> bytes:
    """Write a value as it stands in a `$SYS` message.

    Args:
        value: a whole number, a number (three decimals are kept) or a text.

    Returns:
        The text, encoded.

    Raises:
        NotImplementedError: it is something else.

    """
    if isinstance(value, int):
        return str(int(value)).encode()
    if isinstance(value, float):
        return f"{value:.3f}".encode()
    if isinstance(value, str):
        return value.encode()
    msg = f"a $SYS message holds a number or a text, not {type(value).__name__}"
    raise NotImplementedError(msg)


class BrokerSysPlugin(BasePlugin[Any]):
    """Publish what the broker counts, below `$SYS/broker/`.

    The numbers come from the engine, so nothing is done per packet.
    """

    @dataclass
    class Config:
        """The options.

        Attributes:
            sys_interval: seconds between the messages; 0 or less publishes the version only.

        """

        sys_interval: int = 20

    def __init__(self, context: BaseContext) -> None:
        """Begin to count time and memory."""
        super().__init__(context)
        self._sys_handle: asyncio.Handle | None = None
        self._sys_interval = 0
        self._started, self._begin = time.time(), time.monotonic()
        self._tasks: set[asyncio.Task[None]] = set()
        self._heap_maximum = 0.0
        self._cpu_maximum = 0.0
        self._cpu = _CpuMeter()

    def schedule_broadcast_sys_topic(self, topic_basename: str, data: bytes) -> asyncio.Task[None]:
        """Publish one message soon.

        Args:
            topic_basename: what follows `$SYS/broker/` in the topic.
            data: payload.

        Returns:
            The task that publishes it.

        """
        task = asyncio.ensure_future(self._broadcast(topic_basename, data))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _broadcast(self, basename: str, data: bytes) -> None:
        await self.context.broadcast_message(topic=DOLLAR_SYS_ROOT + basename, data=data)

    async def on_broker_pre_start(self) -> None:
        """Begin afresh."""
        self._started, self._begin = time.time(), time.monotonic()
        self._heap_maximum = self._cpu_maximum = 0.0

    async def on_broker_post_start(self) -> None:
        """Retain the version and begin to publish."""
        self._started, self._begin = time.time(), time.monotonic()
        version = f"aMQTT version {amqtt.__version__}"
        await self.context.retain_message(DOLLAR_SYS_ROOT + "version", version.encode())
        self._sys_interval = self._interval()
        if self._sys_interval > 0:
            self._schedule()

    def _interval(self) -> int:
        interval = self._get_config_option("sys_interval")
        if not interval:
            self.context.logger.warning("'sys_interval' key is not set or is None")
        return int(interval or 0)

    async def on_broker_pre_shutdown(self) -> None:
        """Stop to publish."""
        if self._sys_handle is not None:
            self._sys_handle.cancel()
            self._sys_handle = None

    # The engine does not call the next four: it has the numbers already. They are for subclasses
    # that call what they override.

    async def on_mqtt_packet_received(self, *, packet: Any, session: Session | None = None) -> None:
        """Do nothing: the engine counts what is received."""

    async def on_mqtt_packet_sent(self, *, packet: Any, session: Session | None = None) -> None:
        """Do nothing: the engine counts what is sent."""

    async def on_broker_client_connected(self, client_id: str, client_session: Session) -> None:
        """Do nothing: the engine counts the clients."""

    async def on_broker_client_disconnected(self, client_id: str, client_session: Session) -> None:
        """Do nothing: the engine counts the clients."""

    def _schedule(self) -> None:
        loop = self.context.loop or asyncio.get_running_loop()
        self._sys_handle = loop.call_later(self._sys_interval, self.broadcast_dollar_sys_topics)

    def broadcast_dollar_sys_topics(self) -> None:
        """Publish everything now, and again after the interval."""
        try:
            counted = self.context.statistics()
        except BrokerError:  # the broker is gone without having been shut down
            return
        if self._sys_interval > 0:
            self._schedule()  # first: what fails once may not fail the next time
        for basename, value in self._topics(counted).items():
            self.schedule_broadcast_sys_topic(basename, val_to_bytes_str(value))

    def _topics(self, counted: dict[str, Any]) -> dict[str, int | float | str]:
        """Return what is published again and again; the version is retained instead."""
        started = datetime.fromtimestamp(int(self._started), timezone.utc)
        heap = _resident_bytes() / _MIB
        self._heap_maximum = max(self._heap_maximum, heap)
        cpu = self._cpu.percent()
        self._cpu_maximum = max(self._cpu_maximum, cpu)
        connected, sessions = counted["clients_connected"], counted["sessions"]
        inflight_in, inflight_out = counted["inflight_in"], counted["inflight_out"]
        return {
            "load/bytes/received": counted["bytes_received"],
            "load/bytes/sent": counted["bytes_sent"],
            "messages/received": counted["packets_received"],
            "messages/sent": counted["packets_sent"],
            "messages/publish/received": counted["publish_received"],
            "messages/publish/sent": counted["publish_sent"],
            "messages/publish/dropped": counted["publish_dropped"],
            "messages/publish/too_large": counted["publish_too_large"],
            "messages/publish/refused": counted["publish_refused"],
            "time": int(time.time()),
            # The clock may have been set since.
            "uptime": int(time.monotonic() - self._begin),
            "uptime/formatted": started.isoformat(sep=" ", timespec="seconds"),
            "clients/connected": connected,
            "clients/disconnected": max(0, sessions - connected),
            "clients/maximum": counted["clients_maximum"],
            "clients/total": max(connected, sessions),
            "messages/inflight": inflight_in + inflight_out,
            "messages/inflight/in": inflight_in,
            "messages/inflight/out": inflight_out,
            "messages/inflight/stored": counted["queued"] + counted["retained"],
            "messages/retained/count": counted["retained"],
            "messages/subscriptions/count": counted["subscriptions"],
            "heap/size": heap,
            "heap/maximum": self._heap_maximum,
            "cpu/percent": cpu,
            "cpu/maximum": self._cpu_maximum,
        }


class _CpuMeter:
    """Measure how busy this process has kept one processor since the last question."""

    def __init__(self) -> None:
        self._then = time.monotonic(), time.process_time()

    def percent(self) -> float:
        now = time.monotonic(), time.process_time()
        (then_wall, then_cpu), self._then = self._then, now
        elapsed = now[0] - then_wall
        return 100 * (now[1] - then_cpu) / elapsed if elapsed > 0 else 0.0


def _resident_bytes() -> int:
    """Return the memory that this process occupies; where the system does not tell, its most."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except OSError:
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if sys.platform == "darwin" else most * 1024
    return pages * os.sysconf("SC_PAGE_SIZE")
