"""Rights that are withdrawn, with every packaged plugin in which that can be done.

Each plugin remembers its verdicts for an hour here; what was withdrawn has to hold as soon as the
verdicts are taken back. `TopicAuthDBPlugin` has tests of the same in test_auth_db_plugins.py.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from support.auth_site import auth_site
from support.embedded import Peer, config_of
from support.wire import DISCONNECT, connect, publish, suback, subscribe

from amqtt.broker import Broker
from amqtt.contexts import Action
from amqtt.plugins import TopicMatcher
from amqtt.plugins.base import BaseTopicPlugin

ANONYMOUS = "amqtt.plugins.authentication.AnonymousAuthPlugin"
ACCESS = {1: "receive", 2: "publish", 4: "subscribe"}


class Rights:
    """What `bob` may do, as the plugin under test is told."""

    def __init__(self) -> None:
        self.filters = {
            "subscribe": ["a/#", "end"], "receive": ["a/#", "end"], "publish": ["will/1", "will/2"],
        }  # fmt: skip
        self.broker: Broker | None = None

    def allow(self, action: str, topic: str) -> bool:
        plain = topic.split("/", 2)[2] if topic.startswith("$share/") else topic
        return TopicMatcher().are_topics_allowed(plain, self.filters[action]) or (
            plain in self.filters[action]
        )

    def withdraw(self, action: str, topic_filter: str) -> None:
        self.filters[action].remove(topic_filter)
        self.changed()
        assert self.broker is not None
        self.broker.invalidate_verdicts()

    def changed(self) -> None:
        """Tell the plugin."""


class OfFile(Rights):
    """Mosquitto's file has no right to subscribe: that is always granted."""

    path: Path

    def changed(self) -> None:
        lines = [f"topic read {each}" for each in self.filters["receive"]]
        lines += [f"topic write {each}" for each in self.filters["publish"]]
        self.path.write_text("\n".join(["user bob", *lines, ""]))


CURRENT: list[Rights] = []


class OwnPlugin(BaseTopicPlugin):
    """A plugin of an application."""

    verdict_ttl = 3600.0

    async def topic_filtering(
        self, *, session: Any = None, topic: str | None = None, action: Action | None = None
    ) -> bool | None:
        assert session.username == "bob"
        return CURRENT[0].allow(str(action), str(topic))


MODULE = """
import sys

def acl_check(client_id, username, topic, access, payload):
    [test] = [each for name, each in sys.modules.items() if name.endswith("test_withdrawn_rights")]
    action = {1: "receive", 2: "publish", 4: "subscribe"}[access]
    return username == "bob" and test.CURRENT[0].allow(action, topic)

def unpwd_check(username, password):
    return True
"""


@asynccontextmanager
async def rights_of(kind: str, folder: Path) -> AsyncIterator[tuple[Rights, Broker]]:
    """Run a broker with a plugin, and give the rights that it asks for."""
    rights = OfFile() if kind == "file" else Rights()
    CURRENT[:] = [rights]

    def answer(_request: web.Request, asked: dict[str, Any]) -> web.Response:
        return web.json_response({"ok": rights.allow(ACCESS[asked["acc"]], asked["topic"])})

    async with auth_site(answer) as site:
        name = f"withdrawn_{folder.name}".replace("-", "_")
        options: dict[str, Any]
        if isinstance(rights, OfFile):
            rights.path = folder / "rights"
            rights.changed()
            path = "amqtt.plugins.topic_checking.TopicAccessControlListPlugin"
            options = {"acl_file": str(rights.path)}
        elif kind == "http":
            path = "amqtt.contrib.http.TopicAuthHttpPlugin"
            options = {
                "host": "127.0.0.1", "port": site.port, "request_method": "post",
                "verdict_ttl": 3600,
            }  # fmt: skip
        elif kind == "pyauth":
            (folder / f"{name}.py").write_text(MODULE)
            path = "amqtt.contrib.pyauth.PyAuthPlugin"
            options = {"module": name, "module_folder": str(folder), "verdict_ttl": 3600}
        else:
            path, options = f"{__name__}.OwnPlugin", {}
        # pyauth decides on users as well, who have a password then.
        plugins = {path: options} if kind == "pyauth" else {ANONYMOUS: {}, path: options}
        async with Broker(config_of(plugins)) as broker:
            rights.broker = broker
            try:
                yield rights, broker
            finally:
                sys.modules.pop(name, None)


