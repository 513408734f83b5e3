#!/usr/bin/env python3
"""Measure one client once, in this process, and print one JSON line. Started by clients.py."""

from __future__ import annotations

import argparse
import asyncio
import importlib
import json
import sys
from importlib import metadata
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[2]))

from benchmarks.python.driver import MODES, Driver, Job, Meter, count_faults


def load_driver(client: str) -> Driver:
    """Import the driver of a client, and with it the client."""
    module = importlib.import_module(f"benchmarks.python.{client}_driver")
    driver: Driver = module.DRIVER()
    return driver


def version(distribution: str) -> str:
    """Return the installed version of a client."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "unknown"


def main() -> None:
    """Run the job of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("client", help="its driver is benchmarks/python/CLIENT_driver.py")
    parser.add_argument("--uvloop", action="store_true", help="with uvloop's event loop")
    parser.add_argument("--session-file", action="store_true", help="keep the session in a file")
    parser.add_argument("--mode", choices=list(MODES))
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--port", type=int, default=1883)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--window", type=int, default=100)
    args = parser.parse_args()
    driver = load_driver(args.client)
    driver.keeps_session = args.session_file
    if args.uvloop:
        asyncio.set_event_loop_policy(importlib.import_module("uvloop").EventLoopPolicy())
    row: dict[str, object] = {"client": args.client, "version": version(driver.distribution)}
    if args.mode:
        job = Job(args.mode, args.count, args.port, args.size, args.window)
        meter = Meter()
        received = driver.run(job, meter)
        row.update(mode=job.mode, **meter.result())
        if job.mode.startswith(("recv", "rtt")):
            row["faults"] = count_faults(received, job.count, job.size)
    print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
