"""What a client keeps when applications are slow, cancel, or lose the connection."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from support.serving import Serving, serving

from amqtt.client import MQTTClient
from amqtt.errors import ClientError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

LIMIT = 10.0
ANYONE: dict[str, Any] = {"plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {}}}


@pytest.fixture
async def there() -> AsyncIterator[Serving]:
    async with serving({"type": "tcp"}, **ANYONE) as running:
        yield running


def client(there: Serving, client_id: str | None = None, **config: Any) -> MQTTClient:
    uri = f"mqtt://{there.host}:{there.port}"
    return MQTTClient(client_id, {"connection": {"uri": uri}, **config})


async def payloads(one: MQTTClient, count: int) -> list[bytes]:
    found = []
    for _ in range(count):
        message = await one.deliver_message(LIMIT)
        assert message is not None
        found.append(bytes(message.data))
    return found


async def lose(one: MQTTClient) -> None:
    """End the connection below the client, and let it find out."""
    assert one._handler is not None
    await one._handler.stop()


# -- the receive buffer


async def test_a_full_buffer_makes_the_broker_wait(there: Serving) -> None:
    """Nothing is lost, and no more than a read's worth is taken beyond the bound."""
    count = 3000
    async with (
        client(there, receive_buffer_messages=10) as slow,
        client(there) as quick,
    ):
        await slow.subscribe([("t", 1)])
        for number in range(count):
            await quick.publish("t", b"%d" % number + bytes(2000), qos=0)
        await quick.ping()
        assert slow.session is not None
        assert slow.session.delivered_message_queue.qsize() < 1000
        found = await payloads(slow, count)
        assert found == [b"%d" % number + bytes(2000) for number in range(count)]


async def test_bytes_bound_the_buffer_too(there: Serving) -> None:
    count = 200
    async with client(there, receive_buffer_bytes=100_000) as slow, client(there) as quick:
        await slow.subscribe([("t", 0)])
        for number in range(count):
            await quick.publish("t", b"%d" % number + bytes(20_000), qos=1)
        assert slow.session is not None
        assert slow.session.delivered_message_queue.qsize() < 50
        assert await payloads(slow, count) == [b"%d" % n + bytes(20_000) for n in range(count)]


async def test_topics_and_properties_count_for_the_buffer(there: Serving) -> None:
    count = 200
    async with (
        client(there, receive_buffer_bytes=100_000, protocol_version=5) as slow,
        client(there, protocol_version=5) as quick,
    ):
        await slow.subscribe([("#", 0)])
        for number in range(count):
            await quick.publish(f"{number}/".ljust(10_000, "t"), b"", qos=1)
            await quick.publish("t", b"", qos=1, properties={"content_type": "c" * 10_000})
        assert slow.session is not None
        assert slow.session.delivered_message_queue.qsize() < 100
        assert await payloads(slow, 2 * count) == [b""] * (2 * count)


async def test_dropping_the_oldest(there: Serving) -> None:
    config = {"receive_buffer_messages": 10, "receive_policy": "drop_oldest"}
    async with client(there, **config) as slow, client(there) as quick:
        await slow.subscribe([("t", 1), ("end", 1), ("s", 1)])
        stream = slow.messages("s")
        for number in range(100):
            await quick.publish("t", b"%d" % number, qos=1)
            await quick.publish("s", b"%d" % number, qos=1)
        async with slow.messages("end") as end:
            await quick.publish("end", b"", qos=1)
            await asyncio.wait_for(anext(end), LIMIT)
        assert slow.dropped_messages == 180
        assert await payloads(slow, 10) == [b"%d" % number for number in range(90, 100)]
        assert (await anext(stream)).data == b"90"


# -- iterations


