"""Clients and subscriptions that are not allowed any more when the broker asks again."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, ClassVar

import pytest
from argon2 import PasswordHasher
from support.embedded import Peer, until
from support.embedded import config_of as plain_config
from support.scram import ScramClient
from support.wire import (
    CONNACK_ACCEPTED_V5,
    DISCONNECT,
    PINGREQ,
    PINGRESP,
    connect,
    packet,
    publish,
    string,
    suback,
    subscribe,
    varint,
)

from amqtt.broker import Broker
from amqtt.contexts import Action
from amqtt.plugins.base import BaseAuthPlugin, BasePlugin, BaseTopicPlugin, Decision
from amqtt.plugins.enhanced_authentication import (
    Accepted,
    AuthenticationStep,
    BaseEnhancedAuthPlugin,
)
from amqtt.plugins.scram import make_verifier

ANONYMOUS = "amqtt.plugins.authentication.AnonymousAuthPlugin"
FILE_PLUGIN = "amqtt.plugins.authentication.FileAuthPlugin"
KEPT = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1).hash("secret")
NOT_AUTHORIZED = b"\xe0\x01\x87"


class Judge(BaseAuthPlugin, BaseTopicPlugin):
    """Refuses who and what is in its lists."""

    gone: ClassVar[set[str | None]] = set()
    forbidden: ClassVar[set[tuple[str, str]]] = set()
    hangs: ClassVar[bool] = False
    code: ClassVar[int | None] = None

    async def authenticate(self, *, session: Any) -> bool | Decision | None:
        return session.username not in self.gone

    async def still_allowed(self, *, session: Any) -> bool | Decision | None:
        if self.hangs:
            await asyncio.Event().wait()
        return Decision(session.username not in self.gone, self.code)

    async def topic_filtering(
        self, *, session: Any = None, topic: Any = None, action: Any = None
    ) -> bool | Decision | None:
        assert session is not None
        return (str(action), topic) not in self.forbidden


class ByName(BaseEnhancedAuthPlugin):
    """Believes whoever says a name."""

    authentication_methods = ("NAME",)

    async def authenticate_step(self, *, step: AuthenticationStep) -> Accepted:
        return Accepted(username=step.data.decode())


class Witness(BasePlugin[Any]):
    """Notes who was unsubscribed."""

    unsubscribed: ClassVar[list[tuple[str, str]]] = []

    async def on_broker_client_unsubscribed(self, *, client_id: str, topic: str) -> None:
        self.unsubscribed.append((client_id, topic))


def config_of(plugins: Any, **more: Any) -> dict[str, Any]:
    """Return a configuration without texts for people, since tests compare bytes."""
    return plain_config(plugins, protocol={"reason_strings": False}, **more)


@pytest.fixture(autouse=True)
def _fresh() -> None:
    Judge.gone, Judge.forbidden, Judge.hangs, Judge.code = set(), set(), False, None
    Witness.unsubscribed = []


def judged(**more: Any) -> Broker:
    return Broker(config_of({f"{__name__}.Judge": {}, f"{__name__}.Witness": {}}, **more))


async def login_v5(broker: Broker, client_id: str, user: str) -> Peer:
    peer = await Peer.open(broker)
    peer.send(connect(client_id, username=user, password="secret", properties=b""))
    await peer.expect(CONNACK_ACCEPTED_V5)
    return peer


async def is_there(peer: Peer) -> None:
    peer.send(PINGREQ)
    await peer.expect(PINGRESP)


async def is_closed(peer: Peer, last: bytes = b"") -> None:
    assert await asyncio.wait_for(peer.reader.read(), 10) == last
    await peer.close()


async def test_a_user_who_was_removed_from_the_password_file(tmp_path: Path) -> None:
    path = tmp_path / "users"
    path.write_text(f"alice:{KEPT}\nbob:{KEPT}\n")
    async with Broker(config_of({FILE_PLUGIN: {"password_file": str(path)}})) as broker:
        alice = await login_v5(broker, "a", "alice")
        bob = await login_v5(broker, "b", "bob")
        bob_too = await Peer.login(broker, "b3", username="bob", password="secret")
        await broker.reload()
        await is_there(bob)
        path.write_text(f"alice:{KEPT}\n")
        await broker.reload()
        await is_closed(bob, NOT_AUTHORIZED)
        await is_closed(bob_too)
        await is_there(alice)
        await alice.close()


async def test_a_user_who_was_removed_from_the_file_of_scram(tmp_path: Path) -> None:
    path = tmp_path / "users"
    line = make_verifier("secret")
    path.write_text(f"alice:{line}\n")
    plugins = {
        "amqtt.plugins.scram.ScramAuthPlugin": {"password_file": str(path)},
        # It is not asked about clients that came by SCRAM.
        f"{__name__}.Judge": {},
    }
    Judge.gone = {"alice"}
    async with Broker(config_of(plugins)) as broker:
        peer = await Peer.open(broker)
        await scram_login(peer, "alice")
        assert await broker.reauthorize() == (0, 0)
        await is_there(peer)
        path.write_text(f"bob:{line}\n")
        assert await broker.reauthorize() == (1, 0)
        await is_closed(peer, NOT_AUTHORIZED)


async def scram_login(peer: Peer, user: str) -> None:
    client = ScramClient(user, "secret")

    def fields(data: bytes) -> bytes:
        return b"\x15" + string("SCRAM-SHA-256") + b"\x16" + string(data)

    peer.send(connect("c", properties=fields(client.first())))
    challenge = await any_packet(peer)
    block = fields(client.final(challenge[challenge.index(b"r=") :]))
    peer.send(packet(0xF0, b"\x18" + varint(len(block)) + block))
    assert (await any_packet(peer))[0] == 0x20


async def any_packet(peer: Peer) -> bytes:
    """Return the next packet, of whatever size, without its length."""
    first = await peer.read(1)
    size, shift = 0, 0
    while True:
        digit = (await peer.read(1))[0]
        size |= (digit & 0x7F) << shift
        shift += 7
        if digit < 0x80:
            return first + await peer.read(size)


@pytest.mark.parametrize("owner", ["user", "any"])
async def test_who_authenticates_again_as_another_user(owner: str) -> None:
    def fields(data: bytes) -> bytes:
        return b"\x15" + string("NAME") + b"\x16" + string(data)

    async with Broker(config_of({f"{__name__}.ByName": {}}, session_owner=owner)) as broker:
        peer = await Peer.open(broker)
        peer.send(connect("c", clean=False, properties=b"\x11\x00\x00\x0e\x10" + fields(b"alice")))
        assert (await any_packet(peer))[0] == 0x20
        assert broker.sessions["c"][0].username == "alice"
        block = fields(b"bob")
        peer.send(packet(0xF0, b"\x19" + varint(len(block)) + block))
        if owner == "any":
            assert (await any_packet(peer))[:2] == b"\xf0\x00"
            assert broker.sessions["c"][0].username == "bob"
            await peer.close()
        else:
            await is_closed(peer, NOT_AUTHORIZED)
            assert broker.sessions["c"][0].username == "alice"


async def test_the_code_and_the_choice_of_clients() -> None:
    async with judged() as broker:
        peers = {
            (client, user): await login_v5(broker, client, user)
            for client, user in (("1", "bob"), ("2", "bob"), ("3", "eve"), ("4", "alice"))
        }
        Judge.gone = {"bob", "eve"}
        Judge.code = 0x98
        assert await broker.reauthorize("1") == (1, 0)
        await is_closed(peers.pop(("1", "bob")), b"\xe0\x01\x98")
        assert await broker.reauthorize("nobody") == (0, 0)
        assert await broker.reauthorize("2", username="eve") == (0, 0)
        assert await broker.context.reauthorize(username="eve") is None
        await is_closed(peers.pop(("3", "eve")), b"\xe0\x01\x98")
        await is_there(peers["2", "bob"])
        assert await broker.reauthorize() == (1, 0)
        await is_closed(peers.pop(("2", "bob")), b"\xe0\x01\x98")
        await is_there(peers["4", "alice"])
        await peers["4", "alice"].close()


async def test_subscriptions_of_clients_that_are_there_and_away() -> None:
    async with judged() as broker:
        here = await Peer.login(broker, "here", username="bob", password="secret")
        away = await Peer.login(broker, "away", clean=False, username="bob", password="secret")
        for peer in (here, away):
            peer.send(subscribe(1, ("a", 1), ("b", 1), ("$share/g/a", 1)))
            await peer.expect(suback(1, 1, 1, 1))
        away.send(DISCONNECT)
        await away.close()
        await until(lambda: not broker.sessions["away"][0].transitions.is_connected())
        await broker.publish("a", b"waits", 1)
        await here.packet()
        Judge.forbidden = {("subscribe", "a")}
        assert await broker.reauthorize() == (0, 4)
        assert {each: len(of) for each, of in broker.subscriptions.items()} == {"b": 2}
        await until(lambda: len(Witness.unsubscribed) == 4)
        assert set(Witness.unsubscribed) == {
            (client, topic) for client in ("here", "away") for topic in ("a", "$share/g/a")
        }
        await broker.publish("b", b"later", 1)
        back = await Peer.open(broker)
        back.send(connect("away", clean=False, username="bob", password="secret"))
        await back.expect(b"\x20\x02\x01\x00" + publish("b", b"later", qos=1, packet_id=1))
        await is_there(back)
        for peer in (here, back):
            await peer.close()


async def test_messages_that_waited_are_decided_on_when_the_client_is_back() -> None:
    async with judged() as broker:
        away = await Peer.login(broker, "away", clean=False, username="bob", password="secret")
        away.send(subscribe(1, ("#", 1)))
        await away.expect(suback(1, 1))
        away.send(DISCONNECT)
        await away.close()
        await until(lambda: not broker.sessions["away"][0].transitions.is_connected())
        for topic in ("a", "b", "a", "c"):
            await broker.publish(topic, topic.encode(), 1)
        Judge.forbidden = {("receive", "a")}
        back = await Peer.open(broker)
        back.send(connect("away", clean=False, username="bob", password="secret"))
        await back.expect(
            b"\x20\x02\x01\x00"
            + publish("b", b"b", qos=1, packet_id=1)
            + publish("c", b"c", qos=1, packet_id=2)
        )
        await is_there(back)
        await back.close()


async def test_who_does_not_answer_changes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    async with judged(limits={"decision_timeout": 0.1}) as broker:
        peer = await Peer.login(broker, "c", username="bob", password="secret")
        Judge.hangs, Judge.gone = True, {"bob"}
        assert await broker.reauthorize() == (0, 0)
        await is_there(peer)
        await peer.close()
    assert "1 questions of whether something is still allowed were not answered" in caplog.text


async def test_a_broker_that_has_nobody_to_ask() -> None:
    async with Broker(config_of({ANONYMOUS: {}})) as broker:
        peer = await Peer.login(broker, "c")
        peer.send(subscribe(1, ("a", 0)))
        await peer.expect(suback(1, 0))
        await broker.reload()
        assert await broker.reauthorize() == (0, 0)
        await is_there(peer)
        await peer.close()


def test_actions_have_the_names_that_the_judge_uses() -> None:
    assert {str(each) for each in Action} == {"subscribe", "publish", "receive"}
