"""Stay connected without publishing: the client sends pings by itself.

The will tells others when the client goes without saying so.
"""

from __future__ import annotations

import argparse
import asyncio

from amqtt.client import MQTTClient


async def main(url: str, keep_alive: int, seconds: float) -> None:
    """Be silent for longer than the broker waits for a silent client."""
    config = {
        "keep_alive": keep_alive,  # the broker gives up after 1.5 times that
        "ping_delay": 1,
        "auto_reconnect": False,
        "will": {"topic": "samples/keep-alive", "message": "gone", "qos": 1},
    }
    client = MQTTClient("keep-alive-sample", config)
    await client.connect(url)
    await asyncio.sleep(seconds)
    await client.ping()  # raises an error if the connection has been lost
    print(f"still connected after {seconds:g} seconds")
    await client.disconnect()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--url", default="mqtt://127.0.0.1:1883", help="user:password@ may be in it"
    )
    parser.add_argument("--keep-alive", type=int, default=5, help="seconds")
    parser.add_argument("--seconds", type=float, default=20, help="how long to be silent")
    arguments = parser.parse_args()
    asyncio.run(main(arguments.url, arguments.keep_alive, arguments.seconds))
