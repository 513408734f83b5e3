"""Our client with our broker, mosquitto, NATS and RabbitMQ."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from typing import Any

import pytest
from support.brokers import KINDS, MissingBrokerError, RunningBroker
from support.client import HAS_V5, LIMIT, connected, make_client
from support.endpoints import Trust

from amqtt._client.endpoint import parse_uri
from amqtt.client import MQTTClient
from amqtt.errors import ClientError

VERSIONS = {3: "3.1", 4: "3.1.1", 5: "5.0"}
CASES = [(name, version) for name, kind in KINDS.items() for version in kind.versions]
TRANSPORTS = [(name, transport) for name, kind in KINDS.items() for transport in kind.transports]


def of_each(cases: list[tuple[str, int]]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(
        ("running", "version"),
        cases,
        ids=[f"{name}-{VERSIONS[version]}" for name, version in cases],
        indirect=["running"],
    )


every_case = of_each(CASES)


@pytest.fixture(scope="module")
def brokers(trust: Trust | None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Give a function that starts each broker when it is first asked for."""
    made: dict[str, RunningBroker] = {}

    def get(name: str) -> RunningBroker:
        if name not in made:
            assert trust is not None
            made[name] = RunningBroker(name, tmp_path_factory.mktemp(name), trust)
        return made[name]

    yield get
    for broker in made.values():
        broker.stop()


@pytest.fixture
def running(request: pytest.FixtureRequest, brokers: Any) -> RunningBroker:
    try:
        broker: RunningBroker = brokers(request.param)
    except MissingBrokerError as error:
        if os.environ.get("CI"):
            pytest.fail(f"not tested: {error}")
        pytest.skip(f"not tested: {error}")
    return broker


def client_of(version: int, client_id: str | None = None, **config: Any) -> MQTTClient:
    if version == 3:
        if not HAS_V5:
            pytest.skip("the client has no MQTT 3.1 in this version")
        config["protocol_version"] = 3
    return make_client(version, client_id, **config)


async def next_message(client: MQTTClient) -> Any:
    message = await client.deliver_message(LIMIT)
    assert message is not None
    return message


@pytest.mark.parametrize(
    ("running", "transport"),
    TRANSPORTS,
    ids=[f"{name}-{transport}" for name, transport in TRANSPORTS],
    indirect=["running"],
)
async def test_transport(running: RunningBroker, transport: str, unique: str) -> None:
    uri = running.uri(transport)
    try:
        parse_uri(uri)
    except ClientError:
        pytest.skip(f"the client has no scheme {transport} in this version")
    cafile = running.cafile if transport in ("mqtts", "wss") else None
    async with connected(make_client(), uri, cafile=cafile) as client:
        await client.subscribe([(unique, 1)])
        payloads = [b"", b"x", b"y" * 300_000]
        for payload in payloads:
            await asyncio.wait_for(client.publish(unique, payload, qos=1), LIMIT)
        assert [bytes((await next_message(client)).data) for _ in payloads] == payloads


@every_case
async def test_every_qos(running: RunningBroker, version: int, unique: str) -> None:
    levels = range(running.kind.max_qos + 1)
    async with connected(client_of(version), running.uri()) as client:
        granted = await client.subscribe([(f"{unique}/{qos}/#", qos) for qos in levels])
        assert granted == list(levels)
        for qos in levels:
            published = await asyncio.wait_for(client.publish(f"{unique}/{qos}", b"x", qos), LIMIT)
            assert (published.packet_id is None) is (qos == 0)
            message = await next_message(client)
            assert (message.topic, message.qos, message.data) == (f"{unique}/{qos}", qos, b"x")
        await client.unsubscribe([f"{unique}/{qos}/#" for qos in levels])
        if running.kind.program == "nats-server":
            return  # it takes its time to forget a subscription, UNSUBACK or not
        for qos in levels:
            await asyncio.wait_for(client.publish(f"{unique}/{qos}", b"x", qos), LIMIT)
        await asyncio.wait_for(client.ping(), LIMIT)
        with pytest.raises(asyncio.TimeoutError):
            await client.deliver_message(0)


@every_case
async def test_many_at_a_time_in_order(running: RunningBroker, version: int, unique: str) -> None:
    qos, count = running.kind.max_qos, 500
    async with connected(client_of(version), running.uri()) as client:
        await client.subscribe([(f"{unique}/{level}", qos) for level in (1, qos)])
        publishing = [
            client.publish(f"{unique}/{level}", str(number).encode(), level)
            for number in range(count)
            for level in {1, qos}
        ]
        await asyncio.wait_for(asyncio.gather(*publishing), LIMIT)
        seen: dict[str, list[int]] = {f"{unique}/{level}": [] for level in {1, qos}}
        for _ in publishing:
            message = await next_message(client)
            seen[message.topic].append(int(message.data))
        assert all(numbers == list(range(count)) for numbers in seen.values())


