"""`amqtt.mqtt.protocol`: MQTT on connections that the application brings."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from amqtt.adapters import StreamReaderAdapter, StreamWriterAdapter
from amqtt.broker import Broker
from amqtt.client import ClientContext
from amqtt.errors import AMQTTError, MQTTError, ProtocolHandlerError
from amqtt.mqtt import PubackPacket, PublishPacket
from amqtt.mqtt.constants import QOS_0, QOS_1, QOS_2
from amqtt.mqtt.pingresp import PingRespPacket
from amqtt.mqtt.protocol._tunnel import Tunnel
from amqtt.mqtt.protocol.broker_handler import BrokerProtocolHandler
from amqtt.mqtt.protocol.client_handler import ClientProtocolHandler
from amqtt.mqtt.protocol.handler import ProtocolHandler
from amqtt.plugins.base import BasePlugin
from amqtt.plugins.manager import PluginManager
from amqtt.session import Session

LIMIT = 10


class PacketList(BasePlugin[ClientContext]):
    """Remember the packets, in the order they are told."""

    def __init__(self, context: ClientContext) -> None:
        super().__init__(context)
        self.packets: list[tuple[str, Any, Any]] = []

    async def on_mqtt_packet_sent(self, *, packet: Any, session: Any = None) -> None:
        self.packets.append(("sent", type(packet).__name__, session))

    async def on_mqtt_packet_received(self, *, packet: Any, session: Any = None) -> None:
        self.packets.append(("received", type(packet).__name__, session))


def manager_of(*plugins: str) -> PluginManager[ClientContext]:
    context = ClientContext()
    context.config = {"plugins": list(plugins)}  # type: ignore[assignment]
    return PluginManager("amqtt.test.plugins", context)


def session_of(client_id: str, **settings: Any) -> Session:
    session = Session()
    session.client_id = client_id
    session.clean_session = True
    for name, value in settings.items():
        setattr(session, name, value)
    return session


@pytest.fixture
def socket_path(tmp_path: Path) -> Path:
    return tmp_path / "broker.socket"


@pytest.fixture
async def broker(socket_path: Path) -> AsyncIterator[Broker]:
    async with Broker({"listeners": {"default": {"bind": f"unix:{socket_path}"}}}) as running:
        yield running


@asynccontextmanager
async def attached(
    path: Path, session: Session, *plugins: str
) -> AsyncIterator[ClientProtocolHandler]:
    reader, writer = await asyncio.open_unix_connection(str(path))
    handler = ClientProtocolHandler(manager_of(*plugins))
    handler.attach(session, StreamReaderAdapter(reader), StreamWriterAdapter(writer))
    try:
        yield handler
    finally:
        await handler.stop()


async def test_a_client_on_a_unix_socket(broker: Broker, socket_path: Path) -> None:
    async with attached(socket_path, session_of("c", keep_alive=30)) as handler:
        assert await handler.mqtt_connect() == 0
        await handler.start()
        assert list(broker.sessions) == ["c"]
        assert await handler.mqtt_subscribe([("a/#", QOS_2), ("b", QOS_0)], 1) == [2, 0]
        for qos in (QOS_0, QOS_1, QOS_2):
            sent = await handler.mqtt_publish("a/b", b"%d" % qos, qos, False)
            assert (sent.packet_id is None) == (qos == QOS_0)
            got = await asyncio.wait_for(handler.mqtt_deliver_next_message(), LIMIT)
            assert got is not None
            assert (got.topic, got.data, got.qos) == ("a/b", b"%d" % qos, qos)
        await handler.mqtt_unsubscribe(["b"], 2)
        assert list(broker.subscriptions) == ["a/#"]
        assert isinstance(await handler.mqtt_ping(), PingRespPacket)
        await handler.mqtt_disconnect()
        await asyncio.wait_for(handler.wait_disconnect(), LIMIT)
    assert not list(broker.sessions)


async def test_connect_is_made_of_the_session(broker: Broker, socket_path: Path) -> None:
    will = {"will_flag": True, "will_topic": "w", "will_message": b"gone", "will_qos": 1}
    settings = {"keep_alive": 7, "username": "u", "password": "p", "clean_session": None, **will}
    async with attached(socket_path, session_of("kept", **settings)) as handler:
        assert await handler.mqtt_connect() == 0
        seen, _ = broker.sessions["kept"]
        assert (seen.keep_alive, seen.username, seen.password) == (7, "u", "p")
        assert (seen.will_topic, seen.will_message, seen.will_qos) == ("w", b"gone", 1)
        assert seen.clean_session is False
        assert handler.session is not None
        assert handler.session.parent == 0
        messages = broker.subscribe("w")
        await handler.stop()  # without DISCONNECT: the will is published
        got = await asyncio.wait_for(anext(messages), LIMIT)
        assert got.data == b"gone"
    async with attached(
        socket_path, session_of("kept", username="u", clean_session=False)
    ) as handler:
        assert await handler.mqtt_connect() == 0
        assert handler.session is not None
        assert handler.session.parent == 1


async def test_a_session_without_a_client_id_gets_one(broker: Broker, socket_path: Path) -> None:
    async with attached(socket_path, Session()) as handler:
        assert await handler.mqtt_connect() == 0
        assert handler.session is not None
        assert list(broker.sessions) == [handler.session.client_id]


async def test_stop_sends_what_was_published(broker: Broker, socket_path: Path) -> None:
    messages = broker.subscribe("many")
    async with attached(socket_path, session_of("c")) as handler:
        await handler.mqtt_connect()
        for number in range(200):
            await handler.mqtt_publish("many", b"%d" % number, QOS_0, False)
    got = [(await asyncio.wait_for(anext(messages), LIMIT)).data for _ in range(200)]
    assert got == [b"%d" % number for number in range(200)]


async def test_refusals(socket_path: Path) -> None:
    config = {"listeners": {"default": {"bind": f"unix:{socket_path}"}}, "plugins": {}}
    async with Broker(config), attached(socket_path, session_of("c")) as handler:
        assert await handler.mqtt_connect() == 5
    async with Broker(config), attached(socket_path, session_of("c")) as handler:
        assert handler.writer is not None
        await handler.writer.close()
        with pytest.raises(ConnectionError):
            await handler.mqtt_connect()


async def test_a_loss_ends_what_waits(broker: Broker, socket_path: Path) -> None:
    async with attached(socket_path, session_of("c")) as handler:
        await handler.mqtt_connect()
        waiting = asyncio.create_task(handler.mqtt_deliver_next_message())
        await broker.disconnect_client("c")
        await asyncio.wait_for(handler.wait_disconnect(), LIMIT)
        assert await asyncio.wait_for(waiting, LIMIT) is None
        with pytest.raises(ProtocolHandlerError, match="cut off"):
            await handler.mqtt_publish("a", b"", QOS_1, False)


@pytest.mark.usefixtures("broker")
async def test_misuse_is_named(socket_path: Path) -> None:
    handler = ClientProtocolHandler(manager_of())
    with pytest.raises(ProtocolHandlerError, match=r"attach\(\) first"):
        await handler.start()
    with pytest.raises(AMQTTError, match="no session"):
        await handler.mqtt_deliver_next_message()
    await handler.stop()
    async with attached(socket_path, session_of("c")) as handler:
        assert handler.reader is not None
        assert handler.writer is not None
        with pytest.raises(ProtocolHandlerError, match="already attached"):
            handler.attach(Session(), handler.reader, handler.writer)
        await handler.mqtt_connect()
        with pytest.raises(ProtocolHandlerError, match="sent once only"):
            await handler.mqtt_connect()
        with pytest.raises(MQTTError):
            await handler.mqtt_publish("a/#", b"", QOS_0, False)
        with pytest.raises(AMQTTError, match="QoS 3"):
            await handler.mqtt_publish("a", b"", 3, False)
        await handler.stop()
        with pytest.raises(ProtocolHandlerError, match="closed"):
            await handler.start()


@pytest.mark.usefixtures("broker")
async def test_plugins_are_told_the_packets(socket_path: Path) -> None:
    session = session_of("c")
    name = f"{PacketList.__module__}.PacketList"
    async with attached(socket_path, session, name) as handler:
        await handler.mqtt_connect()
        await handler.mqtt_ping()
        manager = handler.plugins_manager
        await handler.stop()
        await manager.wait_for_handlers(LIMIT)
        assert manager.get_plugin("PacketList").packets == [
            ("sent", "ConnectPacket", session),
            ("received", "ConnackPacket", session),
            ("sent", "PingReqPacket", session),
            ("received", "PingRespPacket", session),
        ]


async def test_a_handler_without_connect(tmp_path: Path) -> None:
    """The peer expects no CONNECT: it gets the PUBLISH at once."""
    got: asyncio.Future[PublishPacket] = asyncio.get_running_loop().create_future()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        packet = await PublishPacket.from_stream(StreamReaderAdapter(reader))
        assert packet.packet_id is not None
        writer.write(PubackPacket.build(packet.packet_id).to_bytes())
        got.set_result(packet)
        await reader.read()
        writer.close()

    path = tmp_path / "peer.socket"
    async with await asyncio.start_unix_server(serve, str(path)):
        reader, writer = await asyncio.open_unix_connection(str(path))
        handler = ProtocolHandler(manager_of())
        handler.attach(Session(), StreamReaderAdapter(reader), StreamWriterAdapter(writer))
        sent = await asyncio.wait_for(handler.mqtt_publish("a", b"x", QOS_1, False), LIMIT)
        packet = await asyncio.wait_for(got, LIMIT)
        assert (packet.topic_name, packet.data, packet.qos) == ("a", b"x", 1)
        assert packet.packet_id == sent.packet_id
        await handler.stop()
        await handler.stop()


async def test_a_peer_that_takes_nothing_cannot_hold_up_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("amqtt.mqtt.protocol._tunnel._FLUSH_LIMIT", 0.1)
    done = asyncio.Event()

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await done.wait()
        writer.transport.abort()

    path = tmp_path / "peer.socket"
    async with await asyncio.start_unix_server(serve, str(path), limit=1):
        reader, writer = await asyncio.open_unix_connection(str(path))
        handler = ProtocolHandler(manager_of())
        handler.attach(Session(), StreamReaderAdapter(reader), StreamWriterAdapter(writer))
        await handler.mqtt_publish("a", bytes(10_000_000), QOS_0, False)
        await asyncio.wait_for(handler.stop(), LIMIT)
        done.set()
        writer.transport.abort()


async def test_only_the_engine_gets_into_the_tunnel(broker: Broker, socket_path: Path) -> None:
    reader, writer = await asyncio.open_unix_connection(str(socket_path))
    streams = StreamReaderAdapter(reader), StreamWriterAdapter(writer)
    tunnel = Tunnel(*streams, None, None)
    settings = await tunnel.open()
    host, port = settings["endpoint"]["host"], settings["endpoint"]["port"]
    connect = b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x00\x00\x01x"
    greatest = b"\x10\xff\xff\xff\x7f"
    for intruder in (connect, greatest, b"\xc0\x00", b"\x10"):
        theirs, ours = await asyncio.open_connection(host, port)
        ours.write(intruder)
        if intruder is not greatest:  # which is refused before its end
            ours.write_eof()
        assert await asyncio.wait_for(theirs.read(), LIMIT) == b""
        ours.close()
    await tunnel.close()
    await streams[1].close()
    assert not list(broker.sessions)


async def test_a_broker_hands_out_handlers_that_disconnect(
    broker: Broker, socket_path: Path
) -> None:
    async with attached(socket_path, session_of("c", keep_alive=9)) as client:
        await client.mqtt_connect()
        session, handler = broker.sessions["c"]
        assert isinstance(handler, BrokerProtocolHandler)
        assert handler.session is session
        assert handler.plugins_manager is broker.plugins_manager
        assert handler.keepalive_timeout == 9
        await handler.stop()
        await asyncio.wait_for(client.wait_disconnect(), LIMIT)


async def test_a_handler_of_a_broker_says_what_to_use_instead(broker: Broker) -> None:
    handler, _ = broker.create_offline_session("away")
    await handler.stop()
    with pytest.raises(ProtocolHandlerError, match=r"Broker\.start\(\)"):
        await handler.start()
    with pytest.raises(ProtocolHandlerError, match="internal_message_broadcast"):
        await handler.mqtt_publish("a", b"", QOS_0, False)
    with pytest.raises(ProtocolHandlerError, match="MESSAGE_RECEIVED"):
        await handler.mqtt_deliver_next_message()
    with pytest.raises(ProtocolHandlerError, match="CLIENT_DISCONNECTED"):
        await handler.wait_disconnect()
