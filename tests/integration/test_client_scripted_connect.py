"""Connecting to a broker that refuses, hangs up, stays silent or answers nonsense."""

from __future__ import annotations

import asyncio

import pytest
from support.client import LIMIT, connected, make_client
from support.scripted import (
    CONNACK,
    CONNECT,
    PUBLISH,
    V3,
    V5,
    ScriptedBroker,
    ScriptedPeer,
    connack,
)
from support.wire import packet, string

from amqtt.errors import ConnectError

every_version = pytest.mark.parametrize("version", [V3, V5], ids=["3.1.1", "5.0"])

HTTP = (
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: 11\r\n"
    b"Connection: close\r\n\r\nBad request"
)
REFUSED_V3 = [1, 2, 3, 4, 5]
REFUSED_V5 = [
    0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8A, 0x8C, 0x90, 0x95, 0x97, 0x99,
    0x9A, 0x9B, 0x9C, 0x9D, 0x9F,
]  # fmt: skip


async def fails_to_connect(broker: ScriptedBroker, version: int, **config: object) -> ConnectError:
    """Connect once and return the error; the client must be in order afterwards."""
    client = make_client(version, **config)
    with pytest.raises(ConnectError) as caught:
        await asyncio.wait_for(client.connect(broker.uri), LIMIT)
    assert client.session is not None
    assert not client.session.transitions.is_connected()
    await asyncio.wait_for(client.disconnect(), LIMIT)
    return caught.value


@pytest.mark.parametrize(
    ("version", "code"), [(V3, code) for code in REFUSED_V3] + [(V5, code) for code in REFUSED_V5]
)
async def test_refusal_tells_its_code(version: int, code: int) -> None:
    """3.1.1:MQTT-3.2.2-5@client"""

    async def script(peer: ScriptedPeer) -> None:
        await peer.expect(CONNECT)
        peer.send(connack(version, code))
        assert not await peer.expect_close()

    async with ScriptedBroker(script) as broker:
        assert (await fails_to_connect(broker, version)).return_code == code


async def test_refusal_tells_the_reason_and_another_server() -> None:
    async def script(peer: ScriptedPeer) -> None:
        await peer.expect(CONNECT)
        properties = b"\x1f" + string("moved house") + b"\x1c" + string("there:1884")
        peer.send(connack(V5, 0x9D, properties=properties))
        await peer.expect_close()

    async with ScriptedBroker(script) as broker:
        error = await fails_to_connect(broker, V5)
        assert error.return_code == 0x9D
        assert error.reason_string == "moved house"  # type: ignore[attr-defined]
        assert error.server_reference == "there:1884"  # type: ignore[attr-defined]
        assert "moved house" in str(error)


@every_version
@pytest.mark.parametrize("sent", [b"", b"\x20", b"\x20\x02\x00"], ids=["nothing", "1", "3 bytes"])
@pytest.mark.parametrize("how", ["close", "reset"])
async def test_hang_up_before_connack(sent: bytes, how: str, version: int) -> None:
    async def script(peer: ScriptedPeer) -> None:
        await peer.expect(CONNECT)
        peer.send(sent)
        if how == "reset":
            peer.reset()
        else:
            peer.close()

    async with ScriptedBroker(script) as broker:
        error = await fails_to_connect(broker, version)
        assert error.return_code is None
        assert broker.uri.removeprefix("mqtt://") in str(error)


@every_version
@pytest.mark.parametrize(
    "answer",
    [
        HTTP,
        b"\xd0\x00",  # PINGRESP
        b"\x21\x02\x00\x00",  # CONNACK with a flag in its fixed header
        b"\x20\x02\x02\x00",  # reserved bit of the acknowledge flags
        b"\x20\x01\x00",  # too short
        b"\x20\xff\xff\xff\xff\x01",  # no length
        b"\x15\x03\x01\x00\x02\x02\x50",  # TLS alert
    ],
    ids=["HTTP", "PINGRESP", "flags", "reserved", "short", "length", "TLS"],
)
async def test_nonsense_instead_of_connack(answer: bytes, version: int) -> None:
    async def script(peer: ScriptedPeer) -> None:
        await peer.expect(CONNECT)
        peer.send(answer)
        await peer.expect_close()

    async with ScriptedBroker(script) as broker:
        assert (await fails_to_connect(broker, version)).return_code is None


async def test_session_present_for_a_clean_session() -> None:
    """A client that has no session must not believe in one; MQTT 3.1.1 leaves it to the client.

    5.0:MQTT-3.2.2-4@client
    """

    async def script(peer: ScriptedPeer) -> None:
        await peer.login(V5, session_present=True)
        await peer.expect_close()

    async with ScriptedBroker(script) as broker:
        assert (await fails_to_connect(broker, V5)).return_code is None


@every_version
async def test_silence_ends_after_the_configured_time(version: int) -> None:
    async def script(peer: ScriptedPeer) -> None:
        await peer.expect(CONNECT)
        await peer.expect_close()

    async with ScriptedBroker(script) as broker:
        error = await fails_to_connect(broker, version, connection_timeout=1)
        assert "within 1 seconds" in str(error)


@every_version
async def test_cancelled_connect_closes_the_connection(version: int) -> None:
    reached = asyncio.Event()

    async def script(peer: ScriptedPeer) -> None:
        await peer.expect(CONNECT)
        reached.set()
        await peer.expect_close()

    async with ScriptedBroker(script) as broker:
        client = make_client(version)
        connecting = asyncio.ensure_future(client.connect(broker.uri))
        await asyncio.wait_for(reached.wait(), LIMIT)
        connecting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await connecting
        await client.disconnect()


@every_version
async def test_packet_together_with_connack(version: int) -> None:
    """What follows in the same segment is not lost."""

    async def script(peer: ScriptedPeer) -> None:
        await peer.expect(CONNECT)
        block = b"\x00" if version == V5 else b""
        peer.send(connack(version) + packet(PUBLISH, string("early") + block + b"x"))
        await peer.expect_close()

    async with ScriptedBroker(script) as broker, connected(make_client(version), broker.uri) as c:
        message = await c.deliver_message(LIMIT)
        assert message is not None
        assert message.topic == "early"


@every_version
async def test_retries_until_the_broker_accepts(version: int) -> None:
    """Server Unavailable passes; with `auto_reconnect` the first connect is repeated too."""

    async def refuse(peer: ScriptedPeer) -> None:
        await peer.expect(CONNECT)
        peer.send(packet(CONNACK, b"\x00\x88\x00" if version == V5 else b"\x00\x03"))
        await peer.expect_close()

    async def accept(peer: ScriptedPeer) -> None:
        await peer.login(version)
        await peer.expect_close()

    async with ScriptedBroker(refuse, accept) as broker:
        client = make_client(version, auto_reconnect=True)
        async with connected(client, broker.uri):
            assert len(broker.peers) == 2


@every_version
async def test_permanent_refusal_is_not_repeated(version: int) -> None:
    async def refuse(peer: ScriptedPeer) -> None:
        await peer.expect(CONNECT)
        peer.send(connack(version, 0x87 if version == V5 else 5))
        await peer.expect_close()

    async with ScriptedBroker(refuse) as broker:
        error = await fails_to_connect(broker, version, auto_reconnect=True)
        assert error.return_code == (0x87 if version == V5 else 5)
        assert len(broker.peers) == 1
