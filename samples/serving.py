"""What the samples of brokers have in common: serve until somebody says stop."""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
from typing import Any

from amqtt.broker import Broker


async def serve(config: dict[str, Any]) -> None:
    """Run a broker until SIGINT or SIGTERM, and say where it listens."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with Broker(config) as broker:
        for host, port in broker.addresses["default"]:
            print(f"listening on {host}:{port}" if port else f"listening on {host}", flush=True)
        await stop.wait()
    print("stopped")


def options(description: str | None, bind: str = "127.0.0.1:1883") -> argparse.ArgumentParser:
    """Make a parser with the option that all brokers have, and log what the broker does."""
    logging.basicConfig(level=logging.INFO)
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--bind", default=bind, help="where to listen; port 0 takes a free one")
    return parser
