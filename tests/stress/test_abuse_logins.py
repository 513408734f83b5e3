"""Peers that try passwords, and peers that try the client ids of others."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path
from typing import Any

import bcrypt
import pytest
from support.abuse import MIB, crowd, watched
from support.process import BrokerProcess, StartBroker
from support.wire import (
    DISCONNECT,
    WireClient,
    ack,
    connect,
    publish,
    suback,
    subscribe,
)

SLACK = 32 * MIB
FILE_PLUGIN = "amqtt.plugins.authentication.FileAuthPlugin"
WRONG_LOGINS = 600


def users(folder: Path, cost: int) -> dict[str, Any]:
    """Return a configuration that knows alice and bob, whose passwords are `secret`."""
    kept = bcrypt.hashpw(b"secret", bcrypt.gensalt(cost)).decode()
    path = folder / "users"
    path.write_text(f"alice:{kept}\nbob:{kept}\n")
    # The witnesses of `watched` have no user name.
    limits = {"allow_anonymous": True}
    return {"plugins": {FILE_PLUGIN: {"password_file": str(path)}}, "limits": limits}


def login(broker: BrokerProcess, address: str, user: str) -> float:
    """Log in from an address; return how many seconds that took."""
    before = time.monotonic()
    with WireClient(broker.port, source=address) as client:
        client.send(connect(f"of {address}", username=user, password="secret"))
        client.expect(b"\x20\x02\x00\x00", limit=25)
    return time.monotonic() - before


@pytest.mark.parametrize("name", ["alice", "nobody"])
def test_wrong_logins_lock_nobody_out(
    broker_process: StartBroker, tmp_path: Path, name: str
) -> None:
    """600 wrong logins wait at once: their user gets in from elsewhere, and so do others."""
    broker = broker_process(users(tmp_path, cost=11), mosquitto=None)
    alone = login(broker, "127.0.0.2", "alice")
    with watched(broker, memory=SLACK, cpu=120), crowd(broker.port, WRONG_LOGINS) as peers:
        for number, peer in enumerate(peers):
            peer.send(connect(f"w{number}", username=name, password="wrong"))
        # Each waits for the checks that are running, and for its turn.
        for address, user in (("127.0.0.2", "alice"), ("127.0.0.1", "bob")):
            assert login(broker, address, user) < 5 + 10 * alone
        answers = Counter(peer.read(4)[3] for peer in peers[-100:])
    assert answers[3] > 50, "at the bound they are told at once that the server is busy"
    assert "logins are waiting, of" in broker.log()


def test_a_session_is_kept_from_other_users(broker_process: StartBroker, tmp_path: Path) -> None:
    """Another user tries to resume, to end and to take over sessions; their owner has them all."""
    broker = broker_process(users(tmp_path, cost=4), mosquitto=None)
    alice = {"username": "alice", "password": "secret"}
    bob = {"username": "bob", "password": "secret"}
    with WireClient(broker.port) as client:
        client.login(connect("away", clean=False, **alice)).subscribe("t", 1)
        client.send(DISCONNECT)
        client.expect_close()
    here = WireClient(broker.port).login(connect("here", clean=False, **alice))
    with WireClient(broker.port) as publisher:
        publisher.login(connect("publisher", **alice))
        publisher.send(publish("t", b"for alice", qos=1, packet_id=1))
        publisher.expect(ack(0x40, 1))
    with watched(broker, memory=SLACK):
        for client_id in ("away", "here"):
            for attempt in range(50):
                clean = attempt % 2 == 0
                with WireClient(broker.port) as other:
                    other.send(connect(client_id, clean=clean, **bob))
                    other.send(subscribe(1, ("#", 1)))
                    assert other.read_until_close() == b"\x20\x02\x00\x02"
                with WireClient(broker.port) as other:
                    other.send(connect(client_id, clean=clean, properties=b"", **bob))
                    answer = other.read_until_close()
                    assert (answer[0], answer[3]) == (0x20, 0x85)
    here.ping()
    here.abort()
    with WireClient(broker.port) as client:
        client.login(connect("away", clean=False, **alice), b"\x20\x02\x01\x00")
        client.expect(publish("t", b"for alice", qos=1, packet_id=1))
        client.send(subscribe(2, ("t", 1)))
        client.expect(suback(2, 1))
    lines = [
        line for line in broker.log().splitlines() if "is another user's: it belongs to" in line
    ]
    assert 1 <= len(lines) < 20
