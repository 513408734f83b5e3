"""A broker whose clients an HTTP service decides on."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import pytest
from aiohttp import web
from support.auth_site import auth_site, never, says
from support.embedded import client_of, config_of, port_of

from amqtt.broker import Broker
from amqtt.client import ConnectError, MQTTClient

PLUGIN = "amqtt.contrib.http.HttpAuthTopicPlugin"


def broker_of(port: int, **options: Any) -> Broker:
    return Broker(config_of({PLUGIN: {"host": "127.0.0.1", "port": port, **options}}))


async def is_admitted(broker: Broker, user: str, password: str = "secret") -> bool:
    client = MQTTClient(config={"auto_reconnect": False})
    try:
        await client.connect(f"mqtt://{user}:{password}@127.0.0.1:{port_of(broker)}")
    except ConnectError:
        return False
    await client.disconnect()
    return True


def by_rules(request: web.Request, fields: dict[str, Any]) -> web.Response:
    """Admit who knows the password; keep users below their own name."""
    if request.path == "/user":
        return web.json_response({"ok": fields["password"] == "secret"})
    return web.json_response({"ok": fields["topic"].startswith(f"{fields['username']}/")})


async def test_the_service_decides() -> None:
    async with auth_site(by_rules) as site, broker_of(site.port) as broker:
        assert await is_admitted(broker, "alice")
        assert not await is_admitted(broker, "alice", "guess")
        async with client_of(broker, "reader", user="alice") as reader:
            assert await reader.subscribe([("alice/#", 1), ("#", 1)]) == [1, 0x80]
            async with client_of(broker, "writer", user="bob") as writer:
                await writer.publish("alice/x", b"forbidden", qos=1)
            async with client_of(broker, "writer", user="alice") as writer:
                await writer.publish("alice/x", b"allowed", qos=1)
            message = await asyncio.wait_for(reader.deliver_message(), 10)
            assert message is not None
            assert message.data == b"allowed"


@pytest.mark.parametrize(("ttl", "questions"), [(10, 1), (0, 5)])
async def test_verdicts_are_remembered(ttl: int, questions: int) -> None:
    async with (
        auth_site(says(True)) as site,
        broker_of(site.port, verdict_ttl=ttl) as broker,
        client_of(broker, "writer", user="alice") as writer,
    ):
        for _ in range(5):
            await writer.publish("a", b"x", qos=1)
        assert [each.fields["acc"] for each in site.questions[1:]] == [2] * questions


async def test_a_refusal_for_want_of_an_answer_is_not_remembered() -> None:
    async with (
        auth_site(says(True)) as site,
        broker_of(site.port, timeout=0.05, failure_limit=100) as broker,
        client_of(broker, "reader", user="alice") as reader,
    ):
        site.answer = never()
        assert await reader.subscribe([("a", 1)]) == [0x80]
        site.answer = says(True)
        assert await reader.subscribe([("a", 1)]) == [1]


async def test_a_service_that_hangs_does_not_hold_up_those_that_are_connected() -> None:
    async with AsyncExitStack() as stack:
        site = await stack.enter_async_context(auth_site(says(True)))
        broker = await stack.enter_async_context(
            broker_of(site.port, timeout=0.2, failure_limit=3, failure_pause=60)
        )
        reader = await stack.enter_async_context(client_of(broker, "reader", user="alice"))
        writer = await stack.enter_async_context(client_of(broker, "writer", user="alice"))
        await reader.subscribe([("a", 0)])
        await writer.publish("a", b"0", qos=1)
        await reader.deliver_message()
        site.answer = never()
        logins = [asyncio.ensure_future(is_admitted(broker, "bob")) for _ in range(5)]
        while site.running == 0:
            await asyncio.sleep(0.005)
        await writer.publish("a", b"1", qos=1)
        message = await asyncio.wait_for(reader.deliver_message(), 10)
        assert message is not None
        assert message.data == b"1"
        assert await asyncio.gather(*logins) == [False] * 5
        asked = len(site.questions)
        # By now it counts as down: a refusal costs no request.
        assert not await is_admitted(broker, "bob")
        assert len(site.questions) == asked


@pytest.mark.parametrize("ending", ["/user", "/acl"])
async def test_a_service_that_dies_refuses_and_the_broker_goes_on(ending: str) -> None:
    async with AsyncExitStack() as stack:
        async with auth_site(says(True)) as site:
            broker = await stack.enter_async_context(broker_of(site.port, failure_pause=0.05))
            client = await stack.enter_async_context(client_of(broker, "c", user="alice"))
        port = site.port
        if ending == "/user":
            assert not await is_admitted(broker, "alice")
        else:
            assert await client.subscribe([("a", 0)]) == [0x80]
        async with auth_site(says(True), port=port):
            while not await is_admitted(broker, "alice"):
                await asyncio.sleep(0.02)
