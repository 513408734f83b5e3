"""Every packaged plugin at once, under load, while clients come and go.

AMQTT_STRESS_ROUNDS makes it longer: 700 rounds are over a million events of messages alone.
"""

from __future__ import annotations

import json
import os
import re
import socket
import threading
from pathlib import Path
from typing import Any

import pytest
import support
from argon2 import PasswordHasher
from support.abuse import MIB, Watch
from support.process import StartBroker
from support.scram import ScramClient
from support.wire import (
    DISCONNECT,
    WireClient,
    ack,
    connect,
    packet,
    publish,
    string,
    suback,
    subscribe,
    varint,
)

from amqtt.plugins.scram import make_verifier

CLIENTS = 8
SHORT = 12
WARM_UP = 4
# For each client and round.
ALLOWED = 80
REFUSED = ("prohibited", "elsewhere")  # by TopicTabooPlugin, by the access control list
MEMORY = 8 * MIB  # a leak of 16 bytes for each of a million events is twice that

PASSWORD = "secret"
SCRAM = "SCRAM-SHA-256"


def rounds() -> int:
    return int(os.environ.get("AMQTT_STRESS_ROUNDS", SHORT))


def uses_scram(number: int) -> bool:
    return number % 4 == 3


def plugins(folder: Path, *, log_everything: bool) -> dict[str, Any]:
    """Return the plugins, with their files."""
    users = [f"u{number}" for number in range(CLIENTS)]
    # Costs next to nothing, which is not what these tests are about.
    hashed = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
    passwords, verifiers = folder / "passwords", folder / "verifiers"
    passwords.write_text("".join(f"{user}:{hashed}\n" for user in users))
    verifiers.write_text("".join(f"{user}:{make_verifier(PASSWORD, SCRAM)}\n" for user in users))
    own = {user: [f"load/{user}", "prohibited"] for user in users}
    return {
        "amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": False},
        "amqtt.plugins.authentication.FileAuthPlugin": {"password_file": str(passwords)},
        "amqtt.plugins.scram.ScramAuthPlugin": {"password_file": str(verifiers)},
        "amqtt.plugins.topic_checking.TopicTabooPlugin": {},
        "amqtt.plugins.topic_checking.TopicAccessControlListPlugin": {
            "publish_acl": own,
            "subscribe_acl": {user: ["load/#", "$SYS/#"] for user in users},
            "receive_acl": {user: [f"load/{user}", "$SYS/broker/uptime"] for user in users},
        },
        "amqtt.plugins.logging_amqtt.EventLoggerPlugin": {},
        "amqtt.plugins.logging_amqtt.PacketLoggerPlugin": {},
        "amqtt.plugins.sys.broker.BrokerSysPlugin": {"sys_interval": 1},
        "amqtt.plugins.persistence.SQLitePlugin": {},
        "support.event_counts.EventCounts": {
            "file": str(folder / "events"),
            "log_everything": log_everything,
        },
    }


def test_every_packaged_plugin_is_loaded() -> None:
    """What is packaged later belongs into this test as well."""
    folder = Path(support.__file__).parents[2] / "amqtt" / "plugins"
    found = set()
    for file in folder.rglob("*.py"):
        for name in re.findall(r"^class (\w+Plugin)\(", file.read_text(), re.MULTILINE):
            if not name.startswith(("Base", "_")):
                found.add(name)
    packaged = Path(__file__).read_text()
    assert found
    assert [name for name in sorted(found) if f".{name}" not in packaged] == []