BOB: dict[str, Any] = {"username": "bob", "password": "secret"}
kinds = pytest.mark.parametrize("kind", ["http", "pyauth", "file", "own"])


@kinds
async def test_what_a_subscription_gets(kind: str, tmp_path: Path) -> None:
    async with rights_of(kind, tmp_path) as (rights, broker):
        peer = await Peer.login(broker, "c", **BOB)
        peer.send(subscribe(1, ("a/x", 0), ("end", 0)))
        await peer.expect(suback(1, 0, 0))
        await broker.internal_message_broadcast("a/x", b"1")
        await peer.expect(publish("a/x", b"1"))
        rights.withdraw("receive", "a/#")
        await broker.internal_message_broadcast("a/x", b"2")
        await broker.internal_message_broadcast("end", b"")
        await peer.expect(publish("end", b""))
        await peer.close()


@kinds
async def test_retained_messages(kind: str, tmp_path: Path) -> None:
    async with rights_of(kind, tmp_path) as (rights, broker):
        await broker.retain_message(None, "a/kept", b"1", 0)
        peer = await Peer.login(broker, "c", **BOB)
        peer.send(subscribe(1, ("a/#", 0)))
        await peer.expect(suback(1, 0) + publish("a/kept", b"1", retain=True))
        rights.withdraw("receive", "a/#")
        peer.send(subscribe(2, ("a/#", 0), ("end", 0)))
        await peer.expect(suback(2, 0, 0))
        await broker.internal_message_broadcast("end", b"")
        await peer.expect(publish("end", b""))
        await peer.close()


@kinds
async def test_subscriptions_that_are_kept_for_a_client(kind: str, tmp_path: Path) -> None:
    async with rights_of(kind, tmp_path) as (rights, broker):
        peer = await Peer.login(broker, "c", clean=False, **BOB)
        peer.send(subscribe(1, ("a/x", 1), ("end", 1)))
        await peer.expect(suback(1, 1, 1))
        peer.send(DISCONNECT)
        await peer.close()
        rights.withdraw("receive", "a/#")
        await broker.internal_message_broadcast("a/x", b"while away", 1)
        await broker.internal_message_broadcast("end", b"", 1)
        back = await Peer.open(broker)
        back.send(connect("c", clean=False, **BOB))
        await back.expect(b"\x20\x02\x01\x00")
        assert (await back.packet())[4:7] == b"end"
        await back.close()


@kinds
async def test_shared_subscriptions(kind: str, tmp_path: Path) -> None:
    async with rights_of(kind, tmp_path) as (rights, broker):
        peer = await Peer.login(broker, "c", **BOB)
        peer.send(subscribe(1, ("$share/g/a/x", 0), ("end", 0)))
        await peer.expect(suback(1, 0, 0))
        await broker.internal_message_broadcast("a/x", b"1")
        await peer.expect(publish("a/x", b"1"))
        rights.withdraw("receive", "a/#")
        await broker.internal_message_broadcast("a/x", b"2")
        await broker.internal_message_broadcast("end", b"")
        await peer.expect(publish("end", b""))
        if kind != "file":
            rights.withdraw("subscribe", "a/#")
            peer.send(subscribe(2, ("$share/g/a/y", 0)))
            await peer.expect(suback(2, 0x80))
        await peer.close()


@kinds
async def test_wills(kind: str, tmp_path: Path) -> None:
    async with rights_of(kind, tmp_path) as (rights, broker):
        messages = broker.subscribe("will/#")
        peers = [
            await Peer.login(broker, f"c{n}", will=(f"will/{n}", b"gone"), **BOB) for n in (1, 2)
        ]
        rights.withdraw("publish", "will/1")
        for peer in peers:
            await peer.close()
        assert (await anext(messages)).topic == "will/2"