@every_case
async def test_retained(running: RunningBroker, version: int, unique: str) -> None:
    async with connected(client_of(version), running.uri()) as client:
        await asyncio.wait_for(client.publish(unique, b"kept", 1, retain=True), LIMIT)
        await client.subscribe([(unique, 1)])
        message = await next_message(client)
        assert (message.data, message.retain) == (b"kept", True)
        await asyncio.wait_for(client.publish(unique, b"", 1, retain=True), LIMIT)
        assert (await next_message(client)).data == b""
    async with connected(client_of(version), running.uri()) as client:
        await client.subscribe([(unique, 1)])
        await client.publish(unique, b"new", 1)
        assert (await next_message(client)).data == b"new"


@every_case
async def test_will(running: RunningBroker, version: int, unique: str) -> None:
    will = {"topic": unique, "message": "gone", "qos": 1}
    async with connected(client_of(version), running.uri()) as watcher:
        await watcher.subscribe([(unique, 1)])
        lost = client_of(version, will=will)
        await lost.connect(running.uri())
        assert lost._handler is not None
        await lost._handler.stop()
        message = await next_message(watcher)
        assert (message.data, message.qos) == (b"gone", 1)
        await lost.disconnect()


@every_case
async def test_session_is_kept(running: RunningBroker, version: int, unique: str) -> None:
    more: dict[str, Any] = {"cleansession": False}
    if version == 5:
        more["connect_properties"] = {"session_expiry_interval": 600}
    client = client_of(version, unique, **more)
    async with connected(client, running.uri()):
        assert client.session is not None
        assert client.session.parent == 0
        await client.subscribe([(unique, 1)])
    async with connected(client_of(version), running.uri()) as sender:
        await asyncio.wait_for(sender.publish(unique, b"meanwhile", 1), LIMIT)
    async with connected(client, running.uri()):
        if version > 3:  # CONNACK of 3.1 cannot tell
            assert client.session is not None
            assert client.session.parent == 1
        assert (await next_message(client)).data == b"meanwhile"
    async with connected(client, running.uri(), cleansession=True):
        pass


@of_each([each for each in CASES if each != ("rabbitmq", 3)])  # twenty seconds for each start
async def test_restarted_broker(running: RunningBroker, version: int, unique: str) -> None:
    """The client finds the broker again and subscribes; a waiting publish goes on."""
    subscribed = asyncio.Event()
    client = client_of(version, unique, auto_reconnect=True, reconnect_retries=-1)
    client.config.reconnect_max_interval = 1

    async def subscribe(_session_present: bool) -> None:
        await client.subscribe([(unique, 1)])
        subscribed.set()

    client.reconnected = subscribe
    async with connected(client, running.uri()):
        await asyncio.get_running_loop().run_in_executor(None, running.stop)
        await asyncio.get_running_loop().run_in_executor(None, running.start)
        await asyncio.wait_for(subscribed.wait(), 2 * LIMIT)
        await asyncio.wait_for(client.publish(unique, b"again", 1), LIMIT)
        assert (await next_message(client)).data == b"again"


@pytest.mark.skipif(not HAS_V5, reason="the client has no MQTT 5.0 in this version")
@pytest.mark.parametrize(
    "running", [name for name, kind in KINDS.items() if 5 in kind.versions], indirect=True
)
class TestVersion5:
    async def test_properties(self, running: RunningBroker, unique: str) -> None:
        properties: dict[str, Any] = {
            "content_type": "text/plain",
            "correlation_data": b"\x00\xff",
            "payload_format_indicator": 1,
            "response_topic": "answer",
            "user_property": [("k", "v"), ("k", "w")],
        }
        async with connected(make_client(5), running.uri()) as client:
            await client.subscribe([(unique, 1)], {"subscription_identifier": 7})  # type: ignore[call-arg]
            await client.publish(unique, b"x", 1, properties=properties)  # type: ignore[call-arg]
            message = await next_message(client)
            assert message.properties == {**properties, "subscription_identifier": [7]}

    async def test_request(self, running: RunningBroker, unique: str) -> None:
        async with (
            connected(make_client(5), running.uri()) as asking,
            connected(make_client(5), running.uri()) as answering,
        ):
            await answering.subscribe([(unique, 1)])
            asked = asyncio.ensure_future(asking.request(unique, b"?", timeout=LIMIT))  # type: ignore[attr-defined]
            request = await next_message(answering)
            found = request.properties
            await answering.publish(  # type: ignore[call-arg]
                found["response_topic"],
                b"!",
                1,
                properties={"correlation_data": found["correlation_data"]},
            )
            assert (await asked).data == b"!"
