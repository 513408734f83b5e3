"""Limits that a listener has of its own, and the choices of the protocol, as YAML sets them."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from support.process import BrokerProcess, StartBroker, broker_kind
from support.wire import (
    CONNACK_ACCEPTED,
    CONNACK_ACCEPTED_V5,
    WireClient,
    ack,
    connect,
    packet,
    publish,
    string,
    suback,
    subscribe,
)

CONNACK_REFUSED = packet(0x20, b"\0\x05")
V3_1 = packet(0x10, string("MQIsdp") + b"\x03\x02\0\x3c" + string("x" * 24))


def refused(reason: int) -> bytes:
    return packet(0x20, bytes([0, reason, 0]))


@pytest.mark.skipif(broker_kind() == "mosquitto", reason="the limits are ours")
def test_a_listener_has_limits_of_its_own(tmp_path: Path) -> None:
    """The same client is held to what its listener admits."""
    path = tmp_path / "strict.sock"
    own = {
        "max_qos": 1,
        "retain_available": False,
        "protocol_versions": ["3.1.1", 5.0],
        "max_connect_packet_size": 64,
        "receive_maximum": 7,
        "topic_alias_maximum": 0,
        "max_keep_alive": 30,
        "allow_anonymous": False,
    }
    listeners = {"strict": {"bind": f"unix:{path}", "limits": own}}
    broker = BrokerProcess(tmp_path, {}, "", listeners=listeners)
    try:
        with WireClient(broker.port) as peer:
            peer.login(connect("c", properties=b""), CONNACK_ACCEPTED_V5)
        for wrong, answer in [
            (V3_1, packet(0x20, b"\0\x01")),
            (connect("c", keep_alive=10), CONNACK_REFUSED),
            (connect("c", username="u", keep_alive=31), CONNACK_REFUSED),
            (connect("c", properties=b""), refused(0x87)),
            (connect("c" * 60), b""),
        ]:
            with WireClient.unix(path) as peer:
                peer.send(wrong)
                peer.expect(answer)
                peer.expect_close()
        with WireClient.unix(path) as peer:
            told = b"\x21\0\x07\x24\x01\x25\0\x13\0\x1e"
            peer.send(connect("c", username="u", properties=b""))
            peer.expect(packet(0x20, b"\0\0" + bytes([len(told)]) + told))
            peer.send(publish("t", b"x", qos=2, packet_id=1, properties=b""))
            peer.expect(packet(0xE0, b"\x9b"))
            peer.expect_close()
    finally:
        broker.stop()


def test_clients_without_user_name_where_plugins_refuse_them(
    broker_process: StartBroker,
) -> None:
    """``allow_anonymous`` of a listener comes before the plugins."""
    plugin = "amqtt.plugins.authentication.AnonymousAuthPlugin"
    plugins = {plugin: {"allow_anonymous": False}}
    closed = broker_process({"plugins": plugins}, mosquitto=None)
    with WireClient(closed.port) as peer:
        peer.send(connect("c"))
        peer.expect(CONNACK_REFUSED)
    config = {"plugins": plugins, "limits": {"allow_anonymous": True}}
    with WireClient(broker_process(config, mosquitto=None).port) as peer:
        peer.login(connect("c"))


def test_choices_of_the_protocol(broker_process: StartBroker) -> None:
    """Each key of ``protocol`` reaches the engine."""
    broker = broker_process(
        {
            "protocol": {
                "reason_strings": True,
                "check_payload_format": True,
                "response_information": "re/{client_id}",
                "server_reference": "other:1",
                "sent_topic_alias_maximum": 0,
                "tolerate": [
                    "long_client_id",
                    "dup_at_qos_0",
                    "dup_of_subscribe",
                    "password_without_user_name",
                ],
            }
        },
        mosquitto=None,
    )
    with WireClient(broker.port) as peer:
        peer.send(V3_1)
        peer.expect(CONNACK_ACCEPTED)
        peer.send(publish("t", b"x", dup=True) + packet(0x8A, b"\0\x01" + string("t") + b"\0"))
        peer.expect(suback(1, 0))
    with WireClient(broker.port) as peer:
        peer.send(packet(0x10, string("MQTT") + b"\x04\x42\0\x3c" + string("c") + string("p")))
        peer.expect(CONNACK_ACCEPTED)
    with WireClient(broker.port) as peer:
        # Topic Alias Maximum and Request Response Information
        peer.send(connect("c", properties=b"\x22\0\x05\x19\x01"))
        told = b"\x22\0\x20\x1a" + string("re/c")
        peer.expect(packet(0x20, b"\0\0" + bytes([len(told)]) + told))
        peer.send(subscribe(1, ("t", 0), properties=b""))
        peer.expect(suback(1, 0, properties=b""))
        for _ in range(3):  # without an alias, however often
            peer.send(publish("t", b"x", properties=b""))
            peer.expect(publish("t", b"x", properties=b""))
        peer.send(publish("t", b"\xff", qos=1, packet_id=3, properties=b"\x01\x01"))
        peer.expect(packet(0x40, b"\0\x03\x99"))
        broker.send_signal(signal.SIGTERM)
        peer.expect(packet(0xE0, b"\x9c\x0a\x1c" + string("other:1")))
        peer.expect_close()
    broker.stop()


def test_reasons_are_told_unless_switched_off(broker_process: StartBroker) -> None:
    """The text is in the log as well."""
    broker = broker_process({"protocol": {}}, mosquitto=None)
    with WireClient(broker.port) as peer:
        peer.login(connect("c", properties=b""), CONNACK_ACCEPTED_V5)
        peer.send(publish("a/#", properties=b""))
        told = peer.read_packet()
        assert told[:1] + told[2:3] == b"\xe0\x90"
        assert b"topic of PUBLISH is empty or has a wildcard" in told
        peer.expect_close()


@pytest.mark.parametrize("strategy", ["round_robin", "random", "hash_of_publisher", "sticky"])
def test_strategies_of_shared_subscriptions(broker_process: StartBroker, strategy: str) -> None:
    """Every message reaches one member, whichever that is."""
    broker = broker_process(
        {"protocol": {"shared_subscription_strategy": strategy, "reason_strings": False}},
        mosquitto=None,
    )
    count = 40
    with (
        WireClient(broker.port) as one,
        WireClient(broker.port) as two,
        WireClient(broker.port) as publisher,
    ):
        for name, peer in (("one", one), ("two", two)):
            peer.login(connect(name)).subscribe("$share/g/t")
        publisher.login(connect("p"))
        for number in range(count):
            publisher.send(publish("t", b"%02d" % number, qos=1, packet_id=1))
            publisher.expect(ack(0x40, 1))
        share = {}
        for name, peer in (("one", one), ("two", two)):
            peer.send(publish(f"end/{name}", b"") + subscribe(9, ("end", 0)))
            got = []
            while (each := peer.read_packet()) != suback(9, 0):
                got.append(each[-2:])
            share[name] = got
        assert sorted(share["one"] + share["two"]) == [b"%02d" % each for each in range(count)]
        sizes = sorted(map(len, share.values()))
        if strategy == "round_robin":
            assert sizes == [count // 2, count // 2]
        elif strategy in ("sticky", "hash_of_publisher"):
            assert sizes == [0, count]
        else:
            assert sizes != [0, count]
