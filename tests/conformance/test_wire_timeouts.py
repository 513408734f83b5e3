"""Keep alive with the real clock; the vectors do the rest with a fake one."""

import time

from support.process import BrokerProcess, broker_kind
from support.wire import DISCONNECT, WireClient, connect, publish


def test_keep_alive(broker: BrokerProcess, unique: str) -> None:
    """Keep alive 1: silence ends the connection after 1.5 s and publishes the will.

    A client with the same keep alive that sends PINGREQ in time stays.

    3.1.1:MQTT-3.1.2-24@server 3.1.1:MQTT-3.1.2-8@server 3.1.1:MQTT-3.12.4-1@server
    """
    topic = f"{unique}/will"
    with (
        WireClient(broker.port) as sub,
        WireClient(broker.port) as silent,
        WireClient(broker.port) as alive,
    ):
        sub.login(connect(f"{unique}s", keep_alive=0)).subscribe(topic)
        alive.login(connect(f"{unique}a", keep_alive=1, will=(topic, b"not me")))
        silent.login(connect(f"{unique}c", keep_alive=1, will=(topic, b"gone")))
        for _ in range(8):
            time.sleep(0.45)
            alive.ping()
        alive.send(DISCONNECT)
        alive.expect_close()
        silent.expect_close(8)
        sub.expect(publish(topic, b"gone"))
        sub.ping()


def test_keep_alive_is_not_shortened(broker: BrokerProcess, unique: str) -> None:
    """With keep alive 1 nobody is closed before 1.5 s, and soon after it.

    3.1.1:MQTT-3.1.2-24@server
    """
    with WireClient(broker.port) as client:
        client.login(connect(unique, keep_alive=1))
        start = time.monotonic()
        client.expect_close(8)
        took = time.monotonic() - start
        assert took >= 1.4
        if broker_kind() == "amqtt":  # mosquitto looks every five seconds
            assert took < 3