async def test_iterations_claim_what_matches(there: Serving) -> None:
    async with client(there) as one:
        await one.subscribe([("#", 1), ("$SYS/x", 1)])
        everything, some = one.messages("#"), one.messages("a/+", "b/#")
        for topic in ("a/1", "c", "b", "b/2/3", "a/1/2"):
            await one.publish(topic, topic.encode(), qos=1)
        assert [(await anext(some)).topic for _ in range(3)] == ["a/1", "b", "b/2/3"]
        assert [(await anext(everything)).topic for _ in range(5)] == [
            "a/1", "c", "b", "b/2/3", "a/1/2",
        ]  # fmt: skip
        await everything.aclose()
        await one.publish("c", b"unclaimed", qos=1)
        assert await payloads(one, 1) == [b"unclaimed"]
        waiting = asyncio.ensure_future(anext(some))
        waiting_for_rest = asyncio.ensure_future(anext(one.messages()))
        await one.publish("c", b"rest", qos=1)
        assert (await asyncio.wait_for(waiting_for_rest, LIMIT)).data == b"rest"
        await one.disconnect()
        with pytest.raises(StopAsyncIteration):
            await waiting
        with pytest.raises(StopAsyncIteration):
            await anext(one.messages())


async def test_an_iteration_that_is_gone_claims_nothing(there: Serving) -> None:
    async with client(there) as one:
        await one.subscribe([("t", 1)])
        await one.publish("t", b"1", qos=1)
        await payloads(one, 1)
        stream = one.messages("t")
        await one.publish("t", b"2", qos=1)
        assert (await anext(stream)).data == b"2"
        cancelled = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0)
        cancelled.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cancelled
        await one.publish("t", b"3", qos=1)
        assert (await anext(stream)).data == b"3"  # not lost by the cancellation
        del stream, cancelled
        await one.publish("t", b"4", qos=1)
        assert await payloads(one, 1) == [b"4"]


# -- manual acknowledgement


async def test_what_is_not_acknowledged_comes_again(there: Serving) -> None:
    """5.0:MQTT-4.6.0-2@client 5.0:MQTT-4.6.0-3@client: they leave in the order of arrival."""
    config: dict[str, Any] = {
        "manual_acknowledgement": True,
        "cleansession": False,
        "protocol_version": 5,
        "connect_properties": {"session_expiry_interval": 60, "receive_maximum": 3},
    }
    async with client(there) as quick:
        one = client(there, "one", **config)
        await one.connect()
        await one.subscribe([("t", 2)])
        for number in range(5):
            await quick.publish("t", b"%d" % number, qos=1 + number % 2)
        first = [await one.deliver_message(LIMIT) for _ in range(3)]
        with pytest.raises(asyncio.TimeoutError):  # Receive Maximum
            await one.deliver_message(0.2)
        assert [each.data for each in first if each] == [b"0", b"1", b"2"]
        assert first[0] is not None
        assert first[1] is not None
        one.acknowledge(first[1])  # waits for the first
        one.acknowledge(first[0])
        assert await payloads(one, 2) == [b"3", b"4"]
        await lose(one)
        again = await payloads(one, 3)
        assert again == [b"2", b"3", b"4"]
        one.acknowledge(first[0])  # of the old connection: no effect
        await one.disconnect()
    automatic = client(there)
    async with automatic:
        with pytest.raises(ClientError, match="manual_acknowledgement"):
            automatic.acknowledge(first[0])


# -- while the connection is lost


async def test_messages_are_put_aside(there: Serving) -> None:
    config: dict[str, Any] = {
        "offline_queue_messages": 5,
        "offline_queue_bytes": 100,
        "reconnect_retries": -1,
        "reconnect_max_interval": 1,
    }
    port = there.port
    async with client(there) as watching, client(there, **config) as one:
        await watching.subscribe([("t", 2)])
        await one.publish("t", b"before", qos=1)
        one.config.connection.uri = "unused"
        assert one.session is not None
        one.session.broker_uri = "mqtt://127.0.0.1:1"  # where nobody is
        await lose(one)
        while one._connected_state.is_set():
            await asyncio.sleep(0)
        for number in range(5):
            sent = await one.publish("t", b"%d" % number, qos=number % 3)
            assert sent.packet_id is None
        assert one.queued_publishes == 5
        with pytest.raises(ClientError, match="full"):
            await one.publish("t", b"too many", qos=1)
        one.session.broker_uri = f"mqtt://127.0.0.1:{port}"
        assert await payloads(watching, 6) == [b"before", b"0", b"1", b"2", b"3", b"4"]
        with pytest.raises(asyncio.TimeoutError):
            await watching.deliver_message(0.1)
        assert one.queued_publishes == 0
        await one.publish("t", b"after", qos=1)
        assert await payloads(watching, 1) == [b"after"]


