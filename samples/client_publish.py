"""Publish a message at each quality of service, the last two at the same time."""

from __future__ import annotations

import argparse
import asyncio

from amqtt.client import ConnectError, MQTTClient
from amqtt.mqtt.constants import QOS_0, QOS_1, QOS_2


async def main(url: str, topic: str) -> None:
    """Connect, publish, disconnect."""
    client = MQTTClient(config={"auto_reconnect": False})
    try:
        await client.connect(url)
    except ConnectError as error:
        raise SystemExit(f"cannot connect: {error}") from error

    await client.publish(topic, b"may be lost", qos=QOS_0)
    await asyncio.gather(
        client.publish(topic, b"may come twice", qos=QOS_1),
        client.publish(topic, b"comes once", qos=QOS_2),
    )
    print("published")
    await client.disconnect()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--url", default="mqtt://127.0.0.1:1883", help="user:password@ may be in it"
    )
    parser.add_argument("--topic", default="samples/publish")
    arguments = parser.parse_args()
    asyncio.run(main(arguments.url, arguments.topic))
