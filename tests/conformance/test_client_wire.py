"""What MQTTClient sends, byte for byte, and what it makes of what it gets."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from amqtt.client import MQTTClient, Subscription
from amqtt.errors import ClientError, ConnectError, MQTTError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

LIMIT = 10.0
V3, V5 = 4, 5
ACCEPTED = {V3: b"\x20\x02\x00\x00", V5: b"\x20\x03\x00\x00\x00"}
versions = pytest.mark.parametrize("version", [V3, V5])


class Peer:
    """A server that says what it is told to, to one connection after the other."""

    def __init__(self, version: int) -> None:
        self.version = version
        self.connected = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.closed = asyncio.Event()
        self.connected.set()
        await self.closed.wait()
        writer.close()
        await writer.wait_closed()

    async def packet(self) -> bytes:
        head = await asyncio.wait_for(self.reader.readexactly(2), LIMIT)
        assert head[1] < 128, "the tests know short packets only"
        return head + await self.reader.readexactly(head[1])

    async def accept(self) -> bytes:
        await asyncio.wait_for(self.connected.wait(), LIMIT)
        self.connected.clear()
        connect = await self.packet()
        self.writer.write(ACCEPTED[self.version])
        return connect

    async def expect_end(self) -> None:
        assert await asyncio.wait_for(self.reader.read(), LIMIT) == b""
        self.closed.set()


@asynccontextmanager
async def listening(version: int) -> AsyncIterator[tuple[Peer, str]]:
    peer = Peer(version)
    async with await asyncio.start_server(peer.serve, "127.0.0.1", 0) as server:
        yield peer, f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        if hasattr(peer, "closed"):
            peer.closed.set()


def client(address: str, version: int, client_id: str = "c", **config: Any) -> MQTTClient:
    uri = address if "://" in address else f"mqtt://{address}"
    return MQTTClient(
        client_id,
        {
            "auto_reconnect": False,
            "keep_alive": 0,
            "protocol_version": version,
            "connection": {"uri": uri},
            **config,
        },
    )


@asynccontextmanager
async def connected(version: int, **config: Any) -> AsyncIterator[tuple[Peer, MQTTClient]]:
    async with listening(version) as (peer, address):
        one = client(address, version, **config)
        connecting = asyncio.ensure_future(one.connect())
        await peer.accept()
        await connecting
        yield peer, one
        if one.session is not None and one.session.transitions.is_connected():
            await one.disconnect()


def text(value: str) -> bytes:
    return len(value.encode()).to_bytes(2, "big") + value.encode()


def props(version: int) -> bytes:
    return b"\x00" if version == V5 else b""


def packet(first: int, body: bytes) -> bytes:
    return bytes([first, len(body)]) + body


def publish(version: int, first: int, topic: str, packet_id: int | None, payload: bytes) -> bytes:
    number = b"" if packet_id is None else packet_id.to_bytes(2, "big")
    return packet(first, text(topic) + number + props(version) + payload)


# -- CONNECT


@versions
async def test_connect(version: int) -> None:
    """CONNECT comes first, its flags say which fields there are, and these come in their order.

    3.1.1:MQTT-3.1.0-1@client 3.1.1:MQTT-3.1.2-9@client 3.1.1:MQTT-3.1.2-11@client
    3.1.1:MQTT-3.1.2-13@client 3.1.1:MQTT-3.1.2-14@client 3.1.1:MQTT-3.1.2-15@client
    3.1.1:MQTT-3.1.2-18@client 3.1.1:MQTT-3.1.2-19@client 3.1.1:MQTT-3.1.2-20@client
    3.1.1:MQTT-3.1.2-21@client 3.1.1:MQTT-3.1.3-1@client 3.1.1:MQTT-3.1.3-2@client
    3.1.1:MQTT-3.1.3-3@client 3.1.1:MQTT-3.1.3-4@client 3.1.1:MQTT-3.1.3-10@client
    3.1.1:MQTT-3.1.3-11@client 3.1.1:MQTT-7.1.2-1@client
    5.0:MQTT-3.1.0-1@client 5.0:MQTT-3.1.2-1@client 5.0:MQTT-3.1.2-9@client
    5.0:MQTT-3.1.2-11@client 5.0:MQTT-3.1.2-12@client 5.0:MQTT-3.1.2-13@client
    5.0:MQTT-3.1.2-16@client 5.0:MQTT-3.1.2-17@client 5.0:MQTT-3.1.2-18@client
    5.0:MQTT-3.1.2-19@client 5.0:MQTT-3.1.3-1@client 5.0:MQTT-3.1.3-2@client
    5.0:MQTT-3.1.3-3@client 5.0:MQTT-3.1.3-4@client 5.0:MQTT-3.1.3-11@client
    5.0:MQTT-3.1.3-12@client 5.0:MQTT-1.5.5-1@client 5.0:MQTT-4.2.0-1@client
    """
    will = {"topic": "wé", "message": b"\x00gone", "qos": 2, "retain": True}
    start = text("MQTT") + bytes([version])
    async with listening(version) as (peer, address):
        for user, flags, tail in (
            ("", 0x02, b""),
            ("ü:p%20w@", 0xC2, text("ü") + text("p w")),
            ("u@", 0x82, text("u")),
        ):
            for with_will in (False, True):
                extra = {"will": will} if with_will else {}
                one = client(f"mqtt://{user}{address}", version, "né", **extra)
                connecting = asyncio.ensure_future(one.connect())
                of_will = props(version) + text("wé") + b"\x00\x05\x00gone" if with_will else b""
                assert await peer.accept() == packet(
                    0x10,
                    start
                    + bytes([flags | (0x34 if with_will else 0), 0, 0])
                    + props(version)
                    + text("né")
                    + of_will
                    + tail,
                )
                await connecting
                # 3.1.1:MQTT-3.14.4-1@client 3.1.1:MQTT-3.14.4-2@client
                # 5.0:MQTT-3.14.4-1@client 5.0:MQTT-3.14.4-2@client
                await one.disconnect()
                assert await peer.packet() == b"\xe0\x00"
                await peer.expect_end()


async def test_connects_that_mqtt_3_does_not_have() -> None:
    """3.1.1:MQTT-3.1.2-22@client 3.1.1:MQTT-3.1.3-7@client."""
    with pytest.raises(ClientError, match=r"MQTT-3\.1\.2-22"):
        await client("mqtt://:secret@127.0.0.1", V3).connect()
    with pytest.raises(ClientError, match=r"MQTT-3\.1\.3-7"):
        await client("127.0.0.1", V3, "", cleansession=False).connect()


@versions
@pytest.mark.parametrize("bad", ["a\0b", "\ud800"])
async def test_texts_that_are_none(version: int, bad: str) -> None:
    """No text with a null character, or that is no UTF-8, leaves the client.

    3.1.1:MQTT-1.5.3-1@client 3.1.1:MQTT-1.5.3-2@client 3.1.1:MQTT-3.3.2-1@client
    3.1.1:MQTT-3.8.3-1@client 3.1.1:MQTT-3.10.3-1@client 3.1.1:MQTT-4.7.3-2@client
    5.0:MQTT-1.5.4-1@client 5.0:MQTT-1.5.4-2@client 5.0:MQTT-1.5.7-1@client
    5.0:MQTT-3.3.2-1@client 5.0:MQTT-3.3.2-13@client 5.0:MQTT-3.3.2-19@client
    5.0:MQTT-3.8.3-1@client 5.0:MQTT-3.10.3-1@client 5.0:MQTT-4.7.3-2@client
    """
    async with connected(version) as (peer, one):
        calls = [one.publish(bad, b""), one.subscribe([(bad, 0)]), one.unsubscribe([bad])]
        if version == V5:
            for wrong in (
                {"content_type": bad},
                {"response_topic": bad},
                {"user_property": [("a", bad)]},
                {"user_property": [(bad, "a")]},
            ):
                calls.append(one.publish("t", b"", properties=wrong))
        for call in calls:
            with pytest.raises((ClientError, MQTTError, UnicodeEncodeError)):
                await call
        await one.publish("t", b"")
        assert await peer.packet() == publish(version, 0x30, "t", None, b"")


# -- PUBLISH


@versions
async def test_publish(version: int) -> None:
    """3.1.1:MQTT-2.3.1-1@client 3.1.1:MQTT-2.3.1-5@client 3.1.1:MQTT-3.3.1-2@client
    3.1.1:MQTT-3.3.1-4@client 3.1.1:MQTT-4.3.1-1@client 3.1.1:MQTT-3.6.1-1@client
    3.1.1:MQTT-1.5.3-3@client
    5.0:MQTT-2.2.1-2@client 5.0:MQTT-2.2.1-3@client 5.0:MQTT-3.3.1-2@client
    5.0:MQTT-3.3.1-4@client 5.0:MQTT-4.3.1-1@client 5.0:MQTT-4.3.2-1@client
    5.0:MQTT-4.3.2-2@client 5.0:MQTT-4.3.3-1@client 5.0:MQTT-4.3.3-2@client
    5.0:MQTT-4.3.3-4@client 5.0:MQTT-3.6.1-1@client 5.0:MQTT-1.5.4-3@client
    """  # a list
    async with connected(version) as (peer, one):
        await one.publish("\ufefft", b"0", 0, retain=True)
        assert await peer.packet() == publish(version, 0x31, "\ufefft", None, b"0")
        for expected, (qos, first) in enumerate(((1, 0x32), (2, 0x34), (1, 0x32)), start=1):
            pending = asyncio.ensure_future(one.publish("t", b"x", qos))
            assert await peer.packet() == publish(version, first, "t", expected, b"x")
            number = expected.to_bytes(2, "big")
            if qos == 2:
                peer.writer.write(b"\x50\x02" + number)
                assert await peer.packet() == b"\x62\x02" + number
                assert not pending.done()
                peer.writer.write(b"\x70\x02" + number)
            else:
                peer.writer.write(b"\x40\x02" + number)
            sent = await asyncio.wait_for(pending, LIMIT)
            assert sent.packet_id == expected


@versions
async def test_what_cannot_be_published(version: int) -> None:
    """3.1.1:MQTT-3.3.2-2@client 3.1.1:MQTT-4.7.1-1@client 3.1.1:MQTT-4.7.3-1@client
    5.0:MQTT-4.7.1-1@client
    3.1.1:MQTT-4.7.3-3@client 5.0:MQTT-3.3.2-2@client 5.0:MQTT-3.3.2-14@client
    5.0:MQTT-4.7.0-1@client 5.0:MQTT-4.7.3-1@client 5.0:MQTT-4.7.3-3@client
    """  # a list
    async with connected(version) as (_, one):
        for topic in ("", "a/#", "+", "x" * 65536):
            with pytest.raises(MQTTError):
                await one.publish(topic, b"")
        for filter_ in ("x" * 65536,):
            with pytest.raises(ClientError):
                await one.subscribe([(filter_, 0)])
        if version == V5:
            for topic in ("", "a/#"):
                with pytest.raises(ClientError):
                    await one.publish("t", b"", properties={"response_topic": topic})


@versions
async def test_malformed_filters_are_not_sent(version: int) -> None:
    """They are refused as a server would, and the others of the call are subscribed to.

    3.1.1:MQTT-4.7.1-2@client 3.1.1:MQTT-4.7.1-3@client 3.1.1:MQTT-4.7.3-1@client
    5.0:MQTT-4.7.1-1@client 5.0:MQTT-4.7.1-2@client 5.0:MQTT-4.7.3-1@client
    """
    refused = 0x8F if version == V5 else 0x80
    block = b"\x00" if version == V5 else b""
    bad = ("a#", "a/#/b", "a+", "+a/b", "#/", "")
    async with connected(version) as (peer, one):
        assert await one.subscribe([(each, 1) for each in bad]) == [refused] * len(bad)
        codes = [refused] * len(bad)
        assert await one.unsubscribe(bad) == (codes if version == V5 else None)
        asked = [("a#", 1), ("+/a/#", 1), ("+a", 0), ("+", 2), ("#", 0)]
        pending = asyncio.ensure_future(one.subscribe(asked))
        first = b"\x00\x05+/a/#\x01" + b"\x00\x01+\x02" + b"\x00\x01#\x00"
        body = b"\x00\x01" + block + first
        assert await peer.packet() == b"\x82" + bytes([len(body)]) + body
        answer = b"\x00\x01" + block + b"\x01\x02\x80"
        peer.writer.write(b"\x90" + bytes([len(answer)]) + answer)
        assert await asyncio.wait_for(pending, LIMIT) == [refused, 1, refused, 2, 0x80]


@versions
async def test_received_messages_are_acknowledged(version: int) -> None:
    """Whether anybody reads them or not.

    3.1.1:MQTT-3.3.4-1@client 3.1.1:MQTT-4.3.2-2@client 3.1.1:MQTT-4.5.0-2@client
    3.1.1:MQTT-4.6.0-2@client 3.1.1:MQTT-4.6.0-3@client 3.1.1:MQTT-2.3.1-6@client
    5.0:MQTT-3.3.4-1@client 5.0:MQTT-2.2.1-5@client 5.0:MQTT-4.3.2-5@client
    5.0:MQTT-4.3.3-10@client 5.0:MQTT-4.3.3-12@client
    """
    async with connected(version) as (peer, one):
        for first, number in ((0x32, 7), (0x34, 8), (0x30, None), (0x32, 7), (0x3A, 7), (0x3C, 8)):
            peer.writer.write(publish(version, first, "never/asked/for", number, b"x"))
        assert [await peer.packet() for _ in range(5)] == [
            b"\x40\x02\x00\x07",
            b"\x50\x02\x00\x08",
            b"\x40\x02\x00\x07",
            b"\x40\x02\x00\x07",  # a new message, whatever DUP says
            b"\x50\x02\x00\x08",
        ]
        peer.writer.write(b"\x62\x02\x00\x08")
        assert await peer.packet() == b"\x70\x02\x00\x08"
        for _ in range(5):
            assert await one.deliver_message(LIMIT) is not None
        with pytest.raises(asyncio.TimeoutError):
            await one.deliver_message(0)


@versions
async def test_what_is_sent_again(version: int) -> None:
    """On the next connection: in order, with DUP, under the same identifiers, as PUBREL if so far.

    3.1.1:MQTT-2.3.1-3@client 3.1.1:MQTT-3.1.2-4@client 3.1.1:MQTT-4.1.0-1@client
    3.1.1:MQTT-4.1.0-2@client 3.1.1:MQTT-4.6.0-4@client
    5.0:MQTT-3.1.2-23@client 5.0:MQTT-3.3.1-1@client 5.0:MQTT-4.1.0-1@client
    5.0:MQTT-4.3.2-3@client 5.0:MQTT-4.3.3-3@client 5.0:MQTT-4.3.3-5@client
    5.0:MQTT-4.3.3-6@client 5.0:MQTT-4.3.3-7@client 5.0:MQTT-4.3.3-13@client
    5.0:MQTT-4.4.0-1@client 5.0:MQTT-4.4.0-2@client
    """
    config: dict[str, Any] = {"cleansession": False, "auto_reconnect": True}
    if version == V5:
        config["connect_properties"] = {"session_expiry_interval": 60}
    async with connected(version, **config) as (peer, one):
        pending = [asyncio.ensure_future(one.publish("t", b"x", qos)) for qos in (1, 2, 2)]
        for _ in pending:
            await peer.packet()
        peer.writer.write(b"\x50\x02\x00\x02")
        assert await peer.packet() == b"\x62\x02\x00\x02"
        peer.closed.set()
        present = bytearray(ACCEPTED[version])
        present[2] = 1
        resumed = bytes(present)
        await asyncio.wait_for(peer.connected.wait(), LIMIT)
        await peer.packet()
        peer.writer.write(resumed)
        assert [await peer.packet() for _ in range(3)] == [
            publish(version, 0x3A, "t", 1, b"x"),
            b"\x62\x02\x00\x02",
            publish(version, 0x3C, "t", 3, b"x"),
        ]
        peer.writer.write(b"\x70\x02\x00\x02\x40\x02\x00\x01\x50\x02\x00\x03\x70\x02\x00\x03")
        await asyncio.wait_for(asyncio.gather(*pending), LIMIT)


@versions
async def test_a_new_session_forgets(version: int) -> None:
    """3.1.1:MQTT-3.1.2-6@client 5.0:MQTT-3.1.2-4@client 5.0:MQTT-3.2.2-5@client."""
    async with connected(version) as (peer, one):
        pending = asyncio.ensure_future(one.publish("t", b"x", 2))
        await peer.packet()
        await one.disconnect()
        with pytest.raises(ClientError):
            await pending
        peer.closed.set()
        connecting = asyncio.ensure_future(one.connect())
        await peer.accept()
        await connecting
        await one.publish("t", b"new", 0)
        assert await peer.packet() == publish(version, 0x30, "t", None, b"new")


# -- SUBSCRIBE and UNSUBSCRIBE


@versions
async def test_subscribe_and_unsubscribe(version: int) -> None:
    """3.1.1:MQTT-3.8.1-1@client 3.1.1:MQTT-3.8.3-3@client 3.1.1:MQTT-3.10.1-1@client
    3.1.1:MQTT-3.10.3-2@client 5.0:MQTT-3.8.1-1@client 5.0:MQTT-3.8.3-2@client
    5.0:MQTT-3.8.3-4@client 5.0:MQTT-3.10.1-1@client 5.0:MQTT-3.10.3-2@client
    """  # a list
    async with connected(version) as (peer, one):
        for call in (one.subscribe([]), one.unsubscribe([])):
            with pytest.raises(ClientError):
                await call
        if version == V5:
            with pytest.raises(ClientError, match=r"MQTT-3\.8\.3-4"):
                await one.subscribe([Subscription("$share/g/t", no_local=True)])
            # 5.0:MQTT-4.8.2-1@client 5.0:MQTT-4.8.2-2@client
            for shared in ("$share/", "$share//t", "$share/g", "$share/g/", "$share/+/t"):
                with pytest.raises(ClientError, match=r"MQTT-4\.8\.2-1"):
                    await one.subscribe([(shared, 0)])
        pending = asyncio.ensure_future(one.subscribe([("a/+", 1), ("é/#", 2)]))
        filters = text("a/+") + b"\x01" + text("é/#") + b"\x02"
        assert await peer.packet() == packet(0x82, b"\x00\x01" + props(version) + filters)
        peer.writer.write(packet(0x90, b"\x00\x01" + props(version) + b"\x01\x80"))
        assert await pending == [1, 0x80]
        leaving = asyncio.ensure_future(one.unsubscribe(["a/+", "é/#"]))
        filters = text("a/+") + text("é/#")
        assert await peer.packet() == packet(0xA2, b"\x00\x02" + props(version) + filters)
        codes = b"\x00\x00\x11" if version == V5 else b""
        peer.writer.write(packet(0xB0, b"\x00\x02" + codes))
        assert await leaving == ([0, 0x11] if version == V5 else None)


# -- what servers do wrong


@versions
@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"\x91\x03\x00\x01\x00", 0x81),  # 3.1.1:MQTT-2.2.2-2@client
        (b"\xd0\x01\x00", 0x81),
        (b"\xc0\x00", 0x82),
        (b"\x30\x01\x00", 0x81),
        (b"\x36\x05\x00\x01t\x00\x01", 0x81),
    ],
)
async def test_a_violation_ends_the_connection(version: int, data: bytes, code: int) -> None:
    """5.0:MQTT-4.13.2-1@client: the reason is told first, in 5.0."""
    async with connected(version) as (peer, one):
        peer.writer.write(data)
        if version == V5:
            assert await peer.packet() == bytes([0xE0, 0x01, code])
        await peer.expect_end()
        with pytest.raises(ClientError, match="violated the protocol"):
            await one.ping()


@versions
async def test_an_end_before_connack(version: int) -> None:
    async with listening(version) as (peer, address):
        connecting = asyncio.ensure_future(client(address, version).connect())
        await asyncio.wait_for(peer.connected.wait(), LIMIT)
        await peer.packet()
        peer.closed.set()
        with pytest.raises(ConnectError, match="closed by the server"):
            await connecting
