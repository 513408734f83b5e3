"""MQTTClient with MQTT 5.0, against our broker and against scripted ones."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from support.serving import serving

from amqtt.client import MQTTClient, Subscription
from amqtt.client_authentication import ClientAuthentication, ScramAuthentication
from amqtt.errors import ClientError, ConnectError, MQTTError, PublishError
from amqtt.plugins.scram import make_verifier

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

LIMIT = 10.0
ANYONE: dict[str, Any] = {"plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {}}}
CONNACK = b"\x20\x03\x00\x00\x00"


def client(uri: str, client_id: str | None = None, **config: Any) -> MQTTClient:
    return MQTTClient(
        client_id,
        {
            "auto_reconnect": False,
            "protocol_version": 5,
            "connection": {"uri": uri},
            **config,
        },
    )


@pytest.fixture
async def uri() -> AsyncIterator[str]:
    async with serving({"type": "tcp"}, **ANYONE) as there:
        yield f"mqtt://{there.host}:{there.port}"


@asynccontextmanager
async def scripted(
    script: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> AsyncIterator[str]:
    """Serve each connection by a script, after its CONNECT was read."""
    ended = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await packet(reader)
            await script(reader, writer)
        finally:
            writer.close()
            await writer.wait_closed()
            ended.set()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield f"mqtt://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        await asyncio.wait_for(ended.wait(), LIMIT)


async def packet(reader: asyncio.StreamReader) -> bytes:
    first = await asyncio.wait_for(reader.readexactly(2), LIMIT)
    assert first[1] < 128, "the scripts know short packets only"
    return first + await reader.readexactly(first[1])


# -- properties


async def test_properties_of_a_message_travel(uri: str) -> None:
    properties = {
        "payload_format_indicator": 1,
        "message_expiry_interval": 100,
        "content_type": "text/plain",
        "response_topic": "answers",
        "correlation_data": b"\x00\x01",
        "user_property": [("a", "1"), ("a", "2")],
    }
    async with client(uri) as one:
        await one.subscribe([("t", 1)], {"subscription_identifier": 7})
        for _ in range(3):  # the second and third with an alias
            sent = await one.publish("t", b"x", qos=1, properties=properties)
            assert sent.reason_code == 0
            message = await one.deliver_message(LIMIT)
            assert message is not None
            assert message.topic == "t"
            assert message.properties == {**properties, "subscription_identifier": [7]}
            assert message.publish_packet.properties == message.properties


@pytest.mark.parametrize(
    "properties",
    [
        {"unknown": 1},
        {"content_type": 1},
        {"content_type": "a\0b"},
        {"payload_format_indicator": 2},
        {"response_topic": "a/#"},
        {"server_keep_alive": 1},
        # 5.0:MQTT-3.3.4-6@client
        {"subscription_identifier": 1},
        {"topic_alias": 1},
    ],
)
async def test_wrong_properties_are_refused(uri: str, properties: dict[str, Any]) -> None:
    async with client(uri) as one:
        for qos in (0, 1):
            with pytest.raises(ClientError):
                await one.publish("t", b"", qos, properties=properties)
        await one.publish("t", b"", 1)  # the connection goes on


async def test_what_needs_5_0_says_so(uri: str) -> None:
    async with client(uri, protocol_version=4) as old:
        for call in (
            old.publish("t", b"", properties={"content_type": "x"}),
            old.subscribe([Subscription("t", no_local=True)]),
            old.subscribe([("t", 0)], {"subscription_identifier": 1}),
            old.unsubscribe(["t"], {"user_property": [("a", "b")]}),
            old.request("t", b""),
            old.disconnect(4),
        ):
            with pytest.raises(ClientError, match="protocol_version 5"):
                await call
    with pytest.raises(ValueError, match="connect_properties: needs protocol_version 5"):
        MQTTClient(config={"connect_properties": {"receive_maximum": 1}})


async def test_options_of_subscriptions(uri: str) -> None:
    async with client(uri) as one:
        await one.publish("kept", b"r", qos=1, retain=True)
        codes = await one.subscribe(
            [
                Subscription("own", 1, no_local=True),
                Subscription("kept", 1, retain_handling=2),
                Subscription("kept/as/it/is", 2, retain_as_published=True),
            ]
        )
        assert codes == [1, 1, 2]
        await one.publish("own", b"not for me", qos=1)
        await one.publish("kept/as/it/is", b"x", qos=1, retain=True)
        message = await one.deliver_message(LIMIT)
        assert message is not None
        assert (message.data, message.retain) == (b"x", True)
        assert await one.unsubscribe(["own", "never"]) == [0, 0x11]


async def test_assigned_identifier_and_expiry(uri: str) -> None:
    one = client(uri, "", cleansession=False, connect_properties={"session_expiry_interval": 60})
    await one.connect()
    assert one.client_id == one.connack_properties["assigned_client_identifier"]
    await one.subscribe([("t", 1)])
    await one.disconnect()
    await one.connect()
    assert one.session is not None
    assert one.session.parent == 1
    await one.disconnect(0, {"session_expiry_interval": 0})
    await one.connect()
    assert one.session.parent == 0
    await one.disconnect()
    plain = client(uri)
    await plain.connect()
    with pytest.raises(ClientError, match="session_expiry_interval"):
        await plain.disconnect(0, {"session_expiry_interval": 5})
    for code in (0x87, 0x8E, 1):  # 5.0:MQTT-3.14.2-1@client
        with pytest.raises(ClientError, match="Reason code"):
            await plain.disconnect(code)
    await plain.disconnect()


async def test_disconnect_with_will(uri: str) -> None:
    async with client(uri) as watching:
        await watching.subscribe([("will", 1)])
        will = {"topic": "will", "message": "bye", "properties": {"content_type": "x"}}
        leaving = client(uri, will=will)
        await leaving.connect()
        await leaving.disconnect(4)
        message = await watching.deliver_message(LIMIT)
        assert message is not None
        assert (message.data, message.properties) == (b"bye", {"content_type": "x"})


# -- requests


async def test_requests(uri: str) -> None:
    async with client(uri) as asking, client(uri) as answering:
        await answering.subscribe([("double", 1)])

        async def answer() -> None:
            async for message in answering.messages("double"):
                assert message.properties is not None
                await answering.publish(
                    message.properties["response_topic"],
                    message.data * 2,
                    qos=1,
                    properties={"correlation_data": message.properties["correlation_data"]},
                )

        task = asyncio.create_task(answer())
        answers = await asyncio.gather(
            *(asking.request("double", b"%d" % i, timeout=LIMIT) for i in range(50))
        )
        assert [each.data for each in answers] == [b"%d" % i * 2 for i in range(50)]
        with pytest.raises(asyncio.TimeoutError):
            await asking.request("nobody", b"", timeout=0.1)
        with pytest.raises(asyncio.TimeoutError):  # responses are not for deliver_message()
            await asking.deliver_message(0)
        unanswered = asyncio.create_task(asking.request("nobody", b""))
        await asking.ping()
        await asking.disconnect()
        with pytest.raises(ClientError):
            await unanswered
        task.cancel()
        await asyncio.wait((task,))


# -- what servers refuse


@pytest.mark.parametrize(("qos", "answer"), [(1, 0x40), (2, 0x50)])
async def test_a_refused_message(qos: int, answer: int) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(CONNACK)
        await packet(reader)
        reason = b"\x1f\x00\x05no..."
        writer.write(bytes([answer, 4 + len(reason), 0, 1, 0x97, len(reason)]) + reason)
        await packet(reader)

    async with scripted(script) as uri, client(uri) as one:
        with pytest.raises(PublishError, match=r"0x97: no\.\.\.") as refused:
            await one.publish("t", b"", qos)
        assert refused.value.reason_code == 0x97
        assert refused.value.reason_string == "no..."


async def test_a_refused_connect_names_another_server() -> None:
    async def script(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        reference = b"\x1c\x00\x05there"
        writer.write(bytes([0x20, 3 + len(reference), 0, 0x9D, len(reference)]) + reference)

    async with scripted(script) as uri:
        one = client(uri, auto_reconnect=True)
        with pytest.raises(ConnectError) as refused:
            await one.connect()
    assert refused.value.return_code == 0x9D
    assert refused.value.server_reference == "there"


async def test_disconnect_of_the_server_reaches_who_waits() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(CONNACK)
        await packet(reader)
        writer.write(b"\xe0\x0a\x8b\x08\x1f\x00\x05ends.")

    async with scripted(script) as uri:
        one = client(uri)
        await one.connect()
        delivery = asyncio.create_task(one.deliver_message())
        stream = one.messages("a")
        iteration = asyncio.create_task(anext(stream))
        with pytest.raises(ClientError, match=r"reason code 139: ends\."):
            await one.publish("t", b"", 1)
        assert await delivery is None
        with pytest.raises(ClientError, match=r"reason code 139: ends\."):
            await iteration
        assert one.session is not None
        assert one.session.disconnect_reason == 0x8B
        assert one.disconnect_properties == {"reason_string": "ends."}
        await one.disconnect()


async def test_limits_of_the_server() -> None:
    """What CONNACK rules out is refused here, and not sent.

    5.0:MQTT-3.2.2-11@client 5.0:MQTT-3.2.2-14@client 5.0:MQTT-3.2.2-15@client
    """

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        properties = b"\x24\x01\x25\x00\x27\x00\x00\x00\x20"
        writer.write(bytes([0x20, 3 + len(properties), 0, 0, len(properties)]) + properties)
        sent = await packet(reader)
        assert sent[0] == 0x32
        writer.write(b"\x40\x02" + sent[5:7])
        assert (await packet(reader))[0] == 0xE0

    async with scripted(script) as uri, client(uri) as one:
        with pytest.raises(ClientError, match="QoS"):
            await one.publish("t", b"", 2)
        for qos in (0, 1):
            with pytest.raises(ClientError, match="retained"):
                await one.publish("t", b"", qos, retain=True)
            with pytest.raises(ClientError, match="Maximum Packet Size"):
                await one.publish("t", bytes(30), qos)
            with pytest.raises(ClientError, match="Maximum Packet Size"):
                await one.publish("t", b"", qos, properties={"content_type": "x" * 30})
        with pytest.raises(ClientError, match="Maximum Packet Size"):
            await one.subscribe([("f" * 40, 0)])
        await one.publish("t", b"fits", 1)


async def test_what_no_packet_can_hold_is_refused(uri: str) -> None:
    """Remaining Length counts 268,435,455 bytes, text and data 65,535."""
    too_large = bytes(268_435_450)  # with topic and lengths
    async with client(uri) as five, client(uri, protocol_version=4) as three:
        for one in (five, three):
            for qos in (0, 1, 2):
                with pytest.raises(ClientError, match="too large for an MQTT packet"):
                    await one.publish("topic", too_large, qos)
            with pytest.raises(MQTTError, match="longer than 65,535 bytes"):
                await one.publish("t" * 65_536, b"")
            await one.publish("t", b"", 1)  # the connection goes on
        with pytest.raises(ClientError, match="65,535 bytes"):
            await five.publish("t", b"", properties={"correlation_data": bytes(65_536)})


# -- enhanced authentication


@asynccontextmanager
async def scram_broker(tmp_path: Path) -> AsyncIterator[str]:
    users = tmp_path / "users"
    users.write_text(f"me:{make_verifier('secret')}\n")
    plugin = {"amqtt.plugins.scram.ScramAuthPlugin": {"password_file": str(users)}}
    async with serving({"type": "tcp"}, plugins=plugin) as there:
        yield f"mqtt://{there.host}:{there.port}"


async def test_scram(tmp_path: Path) -> None:
    """Also again on the connection.

    5.0:MQTT-4.12.0-3@client 5.0:MQTT-4.12.1-1@client 5.0:MQTT-3.15.2-1@client
    """
    async with scram_broker(tmp_path) as uri:
        one = client(uri)
        one.authentication = ScramAuthentication("me", "secret")
        async with one:
            await one.reauthenticate()
            await one.reauthenticate()
            await one.publish("t", b"", 1)
        await one.connect()
        await one.disconnect()
        wrong = client(uri)
        wrong.authentication = ScramAuthentication("me", "guess")
        with pytest.raises(ConnectError) as refused:
            await wrong.connect()
        assert refused.value.return_code == 0x87
        forgetful = Forgetful("me", "secret")
        again = client(uri)
        again.authentication = forgetful
        async with again:
            forgetful.forget()
            with pytest.raises(ConnectError, match="again") as refused:
                await again.reauthenticate()
            assert refused.value.return_code == 0x87


class Forgetful(ScramAuthentication):
    """Know the password until it is forgotten."""

    def forget(self) -> None:
        self._new_exchange = ScramAuthentication("me", "guess")._new_exchange


class Doubting(ClientAuthentication):
    """Find something wrong with what the server says."""

    method = "doubt"

    def start(self) -> None:
        return None

    def respond(self, data: bytes) -> bytes:
        msg = f"never {data!r}"
        raise ValueError(msg)


async def test_a_server_that_is_not_trusted() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"\xf0\x0e\x18\x0c\x15\x00\x05doubt\x16\x00\x01x")
        assert await reader.read() == b""

    async with scripted(script) as uri:
        one = client(uri)
        one.authentication = Doubting()
        with pytest.raises(ConnectError, match="never b'x'") as refused:
            await one.connect()
        assert isinstance(refused.value.__cause__, ValueError)
