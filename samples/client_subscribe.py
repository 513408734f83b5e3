"""Print the messages of a topic filter; subscribe again after a restart of the broker."""

from __future__ import annotations

import argparse
import asyncio

from amqtt.client import MQTTClient
from amqtt.mqtt.constants import QOS_2

REFUSED = 0x80


async def main(url: str, topic_filter: str, count: int) -> None:
    """Print as many messages as are wanted."""
    client = MQTTClient(config={"reconnect_retries": -1})

    async def subscribe(session_present: bool) -> None:
        if session_present:
            return
        [code] = await client.subscribe([(topic_filter, QOS_2)])
        if code == REFUSED:
            raise SystemExit(f"the broker refuses {topic_filter}")
        print(f"subscribed to {topic_filter}", flush=True)

    client.reconnected = subscribe
    await client.connect(url)
    await subscribe(session_present=False)
    for _ in range(count):
        message = await client.deliver_message()
        if message is None:  # disconnected
            break
        print(f"{message.topic} at QoS {message.qos}: {message.data.decode()}", flush=True)
    await client.unsubscribe([topic_filter])
    await client.disconnect()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--url", default="mqtt://127.0.0.1:1883", help="user:password@ may be in it"
    )
    parser.add_argument("--topic", default="samples/#", help="topic filter")
    parser.add_argument("--count", type=int, default=10, help="messages to wait for")
    arguments = parser.parse_args()
    asyncio.run(main(arguments.url, arguments.topic, arguments.count))
