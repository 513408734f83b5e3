"""Publish a message over TLS, to a broker whose certificate is checked.

`MQTTClient` speaks TCP only; the program opens the TLS stream itself and hands it to
`ClientProtocolHandler`.
"""

from __future__ import annotations

import argparse
import asyncio
import ssl

from amqtt.adapters import StreamReaderAdapter, StreamWriterAdapter
from amqtt.client import ClientContext
from amqtt.contexts import ClientConfig
from amqtt.mqtt.constants import QOS_1
from amqtt.mqtt.protocol.client_handler import ClientProtocolHandler
from amqtt.plugins.manager import PluginManager
from amqtt.session import Session


async def main(host: str, port: int, cafile: str) -> None:
    """Connect, publish, disconnect."""
    context = ClientContext()
    context.config = ClientConfig()
    handler = ClientProtocolHandler(PluginManager("amqtt.client.plugins", context))
    session = Session()
    session.clean_session = True

    tls = ssl.create_default_context(cafile=cafile)
    reader, writer = await asyncio.open_connection(host, port, ssl=tls)
    handler.attach(session, StreamReaderAdapter(reader), StreamWriterAdapter(writer))
    try:
        return_code = await handler.mqtt_connect()
        if return_code != 0:
            raise SystemExit(f"refused with return code {return_code}")
        await handler.mqtt_publish("greetings/tls", b"hello", QOS_1, retain=False)
        print(f"published over {writer.get_extra_info('cipher')[1]}")
        await handler.mqtt_disconnect()
    finally:
        await handler.stop()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="localhost", help="a name in the broker's certificate")
    parser.add_argument("--port", type=int, default=8883)
    parser.add_argument("--cafile", default="server.crt", help="the authority of the certificate")
    arguments = parser.parse_args()
    asyncio.run(main(arguments.host, arguments.port, arguments.cafile))
