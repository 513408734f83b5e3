"""A client that runs for long does not grow with the number of its messages."""

from __future__ import annotations

from support.process import BrokerProcess
from support.python import run_program

PROGRAM = """
import asyncio, sys
from pathlib import Path
from amqtt.client import MQTTClient

ROUNDS, AT_ONCE = 150, 500

def resident():
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])

async def main(port, topic):
    config = {"connection": {"uri": f"mqtt://127.0.0.1:{port}"}, "protocol_version": 5}
    async with MQTTClient(config=config) as client:
        await client.subscribe([(topic, 2)])
        stream = client.messages("nobody")
        for number in range(ROUNDS):
            more = {"user_property": [("number", str(number))]}
            await asyncio.gather(*(
                client.publish(topic, b"x" * 100, qos=one % 3, properties=more)
                for one in range(AT_ONCE)
            ))
            for _ in range(AT_ONCE):
                await client.deliver_message(30)
            if number == ROUNDS // 5:
                print(resident())
        print(resident())

asyncio.run(main(sys.argv[1], sys.argv[2]))
"""


def test_memory_does_not_grow(broker: BrokerProcess, unique: str) -> None:
    """Neither by what is sent nor by what is received, at every QoS."""
    before, after = map(int, run_program(PROGRAM, str(broker.port), unique).split())
    assert after - before < 4096  # KiB, after 60,000 messages more each way
