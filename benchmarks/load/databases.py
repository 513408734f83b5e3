"""Databases for benchmarks of brokers that keep their sessions."""

from __future__ import annotations

import contextlib
import os
import pwd
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.load import peers


def cpu_seconds(pid: int) -> float:
    """Return the CPU time that a process has used."""
    columns = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(columns[11]) + int(columns[12])) / os.sysconf("SC_CLK_TCK")


def fsync_seconds(folder: Path) -> float:
    """Measure how long the disk of a folder takes to have a page of 4 KiB, in the median."""
    file = folder / "fsync"
    taken = []
    with file.open("wb", buffering=0) as out:
        for _ in range(50):
            out.write(bytes(4096))
            start = time.perf_counter()
            os.fdatasync(out.fileno())
            taken.append(time.perf_counter() - start)
    file.unlink()
    return statistics.median(taken)


@contextlib.contextmanager
def postgresql(folder: Path) -> Iterator[str | None]:
    """Start a PostgreSQL server with its own settings of durability; its URL, or None."""
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not programs:
        print("postgresql: skipped, the package is not installed", file=sys.stderr)
        yield None
        return
    data = folder / "postgresql"
    data.mkdir()
    account: dict[str, object] = {}
    if os.geteuid() == 0:
        user = pwd.getpwnam("postgres")
        os.chown(data, user.pw_uid, user.pw_gid)
        folder.chmod(0o755)
        account = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    port = peers.free_port()
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    subprocess.run(
        [programs[-1] / "initdb", "-D", data / "d", "-U", "bench", "-A", "trust", "-E", "UTF8"],
        check=True, cwd=data, **quiet, **account,
    )  # fmt: skip
    server = subprocess.Popen(
        [
            programs[-1] / "postgres", "-D", data / "d", "-p", str(port),
            "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=",
        ],
        cwd=data, **quiet, **account,
    )  # fmt: skip
    try:
        ready = [programs[-1] / "pg_isready", "-h", peers.HOST, "-p", str(port)]
        while subprocess.run(ready, check=False, **quiet).returncode != 0:
            time.sleep(0.1)
        yield f"postgresql+asyncpg://bench@{peers.HOST}:{port}/postgres"
    finally:
        server.terminate()
        server.wait()