class Load:
    """One client that connects in each round, publishes, and leaves in one way or another."""

    def __init__(self, port: int, number: int) -> None:
        self._port = port
        self._number = number
        self._user = f"u{number}"
        self._published = 0
        self.error: BaseException | None = None

    def run(self, first: int, last: int) -> None:
        """Do some rounds."""
        try:
            for each in range(first, last):
                self._round(each)
        except BaseException as error:  # raised again where the test runs
            self.error = error

    def _properties(self) -> bytes | None:
        return b"" if uses_scram(self._number) else None

    def _login(self, client: WireClient) -> None:
        if not uses_scram(self._number):
            client.login(connect(self._user, username=self._user, password=PASSWORD))
            return
        exchange = ScramClient(self._user, PASSWORD)

        def step(data: bytes) -> bytes:
            return b"\x15" + string(SCRAM) + b"\x16" + string(data)

        client.send(connect(self._user, properties=step(exchange.first())))
        challenge = client.read_packet()
        assert challenge[0] == 0xF0
        # AUTH: reason code, length of the properties, the method, then the data.
        server_first = challenge.partition(b"\x16")[2][2:]
        final = step(exchange.final(server_first))
        client.send(packet(0xF0, b"\x18" + varint(len(final)) + final))
        accepted = client.read_packet()
        assert (accepted[0], accepted[3]) == (0x20, 0)

    def _publish(self, client: WireClient, topic: str) -> bytes:
        self._published += 1
        message = publish(
            topic,
            b"%d" % self._published,
            qos=1,
            packet_id=self._number + 1,
            properties=self._properties(),
        )
        client.send(message)
        return message

    def _round(self, each: int) -> None:
        topic = f"load/{self._user}"
        properties = self._properties()
        with WireClient(self._port) as client:
            self._login(client)
            filters = ((topic, 0), ("load/#", 0), ("prohibited", 0))
            client.send(subscribe(1, *filters, properties=properties))
            code = 0x87 if properties is not None else 0x80
            client.expect(suback(1, 0, 0, code, properties=properties))
            for _ in range(ALLOWED):
                self._publish(client, topic)
                arrived = publish(topic, b"%d" % self._published, properties=properties)
                client.expect(arrived)
                client.expect(ack(0x40, self._number + 1))
            for refused in REFUSED:
                self._publish(client, refused)
                client.read_packet()
            if each % 3 == 0:
                client.send(DISCONNECT)
                client.expect_close()
            elif each % 3 == 1:
                client.shutdown(socket.SHUT_WR)
                client.expect_close()
            else:
                client.abort()


def drive(loads: list[Load], first: int, last: int) -> None:
    """Let all clients do rounds at the same time."""
    threads = [threading.Thread(target=each.run, args=(first, last)) for each in loads]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for each in loads:
        if each.error is not None:
            raise each.error


@pytest.mark.timeout(0 if rounds() > SHORT else 120)
@pytest.mark.parametrize("log_everything", [False, True], ids=["quiet", "logging"])
def test_no_event_is_lost_or_doubled(
    broker_process: StartBroker,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    log_everything: bool,
) -> None:
    """Clients log in by password or SCRAM, publish what they may and may not, and leave.

    Each of them sees its own messages once, in order; the events of each are exactly what it has
    done; the broker does not grow, and logs neither warning nor error.
    """
    if log_everything and rounds() > SHORT:
        pytest.skip("the long form would fill the disk with the log of every packet")
    monkeypatch.setenv("PYTHONPATH", str(Path(support.__file__).parents[1]))
    config = {"plugins": plugins(tmp_path, log_everything=log_everything)}
    broker = broker_process(config)
    loads = [Load(broker.port, number) for number in range(CLIENTS)]
    drive(loads, 0, WARM_UP)
    watch = Watch(broker)
    drive(loads, WARM_UP, rounds())
    grown = watch.peak_growth()
    broker.stop()

    found = json.loads((tmp_path / "events").read_text())
    assert found["out_of_order"] == []
    each_round = {
        "connected": 1,
        "subscribed": 2,
        "received": ALLOWED + len(REFUSED),
        "broadcast": ALLOWED,
        "PublishPacket": ALLOWED + len(REFUSED),
        "SubscribePacket": 1,
        "disconnected": 1,
    }
    for number in range(CLIENTS):
        for event, count in each_round.items():
            assert found["counts"][f"{event} u{number}"] == count * rounds(), (event, number)
    lines = broker.log().splitlines()
    assert [line for line in lines if re.search(r"\b(WARNING|ERROR|CRITICAL)\b", line)] == []
    logged = sum("'on_broker_message_received' EVENT FIRED" in line for line in lines)
    everything = CLIENTS * rounds() * each_round["received"]
    assert logged == (everything if log_everything else 0)
    assert grown <= MEMORY, f"the broker grew by {grown / MIB:.1f} MiB"
