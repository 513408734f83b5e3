#!/usr/bin/env python3
"""Measure how long a broker takes to restore a large session database, and what memory.

The database is written first, in the form the broker writes it: retained messages, and sessions
that are away, each with a subscription and a message of QoS 1 that waits. Then a broker is started
on it: the time until its listener is open, the CPU time of that, and its memory at the peak and
then. An empty database tells what a broker takes that has nothing to restore.

    sqlite        a SQLite file
    postgresql    PostgreSQL (Debian's package), if there is any

The folder of the databases is `--folder`: it should be on a real disk.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parents[2]))

from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import create_async_engine

from amqtt.contrib.persistence.schema import upgrade
from amqtt.contrib.persistence.server_writer import ServerWriter
from amqtt.contrib.persistence.sqlite_writer import FileLock, SQLiteFileWriter
from amqtt.plugins.storage import (
    NEVER_EXPIRES,
    DeliveryRow,
    DeliveryState,
    MessageRow,
    SessionRow,
    StateChanges,
    SubscriptionRow,
)
from benchmarks.load import peers
from benchmarks.load.databases import cpu_seconds, postgresql

BATCH = 10_000


def batches(retained: int, sessions: int, size: int) -> Iterator[StateChanges]:
    """Return what the broker would have handed over, in batches."""
    payload = b"x" * size
    now = time.time()
    for first in range(1, retained + 1, BATCH):
        ids = range(first, min(first + BATCH, retained + 1))
        yield StateChanges(
            retained=[
                MessageRow(i, f"site/{i % 100}/device/{i}/state", payload, 1, True, b"", None)
                for i in ids
            ]
        )
    for first in range(1, sessions + 1, BATCH):
        ids = range(first, min(first + BATCH, sessions + 1))
        yield StateChanges(
            sessions=[
                SessionRow(i, f"client-{i}", None, NEVER_EXPIRES, now, 60, False, None) for i in ids
            ],
            subscriptions=[
                SubscriptionRow(i, i, f"site/{i % 100}/command/{i}/#", 1, False, False, 0, 0)
                for i in ids
            ],
            messages=[
                MessageRow(i, f"site/{i % 100}/command/{i}/go", payload, 1, False, b"", None)
                for i in ids
            ],
            deliveries=[
                DeliveryRow(i, i, i, 1, False, "", None, 0, DeliveryState.QUEUED) for i in ids
            ],
        )


async def fill(url: str, retained: int, sessions: int, size: int) -> None:
    """Write the database."""
    engine = create_async_engine(url)
    async with engine.begin() as connection:
        await connection.run_sync(upgrade)
    writer: Any
    if engine.dialect.name == "sqlite":
        file = Path(str(make_url(url).database))
        lock = FileLock(file)
        writer = SQLiteFileWriter(engine, file, lock, "off", 5.0)
    else:
        writer = ServerWriter(engine)
    await writer.lock()
    await writer.open()
    for number, batch in enumerate(batches(retained, sessions, size), 1):
        batch.number = number
        await writer.write(batch)
    await writer.close()
    await engine.dispose()


def memory(pid: int) -> tuple[float, float]:
    """Return the resident memory of a process in MB: at the peak, and now."""
    found = {}
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name in ("VmHWM", "VmRSS"):
            found[name] = int(value.split()[0]) / 1024
    return found["VmHWM"], found["VmRSS"]


def start(url: str, folder: Path) -> tuple[float, float, float, float]:
    """Start a broker on a database: seconds until it listens, CPU seconds, memory."""
    port = peers.free_port()
    config = folder / "restore.yaml"
    config.write_text(
        peers.amqtt_config(port) + "plugins:\n"
        "  amqtt.plugins.authentication.AnonymousAuthPlugin: {}\n"
        "  amqtt.contrib.persistence.SessionDBPlugin:\n"
        f"    connection: {url}\n    clear_on_shutdown: false\n",
        encoding="utf-8",
    )
    command = [sys.executable, "-m", "amqtt.scripts.broker_script", "-c", str(config)]
    began = time.perf_counter()
    with (folder / "restore.log").open("wb") as log:
        broker = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
    try:
        while True:
            try:
                socket.create_connection((peers.HOST, port), timeout=1).close()
            except OSError:
                if broker.poll() is not None:
                    raise RuntimeError((folder / "restore.log").read_text()) from None
                time.sleep(0.01)
            else:
                break
        taken = time.perf_counter() - began
        cpu = cpu_seconds(broker.pid)
        peak, after = memory(broker.pid)
    finally:
        broker.terminate()
        broker.wait()
    return taken, cpu, peak, after


def show(name: str, row: tuple[float, float, float, float]) -> None:
    """Print a line of the table."""
    print(f"{name:14}{row[0]:9.1f}{row[1]:9.1f}{row[2]:10.0f}{row[3]:10.0f}", flush=True)


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--retained", type=int, default=1_000_000)
    parser.add_argument("--sessions", type=int, default=100_000)
    parser.add_argument("--size", type=int, default=64, help="bytes of a payload")
    parser.add_argument("--reps", type=int, default=3, help="the fastest is shown")
    parser.add_argument("--folder", type=Path, help="where the databases are made")
    args = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="mqtt-restore-", dir=args.folder))
    try:
        with postgresql(folder) as server:
            urls = {"sqlite": f"sqlite+aiosqlite:///{folder}/restore.db"}
            if server is not None:
                urls["postgresql"] = server
            empty = start(f"sqlite+aiosqlite:///{folder}/empty.db", folder)
            print(f"{'':14}{'seconds':>9}{'CPU s':>9}{'peak MB':>10}{'then MB':>10}")
            show("empty", empty)
            for name, url in urls.items():
                asyncio.run(fill(url, args.retained, args.sessions, args.size))
                row = min(start(url, folder) for _ in range(args.reps))
                show(name, row)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
