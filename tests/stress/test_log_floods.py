"""Whatever peers do, the log does not grow with it; and what is not logged is counted there."""

from __future__ import annotations

import re
import time

import pytest
from support.abuse import MIB, crowd, watched
from support.process import BrokerProcess, StartBroker
from support.wire import WireClient, connect, publish, suback, subscribe

TABOO = {
    "plugins": {
        "amqtt.plugins.authentication.AnonymousAuthPlugin": {},
        "amqtt.plugins.topic_checking.TopicTabooPlugin": {},
    }
}
MORE = re.compile(
    r"\(and ([\d,]+) more in the last \d+ s\)|: ([\d,]+) more of other clients in the"
)
# In ten seconds: for each client as many lines of one kind as there may be, and a number.
LINES_OF_A_CLIENT = 6
LINES_OF_A_KIND = 101


class LogOf:
    """The log of a broker that a test floods from now on."""

    def __init__(self, broker: BrokerProcess) -> None:
        """Take the time."""
        self._broker = broker
        self._began = time.monotonic()

    def lines(self, *parts: str) -> list[str]:
        """Stop the broker and return the lines of its log that have one of some texts."""
        self._broker.stop()
        lines = self._broker.log().splitlines()
        return [line for line in lines if any(part in line for part in parts)]

    def intervals(self) -> int:
        """Return how many intervals of ten seconds there were at most."""
        return int(time.monotonic() - self._began) // 10 + 2


def occurrences(lines: list[str]) -> int:
    """Return how often something has happened that is logged in these lines."""
    return sum(
        int((found[1] or found[2]).replace(",", "")) if (found := MORE.search(line)) else 1
        for line in lines
    )


@pytest.mark.parametrize("qos", [0, 1])
def test_refused_publications(broker_process: StartBroker, qos: int) -> None:
    """200,000 of them are some lines, and the numbers in them add up."""
    broker = broker_process(TABOO)
    log = LogOf(broker)
    unit = publish("prohibited", b"x", qos=qos, packet_id=7 if qos else None)
    answer = b"\x40\x02\x00\x07" if qos else b""
    with watched(broker, memory=32 * MIB), WireClient(broker.port) as peer:
        peer.login(connect("flooder", keep_alive=0))
        for _ in range(200):
            peer.send(unit * 1000)
            peer.expect(answer * 1000)
        peer.ping()
    lines = log.lines("not allowed to publish")
    assert lines[0].endswith("flooder not allowed to publish to TOPIC prohibited.")
    assert occurrences(lines) == 200_000
    assert len(lines) <= LINES_OF_A_CLIENT * log.intervals()


def test_refused_subscriptions(broker_process: StartBroker) -> None:
    broker = broker_process(TABOO)
    log = LogOf(broker)
    with watched(broker, memory=32 * MIB), WireClient(broker.port) as peer:
        peer.login(connect("flooder", keep_alive=0))
        for _ in range(20):
            peer.send(subscribe(7, ("prohibited", 0)) * 1000)
            peer.expect(suback(7, 0x80) * 1000)
    lines = log.lines("not allowed to subscribe")
    assert occurrences(lines) == 20_000
    assert len(lines) <= LINES_OF_A_CLIENT * log.intervals()


def test_refused_deliveries(broker_process: StartBroker) -> None:
    """To each of 200 subscribers of everything; each is a client of its own."""
    broker = broker_process(TABOO)
    log = LogOf(broker)
    with watched(broker, memory=32 * MIB), crowd(broker.port, 200) as peers:
        for number, each in enumerate(peers):
            each.login(connect(f"s{number}", keep_alive=0)).subscribe("+")
        with WireClient(broker.port) as admin:
            admin.login(connect("admin", username="admin", keep_alive=0))
            admin.send(publish("top-secret", b"x") * 100)
            admin.ping()
        for each in peers:
            each.ping()
    lines = log.lines("not allowed to receive", "refused deliveries")
    assert occurrences(lines) == 20_000
    assert len(lines) <= LINES_OF_A_KIND * log.intervals()


def test_bad_connections(broker_process: StartBroker) -> None:
    """Thousands of peers break the rules, each under another name; some send no CONNECT at all."""
    broker = broker_process(TABOO)
    log = LogOf(broker)
    count = 1500
    with watched(broker, memory=32 * MIB):
        for number in range(count):
            with WireClient(broker.port) as peer:
                if number % 2:
                    peer.login(connect(f"bad{number}")).send(b"\x00\x00")
                else:
                    peer.send(b"\xf0\x00")
                peer.expect_close()
    lines = log.lines(" closed: ", "violations of the protocol")
    assert occurrences(lines) == count
    assert len(lines) <= LINES_OF_A_KIND * log.intervals()


def test_a_name_forges_no_line(broker_process: StartBroker) -> None:
    """Neither a client identifier nor a topic; and a long one is cut."""
    broker = broker_process(TABOO)
    log = LogOf(broker)
    name = "a\nWARNING b\u2028c" + "x" * 5000
    with WireClient(broker.port) as peer:
        peer.login(connect(name)).send(publish("prohibited", b"x") + b"\x00\x00")
        peer.expect_close()
    refused, closed = log.lines("a\\x0aWARNING b\\u2028cxxx")
    assert refused.endswith("xxx... not allowed to publish to TOPIC prohibited.")
    assert "xxx...' at 127.0.0.1:" in closed
    assert max(len(refused), len(closed)) < 500
