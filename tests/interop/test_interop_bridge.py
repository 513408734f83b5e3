"""A bridge of mosquitto to our broker, with everything in both directions."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest
from support.process import START_LIMIT, StartBroker, broker_kind, free_port
from support.wire import WireClient, WireError, connect, publish, string

MESSAGES = 20
pytestmark = pytest.mark.skipif(broker_kind() != "amqtt", reason="the bridge leads to ours")


@contextmanager
def bridging_mosquitto(folder: Path, port: int, version: str) -> Iterator[int]:
    """Run mosquitto with a bridge to a broker; give the port of its listener."""
    program = shutil.which("mosquitto", path="/usr/local/bin:/usr/bin:/usr/sbin:/sbin")
    if program is None and os.environ.get("CI"):
        pytest.fail("not tested: mosquitto is not installed")
    if program is None:
        pytest.skip("not tested: mosquitto is not installed")
    own = free_port()
    file = folder / "mosquitto.conf"
    file.write_text(
        f"listener {own} 127.0.0.1\nallow_anonymous true\n"
        f"connection ours\naddress 127.0.0.1:{port}\ntopic # both 1\ntry_private true\n"
        f"bridge_protocol_version {version}\nnotifications false\nrestart_timeout 1\n"
    )
    with (folder / "mosquitto.log").open("wb") as log:
        process = subprocess.Popen([program, "-c", str(file)], stdout=log, stderr=log)
    try:
        wait_until_it_listens(own)
        yield own
    finally:
        process.terminate()
        process.wait(START_LIMIT)


def wait_until_it_listens(port: int) -> None:
    deadline = time.monotonic() + START_LIMIT
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            assert time.monotonic() < deadline, "mosquitto does not start"
            time.sleep(0.02)
        else:
            return


def client(port: int, client_id: str) -> WireClient:
    return WireClient(port).login(connect(client_id, keep_alive=0))


def wait_for_bridge(publisher: WireClient, subscriber: WireClient, topic: str) -> None:
    """Publish until something arrives on the other side."""
    deadline = time.monotonic() + START_LIMIT
    subscriber.subscribe(topic)
    while True:
        publisher.send(publish(topic, b""))
        try:
            subscriber.read_packet(limit=0.2)
        except WireError:
            assert time.monotonic() < deadline, "the bridge does not come up"
        else:
            return


def topics_until(subscriber: WireClient, ends: set[str]) -> Counter[str]:
    """Count the messages of each topic until there was one of each of these."""
    found: Counter[str] = Counter()
    while not ends <= set(found):
        packet = subscriber.read_packet()
        assert packet[0] >> 4 == 3
        size = int.from_bytes(packet[2:4], "big")
        found[packet[4 : 4 + size].decode()] += 1
    return found


@pytest.mark.parametrize("version", ["mqttv31", "mqttv311", "mqttv50"])
def test_each_message_arrives_once(
    broker_process: StartBroker, tmp_path: Path, version: str
) -> None:
    ours = broker_process()
    with bridging_mosquitto(tmp_path, ours.port, version) as port, ExitStack() as opened:
        ports = {"ours": ours.port, "theirs": port}
        publishers, probes, subscribers = (
            {side: opened.enter_context(client(at, name)) for side, at in ports.items()}
            for name in ("publisher", "probe", "subscriber")
        )
        wait_for_bridge(publishers["theirs"], probes["ours"], "probe/theirs")
        wait_for_bridge(publishers["ours"], probes["theirs"], "probe/ours")
        for subscriber in subscribers.values():
            subscriber.subscribe("x/#")
        sent = [f"x/{side}/{n}" for n in range(MESSAGES) for side in publishers]
        for topic in sent:
            publishers[topic.split("/")[1]].send(publish(topic, b"1"))
        # Twice there and back, so that what goes in circles is here before.
        for turn in ("1", "2"):
            ends = {f"x/end/{side}/{turn}" for side in publishers}
            for side, publisher in publishers.items():
                publisher.send(publish(f"x/end/{side}/{turn}", b""))
            for subscriber in subscribers.values():
                found = topics_until(subscriber, ends)
                wanted = Counter(sent if turn == "1" else []) + Counter(ends)
                assert found == wanted
        # What is retained here is retained there.
        publishers["ours"].send(publish("y", b"kept", retain=True))
        wait_for_retained(port)


def wait_for_retained(port: int) -> None:
    deadline = time.monotonic() + START_LIMIT
    found = b""
    # Who subscribes before it has arrived gets it as any other message.
    while found != b"\x31\x07" + string("y") + b"kept":
        assert time.monotonic() < deadline, f"it is not retained there, found {found!r}"
        with client(port, "late") as late, suppress(WireError):
            late.subscribe("y")
            found = late.read_packet(limit=0.2)
