"""Topic matching as a table, on a broker where nobody else has published."""

import pytest
from support.process import StartBroker
from support.wire import WireClient, ack, connect, packet, publish, subscribe

TOPICS = [
    "/",
    "//",
    "/a",
    "a",
    "a/",
    "a/b",
    "a//b",
    "a/b/c",
    "a/b/c/d",
    "b",
    "b/a",
    "A",
    "a b",
    "a/$b",
    "é",
    "日本/東京",
]

# filter -> the topics above that it matches
MATCHES = {
    "#": set(TOPICS),
    "+": {"a", "b", "A", "a b", "é"},
    "+/+": {"/", "/a", "a/", "a/b", "b/a", "a/$b", "日本/東京"},
    "/+": {"/", "/a"},
    "/#": {"/", "//", "/a"},
    "+/": {"/", "a/"},
    "a": {"a"},
    "a/#": {"a", "a/", "a/b", "a//b", "a/b/c", "a/b/c/d", "a/$b"},
    "a/+": {"a/", "a/b", "a/$b"},
    "a/+/#": {"a/", "a/b", "a//b", "a/b/c", "a/b/c/d", "a/$b"},
    "a/+/c": {"a/b/c"},
    "a/+/b": {"a//b"},
    "a/b/#": {"a/b", "a/b/c", "a/b/c/d"},
    "+/b/#": {"a/b", "a/b/c", "a/b/c/d"},
    "+/+/+": {"//", "a//b", "a/b/c"},
    "+/a/#": {"/a", "b/a"},
    "/": {"/"},
    "//": {"//"},
    "a b": {"a b"},
    "日本/+": {"日本/東京"},
}


def _topic_of(message: bytes) -> str:
    """Return the topic of a QoS 0 PUBLISH shorter than 128 bytes."""
    length = int.from_bytes(message[2:4], "big")
    return message[4 : 4 + length].decode()


def _received(client: WireClient) -> list[str]:
    """Return the topics of the messages that arrive before a PINGRESP."""
    client.send(b"\xc0\x00")
    topics = []
    while (message := client.read_packet()) != b"\xd0\x00":
        assert message[0] & 0xFE == 0x30
        topics.append(_topic_of(message))
    return topics


def test_matching_of_live_and_retained_messages(broker_process: StartBroker) -> None:
    """Every filter gets exactly its topics: live, in order; retained, all of them.

    3.1.1:MQTT-3.3.2-3@server 3.1.1:MQTT-4.7.1-2@server 3.1.1:MQTT-4.7.1-3@server
    3.1.1:MQTT-4.7.3-4@server 3.1.1:MQTT-3.3.1-6@server
    """
    broker = broker_process()
    clients: dict[str, WireClient] = {}
    try:
        for number, text in enumerate(MATCHES):
            clients[text] = WireClient(broker.port).login(connect(f"c{number}")).subscribe(text)
        with WireClient(broker.port) as pub:
            pub.login(connect("pub"))
            for number, topic in enumerate(TOPICS, 1):
                pub.send(publish(topic, b"x", qos=1, packet_id=number, retain=True))
                pub.expect(ack(0x40, number))
        for text, client in clients.items():
            wanted = [topic for topic in TOPICS if topic in MATCHES[text]]
            assert _received(client) == wanted, text
            client.subscribe(text, 0, packet_id=2)
            assert sorted(_received(client)) == sorted(wanted), text
    finally:
        for client in clients.values():
            client.abort()


SYS_PLUGINS = {
    "amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True},
    "amqtt.plugins.sys.broker.BrokerSysPlugin": {"sys_interval": 1},
}


def test_leading_wildcards_do_not_match_sys_topics(broker_process: StartBroker) -> None:
    """While $SYS messages flow, filters that start with a wildcard see none of them.

    3.1.1:MQTT-4.7.2-1@server
    """
    broker = broker_process({"plugins": SYS_PLUGINS}, mosquitto="sys_interval 1\n")
    if "$SYS topics are not published in this version" in broker.log():
        pytest.skip("the broker does not publish $SYS topics yet")
    filters = ["#", "+/#", "+/broker/#", "+/broker/uptime", "+/+/+"]
    with WireClient(broker.port) as watcher, WireClient(broker.port) as client:
        client.login(connect("client"))
        for number, text in enumerate(filters, 1):
            client.subscribe(text, packet_id=number)
        watcher.login(connect("watcher")).subscribe("$SYS/#")
        seen = 0
        while seen < 2:
            message = watcher.read_packet()
            seen += _topic_of(message) == "$SYS/broker/uptime"
        client.ping()
        client.subscribe("#", packet_id=9)
        client.ping()


TABOO_PLUGINS = {
    "amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True},
    "amqtt.plugins.topic_checking.TopicTabooPlugin": {},
}


@pytest.mark.parametrize("qos", [0, 1, 2])
def test_unauthorized_publish_is_acknowledged_and_dropped(
    broker_process: StartBroker, qos: int
) -> None:
    """A client that may not publish gets the usual answer; nobody gets the message.

    3.1.1:MQTT-3.3.5-2@server
    """
    broker = broker_process({"plugins": TABOO_PLUGINS}, mosquitto=None)
    with WireClient(broker.port) as admin, WireClient(broker.port) as client:
        admin.login(connect("admin", username="admin")).subscribe("top-secret")
        client.login(connect("client", username="client"))
        ident = 5 if qos else None
        client.send(publish("top-secret", b"x", qos=qos, packet_id=ident, retain=True))
        if qos == 1:
            client.expect(ack(0x40, 5))
        elif qos == 2:
            client.expect(ack(0x50, 5))
            client.send(ack(0x62, 5))
            client.expect(ack(0x70, 5))
        client.ping()
        admin.ping()
        admin.subscribe("top-secret", packet_id=2)
        admin.ping()
        admin.send(publish("top-secret", b"y"))
        admin.expect(publish("top-secret", b"y"))


def test_unauthorized_subscribe_fails(broker_process: StartBroker) -> None:
    """SUBACK carries 0x80 for the filter that is refused and the QoS for the others.

    3.1.1:MQTT-3.8.4-5@server
    """
    broker = broker_process({"plugins": TABOO_PLUGINS}, mosquitto=None)
    with WireClient(broker.port) as client:
        client.login(connect("client", username="client"))
        client.send(subscribe(1, ("ok", 1), ("top-secret", 1), ("fine", 2)))
        client.expect(packet(0x90, b"\x00\x01\x01\x80\x02"))
        client.ping()
