"""Sessions, connections and messages of a broker as plugins see them."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any

import pytest
from support.embedded import LIMIT, Peer, client_of, config_of, sample, until
from support.wire import DISCONNECT, connect, publish

from amqtt.broker import Broker, BrokerContext
from amqtt.plugins.base import BasePlugin
from amqtt.session import Session

ANONYMOUS = "amqtt.plugins.authentication.AnonymousAuthPlugin"
TABOO = "amqtt.plugins.topic_checking.TopicTabooPlugin"
NAMED = {ANONYMOUS: {"allow_anonymous": False}}


def recorder_of(broker: Broker) -> Any:
    return broker.plugins_manager.get_plugin("Recorder")


def session_named(client_id: str) -> Session:
    session = Session()
    session.client_id = client_id
    return session


async def test_a_session_has_what_connect_says() -> None:
    config = config_of([ANONYMOUS], timeout_disconnect_delay=5)
    async with Broker(config) as broker:
        before = int(time.time())
        will: dict[str, Any] = {"will": ("w", b"gone"), "will_qos": 1, "will_retain": True}
        peer = await Peer.login(broker, "c", username="u", password="p", keep_alive=30, **will)
        session = broker.sessions["c"][0]
        assert (session.client_id, session.username, session.password) == ("c", "u", "p")
        assert session.clean_session is True
        assert session.keep_alive == 30 + 5  # with timeout_disconnect_delay, as in aMQTT
        assert (session.will_flag, session.will_topic, session.will_message) == (True, "w", b"gone")
        assert (session.will_qos, session.will_retain) == (1, True)
        assert (session.remote_address, session.parent) == ("127.0.0.1", 0)
        assert (session.ssl_object, session.is_anonymous) == (None, False)
        assert before <= session.last_connect_time <= time.time()
        assert session.last_disconnect_time is None
        assert repr(session) == "Session(clientId=c, state=connected)"
        await peer.close()
        quiet = await Peer.login(broker, "d", keep_alive=0)
        assert broker.sessions["d"][0].keep_alive == 0
        assert broker.sessions["d"][0].is_anonymous
        await quiet.close()


async def test_a_resumed_session_is_that_of_its_new_connection() -> None:
    async with Broker(config_of(NAMED, session_owner="any")) as broker:
        assert len(broker.sessions) == 0  # from here on it keeps the times of sessions
        will: dict[str, Any] = {"will": ("w", b"1"), "will_retain": True}
        peer = await Peer.login(
            broker, "c", username="u", password="old", clean=False, keep_alive=9, **will
        )
        peer.send(DISCONNECT)
        session = broker.sessions["c"][0]
        await until(lambda: broker.sessions["c"][0].transitions.is_disconnected())
        assert session.last_disconnect_time >= session.last_connect_time
        await peer.close()
        again = await Peer.open(broker)
        again.send(connect("c", username="v", password="new", clean=False, keep_alive=7))
        await again.expect(b"\x20\x02\x01\x00")
        resumed = broker.sessions["c"][0]
        assert resumed == session
        assert (resumed.username, resumed.password, resumed.keep_alive) == ("v", "new", 7)
        assert (resumed.will_flag, resumed.will_topic, resumed.will_retain) == (False, None, None)
        assert (resumed.parent, resumed.last_disconnect_time) == (1, None)
        await again.close()


async def test_sessions_of_clients_that_are_away_expire() -> None:
    async with Broker(config_of(NAMED, session_expiry_interval=1)) as broker:
        async with client_of(broker, "c", user="u", clean=False) as client:
            await client.subscribe([("t", 1)])
        assert list(broker.sessions) == ["c"]
        await until(lambda: len(broker.sessions) == 0)
        assert "t" not in broker.subscriptions


async def test_a_will_comes_before_its_client_has_left() -> None:
    async with Broker(config_of([ANONYMOUS, sample("Recorder")])) as broker:
        recorder = recorder_of(broker)
        async with client_of(broker, "s") as client:
            await client.subscribe([("w", 1)])
            recorder.events.clear()
            peer = await Peer.login(broker, "c", will=("w", b"gone"), will_retain=True)
            await peer.close()
            message = await client.deliver_message(LIMIT)
            assert (message.data, message.retain) == (b"gone", False)
            await until(lambda: "on_broker_client_disconnected" in recorder.names())
        assert broker.retained_messages["w"].source_session == session_named("c")
        names = recorder.names()
        last = names.index("on_broker_client_disconnected")
        assert names.index("on_broker_retained_message") < last
        assert recorder.events[last][1]["client_id"] == "c"


class Curious(BasePlugin[BrokerContext]):
    """Asks, when a message has come, who published it."""

    def __init__(self, context: BrokerContext) -> None:
        super().__init__(context)
        self.found: list[Session | None] = []

    async def on_broker_message_received(self, *, client_id: str, message: Any) -> None:
        assert message.data == b"x"
        self.found.append(self.context.get_session(client_id))
        for _ in range(10):
            await asyncio.sleep(0)
        self.found.append(self.context.get_session(client_id))


class Quick(BasePlugin[BrokerContext]):
    """Asks that twice too, without waiting, so before the next event is handled."""

    def __init__(self, context: BrokerContext) -> None:
        super().__init__(context)
        self.found: list[Session | None] = []

    async def on_broker_message_received(self, *, client_id: str, message: Any) -> None:
        assert message.data == b"x"
        self.found += [self.context.get_session(client_id), self.context.get_session(client_id)]


@pytest.mark.parametrize("name", ["Curious", "Quick"])
async def test_a_client_that_has_published_and_left_is_still_known(name: str) -> None:
    async with Broker(config_of([ANONYMOUS, f"{__name__}.{name}"])) as broker:
        plugin = broker.plugins_manager.get_plugin(name)
        for user in ("first", "second"):
            peer = await Peer.open(broker)
            peer.send(connect("c", username=user) + publish("t", b"x") + DISCONNECT)
            assert await peer.read(4) == b"\x20\x02\x00\x00"
            await until(lambda: len(plugin.found) == 2)
            assert [each.username for each in plugin.found] == [user, user]
            assert list(broker.sessions) == []
            plugin.found.clear()
            await peer.close()
        await until(lambda: broker.find_session("c") is None)
        await until(lambda: len(broker._dispatch.registry) == 0)


async def test_no_more_than_so_many_that_have_left_are_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("amqtt._broker.sessions._MOST_REMEMBERED", 3)
    async with Broker(config_of([ANONYMOUS, sample("Recorder")])) as broker:
        for number in range(5):
            async with client_of(broker, f"c{number}") as client:
                await client.ping()
        names = recorder_of(broker).names
        await until(lambda: names().count("on_broker_client_disconnected") == 5)
        assert len(broker._dispatch.registry) <= 3
        assert broker.find_session("c4") is not None
        assert broker.find_session("c0") is None


@pytest.mark.parametrize(
    ("packet", "answer"),
    [
        (connect("", clean=False), b"\x20\x02\x00\x02"),
        (connect("c", version=9), b"\x20\x03\x00\x84\x00"),  # in the form of MQTT 5.0
    ],
)
async def test_a_refusal_before_there_is_a_session(packet: bytes, answer: bytes) -> None:
    async with Broker(config_of([ANONYMOUS, sample("Recorder")])) as broker:
        recorder = recorder_of(broker)
        peer = await Peer.open(broker)
        peer.send(packet)
        await peer.expect(answer)
        await until(lambda: "on_mqtt_packet_sent" in recorder.names())
        await peer.close()
        [sent] = [kwargs for name, kwargs in recorder.events if name == "on_mqtt_packet_sent"]
        assert sent["packet"].return_code == answer[3]
        assert "session" not in sent
        assert list(broker.sessions) == []


async def test_refusals_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "amqtt")
    async with Broker(config_of([ANONYMOUS, TABOO])) as broker:
        async with client_of(broker, "c") as client:
            await client.subscribe([("#", 0)])
            await client.publish("prohibited", b"x", 1)
            await broker.publish("top-secret", b"x")
            await client.publish("$SYS/mine", b"x", 1)
            await client.ping()
        await until(lambda: broker.statistics()["clients_connected"] == 0)
    lines = [each.getMessage() for each in caplog.records]
    assert "c not allowed to publish to TOPIC prohibited." in lines
    assert "c not allowed to receive messages from TOPIC top-secret." in lines


async def test_a_client_gets_its_own_messages_and_large_ones() -> None:
    payload = bytes(range(256)) * 1024
    async with Broker(config_of([ANONYMOUS])) as broker, client_of(broker, "c") as client:
        await client.subscribe([("t", 2)])
        for qos in (0, 1, 2):
            await client.publish("t", payload, qos)
            message = await client.deliver_message(LIMIT)
            assert (bytes(message.data), message.qos, message.retain) == (payload, qos, False)


async def test_queued_messages_come_first_and_in_order() -> None:
    async with Broker(config_of(NAMED)) as broker:
        async with client_of(broker, "c", user="u", clean=False) as client:
            await client.subscribe([("t", 1), ("low", 0)])
        await until(lambda: broker.sessions["c"][0].transitions.is_disconnected())
        for number in range(5):
            await broker.publish("t", b"%d" % number, number % 2)
            await broker.publish("low", b"is not queued")
        assert broker.sessions["c"][0].retained_messages_count == 5
        peer = await Peer.open(broker)
        peer.send(connect("c", username="u", clean=False))
        await peer.expect(b"\x20\x02\x01\x00")
        await broker.publish("low", b"live")
        for number in range(5):
            packet = await peer.packet()
            assert (packet[0] & 0x01, packet[-1:]) == (0, b"%d" % number)
        await peer.expect(publish("low", b"live"))
        await peer.close()
