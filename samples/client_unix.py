"""Publish a message to a broker on a Unix socket, and receive it.

`ClientProtocolHandler` speaks MQTT on any stream that the program opens.
"""

from __future__ import annotations

import argparse
import asyncio

from amqtt.adapters import StreamReaderAdapter, StreamWriterAdapter
from amqtt.client import ClientContext
from amqtt.contexts import ClientConfig
from amqtt.mqtt.constants import QOS_1
from amqtt.mqtt.protocol.client_handler import ClientProtocolHandler
from amqtt.plugins.manager import PluginManager
from amqtt.session import Session


async def main(path: str) -> None:
    """Connect, subscribe, publish, receive, disconnect."""
    context = ClientContext()
    context.config = ClientConfig()
    handler = ClientProtocolHandler(PluginManager("amqtt.client.plugins", context))
    session = Session()
    session.client_id = "unix-sample"
    session.clean_session = True

    reader, writer = await asyncio.open_unix_connection(path)
    handler.attach(session, StreamReaderAdapter(reader), StreamWriterAdapter(writer))
    try:
        return_code = await handler.mqtt_connect()
        if return_code != 0:
            raise SystemExit(f"refused with return code {return_code}")
        await handler.start()
        await handler.mqtt_subscribe([("greetings/+", QOS_1)], session.next_packet_id)
        await handler.mqtt_publish("greetings/unix", b"hello", QOS_1, retain=False)
        message = await handler.mqtt_deliver_next_message()
        if message is not None:  # None: the connection was lost
            print(f"{message.topic}: {message.data.decode()}")
        await handler.mqtt_disconnect()
    finally:
        await handler.stop()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--socket", default="amqtt.socket", help="path of the broker's socket")
    asyncio.run(main(parser.parse_args().socket))
