"""Enhanced authentication of MQTT 5.0 through plugins, on the wire."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.process import BrokerProcess, StartBroker
from support.scram import ScramClient
from support.wire import WireClient, connect, packet, publish, string, suback, subscribe, varint

from amqtt.plugins.scram import make_verifier

PLUGIN = "amqtt.plugins.scram.ScramAuthPlugin"
METHOD = "SCRAM-SHA-256"
CONTINUE, AGAIN = 0x18, 0x19


def fields(method: str, data: bytes = b"") -> bytes:
    """Return Authentication Method and Authentication Data."""
    return b"\x15" + string(method) + (b"\x16" + string(data) if data else b"")


def auth(code: int, method: str, data: bytes = b"") -> bytes:
    block = fields(method, data)
    return packet(0xF0, bytes([code]) + varint(len(block)) + block)


def code_of(answer: bytes) -> int:
    """Return the Reason Code of an AUTH packet."""
    assert answer[0] == 0xF0
    return answer[3 if answer[1] & 0x80 else 2]


def data_of(answer: bytes) -> bytes:
    """Return the Authentication Data, which is the last property of a packet."""
    at = answer.index(b"\x15" + string(METHOD)) + 3 + len(METHOD)
    assert answer[at] == 0x16
    size = int.from_bytes(answer[at + 1 : at + 3], "big")
    assert len(answer) == at + 3 + size
    return answer[at + 3 :]


@pytest.fixture
def broker(broker_process: StartBroker, tmp_path: Path) -> BrokerProcess:
    file = tmp_path / "users.scram"
    file.write_text(f"alice:{make_verifier('secret')}\n")
    config: dict[str, Any] = {"plugins": {PLUGIN: {"password_file": str(file)}}}
    return broker_process(config, mosquitto=None)


def log_in(peer: WireClient, user: str = "alice", password: str = "secret") -> bytes:
    """Go through the exchange; return the answer to the last message."""
    client = ScramClient(user, password)
    peer.send(connect("c", properties=fields(METHOD, client.first())))
    challenge = peer.read_packet()
    assert code_of(challenge) == CONTINUE
    peer.send(auth(CONTINUE, METHOD, client.final(data_of(challenge))))
    answer = peer.read_packet()
    if answer[3] == 0:
        client.check(data_of(answer))
    return answer


def test_scram(broker: BrokerProcess) -> None:
    """5.0:MQTT-4.12.0-2@server 5.0:MQTT-4.12.0-5@server."""
    with WireClient(broker.port) as peer:
        assert log_in(peer)[:4:3] == b"\x20\x00"
        peer.send(subscribe(1, ("t", 0), properties=b""))
        peer.expect(suback(1, 0, properties=b""))


@pytest.mark.parametrize(("user", "password"), [("alice", "wrong"), ("bob", "secret")])
def test_scram_refused(broker: BrokerProcess, user: str, password: str) -> None:
    """5.0:MQTT-4.12.0-4@server."""
    with WireClient(broker.port) as peer:
        assert log_in(peer, user, password)[:4:3] == b"\x20\x87"
        peer.expect_close()


def test_an_unknown_method(broker: BrokerProcess) -> None:
    """5.0:MQTT-4.12.0-1@server."""
    with WireClient(broker.port) as peer:
        peer.send(connect("c", properties=fields("SCRAM-MD5")))
        peer.expect(packet(0x20, b"\0\x8c\0"))
        peer.expect_close()


def test_a_client_with_a_password_is_not_admitted_by_it(broker: BrokerProcess) -> None:
    """There is no plugin for passwords."""
    with WireClient(broker.port) as peer:
        peer.send(connect("c", username="alice"))
        peer.expect(packet(0x20, b"\0\x05"))
        peer.expect_close()


def test_authentication_again(broker: BrokerProcess) -> None:
    """Messages go on meanwhile; a failure ends the connection.

    5.0:MQTT-4.12.1-1@server 5.0:MQTT-4.12.1-2@server
    """
    with WireClient(broker.port) as peer:
        log_in(peer)
        peer.send(subscribe(1, ("t", 0), properties=b""))
        peer.expect(suback(1, 0, properties=b""))
        client = ScramClient("alice", "secret")
        peer.send(auth(AGAIN, METHOD, client.first()))
        challenge = peer.read_packet()
        assert code_of(challenge) == CONTINUE
        peer.send(publish("t", b"meanwhile", properties=b""))
        peer.expect(publish("t", b"meanwhile", properties=b""))
        peer.send(auth(CONTINUE, METHOD, client.final(data_of(challenge))))
        done = peer.read_packet()
        assert code_of(done) == 0
        client.check(data_of(done))

        wrong = ScramClient("alice", "guess")
        peer.send(auth(AGAIN, METHOD, wrong.first()))
        challenge = peer.read_packet()
        peer.send(auth(CONTINUE, METHOD, wrong.final(data_of(challenge))))
        peer.expect(packet(0xE0, b"\x87"))
        peer.expect_close()