async def test_messages_are_put_aside_before_the_first_connection(there: Serving) -> None:
    """They are sent when it is there, and later ones do not queue up behind them."""
    one = client(there, offline_queue_messages=5, reconnect_retries=-1, reconnect_max_interval=1)
    async with client(there) as watching:
        await watching.subscribe([("t", 1)])
        connecting = asyncio.create_task(one.connect("mqtt://127.0.0.1:1"))  # where nobody is
        await asyncio.sleep(0)
        for payload in (b"0", b"1"):
            sent = await one.publish("t", payload, qos=1)
            assert sent.packet_id is None
        assert one.session is not None
        one.session.broker_uri = f"mqtt://127.0.0.1:{there.port}"
        await asyncio.wait_for(connecting, LIMIT)
        assert await payloads(watching, 2) == [b"0", b"1"]
        for payload in (b"2", b"3", b"4"):
            await one.publish("t", payload, qos=1)
        assert await payloads(watching, 3) == [b"2", b"3", b"4"]
        await one.disconnect()


async def test_reconnecting_by_the_program(there: Serving) -> None:
    """It subscribes again, as the client does by itself."""
    async with client(there, resubscribe=True, auto_reconnect=False) as one:
        await one.subscribe([("t", 1)])
        await lose(one)
        while one.end_of_messages() is None:
            await asyncio.sleep(0)
        await one.reconnect()
        await one.publish("t", b"again", qos=1)
        assert await payloads(one, 1) == [b"again"]


async def test_subscribing_again(there: Serving) -> None:
    """Only where it is asked for, and only when the broker has lost the session."""
    async with client(there, resubscribe=True) as one, client(there) as other:
        await one.subscribe([("a", 1), ("b", 0), ("gone", 1)])
        await one.unsubscribe(["gone"])
        told = asyncio.Event()

        async def reconnected(present: bool) -> None:
            assert not present
            told.set()

        one.reconnected = reconnected
        await lose(one)
        await asyncio.wait_for(told.wait(), LIMIT)
        for topic in ("gone", "a", "b"):
            await other.publish(topic, topic.encode(), qos=1)
        assert await payloads(one, 2) == [b"a", b"b"]


async def test_a_publish_survives_many_losses(there: Serving) -> None:
    """Nothing is lost, nothing of QoS 2 comes twice, and the order of each QoS is kept."""
    config: dict[str, Any] = {
        "cleansession": False,
        "protocol_version": 5,
        "connect_properties": {"session_expiry_interval": 60},
        "reconnect_retries": -1,
        "reconnect_max_interval": 1,
    }
    count = 300
    async with client(there) as watching:
        await watching.subscribe([("t/#", 2)])
        one = client(there, "losing", **config)
        await one.connect()
        pending = [
            asyncio.ensure_future(one.publish(f"t/{1 + n % 2}", b"%d" % n, qos=1 + n % 2))
            for n in range(count)
        ]
        for _ in range(10):
            await lose(one)
            while not one._connected_state.is_set():
                await asyncio.sleep(0.005)
        await asyncio.wait_for(asyncio.gather(*pending), 3 * LIMIT)
        await one.disconnect()
        await watching.ping()
        found: dict[str, list[int]] = {"t/1": [], "t/2": []}
        async with watching.messages("end") as end:
            await watching.subscribe([("end", 1)])
            await watching.publish("end", b"", qos=1)
            await asyncio.wait_for(anext(end), LIMIT)
        assert watching.session is not None
        while not watching.session.delivered_message_queue.empty():
            message = await watching.deliver_message(0)
            assert message is not None
            found[message.topic].append(int(message.data))
        assert found["t/2"] == list(range(1, count, 2))
        assert list(dict.fromkeys(found["t/1"])) == list(range(0, count, 2))
