"""Ways in which published programs use aMQTT that no other test has."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from support.certificates import have_openssl
from support.embedded import LIMIT, Peer, client_of, config_of, port_of, until
from support.endpoints import Trust
from support.serving import der
from support.wire import CONNACK_ACCEPTED, connect, publish

from amqtt.broker import Broker
from amqtt.client import MQTTClient
from amqtt.contexts import Action, BaseContext, BrokerConfig, ListenerConfig, ListenerType
from amqtt.errors import ConnectError
from amqtt.mqtt.connect import ConnectPacket
from amqtt.plugins.authentication import BaseAuthPlugin
from amqtt.plugins.base import BaseTopicPlugin
from amqtt.session import ApplicationMessage, IncomingApplicationMessage, Session

MODULE = __name__
ANONYMOUS = "amqtt.plugins.authentication.AnonymousAuthPlugin"


class ServerPlugin(BaseAuthPlugin):
    """The one plugin of a server: it knows users, renames them, and reads what they send."""

    @dataclass
    class Config:
        allowed_users: dict[str, str] = field(default_factory=dict)
        allow_anonymous: bool = field(default=False)
        note_file: str | Path | None = None

    def __init__(self, context: BaseContext) -> None:
        super().__init__(context)
        self.users = self._get_config_option("allowed_users", {})
        self.messages: list[tuple[str, str, str]] = []
        self.connects: list[tuple[str, int]] = []

    async def authenticate(self, *, session: Session) -> bool | None:
        if not session.username:
            return bool(self._get_config_option("allow-anonymous", True))
        user = session.username.split("@")[0]
        if self.users.get(user) != session.password:
            return False
        session.username = user
        return True

    # Neither keyword-only, nor in the order of the documentation; and it returns something.
    async def on_broker_message_received(
        self, message: IncomingApplicationMessage, client_id: str, **more: Any
    ) -> bool:
        assert isinstance(message, ApplicationMessage)
        assert not more
        packet = message.publish_packet
        assert packet.variable_header is not None
        assert packet.payload is not None
        assert packet.payload.data == message.data
        text = bytes(message.data).decode(errors="replace")
        self.messages.append((client_id, packet.variable_header.topic_name, text))
        return False

    async def on_mqtt_packet_received(self, *, packet: Any, session: Session | None = None) -> None:
        if isinstance(packet, ConnectPacket) and packet.variable_header is not None:
            assert session is None
            header = packet.variable_header
            self.connects.append((header.proto_name, header.proto_level))


async def test_a_server_with_a_plugin_of_its_own() -> None:
    options = {"allowed_users": {"bot": "secret"}, "note_file": Path("somewhere")}
    config = BrokerConfig(
        listeners={
            "default": ListenerConfig(type=ListenerType.TCP, bind=None),
            "mqtt0": ListenerConfig(type=ListenerType.TCP, bind="127.0.0.1:0"),
        },
        plugins={f"{MODULE}.ServerPlugin": options},
    )
    broker = Broker(config=config)
    assert str(broker.transitions.state) == "new"
    await broker.start()
    try:
        assert list(broker.addresses) == ["mqtt0"]
        port = broker.addresses["mqtt0"][0][1]
        plugin = broker.plugins_manager.get_plugin("ServerPlugin")
        client = MQTTClient(client_id="c", config={"auto_reconnect": False})
        await client.connect(f"mqtt://bot%40home:secret@127.0.0.1:{port}")
        await client.publish("a/b", b"hello", 1)
        assert [session.username for session, _ in broker.sessions.values()] == ["bot"]
        await until(lambda: plugin.messages == [("c", "a/b", "hello")])
        assert plugin.connects == [("MQTT", 4)]
        await client.disconnect()
        for login in ("bot:guess@", ""):
            with pytest.raises(ConnectError):
                await client.connect(f"mqtt://{login}127.0.0.1:{port}")
    finally:
        await broker.shutdown()
    assert broker.transitions.state == "stopped"


class CertificateUsers(BaseAuthPlugin, BaseTopicPlugin):
    """Knows clients by the fingerprint of their certificate; each may publish to its own topics."""

    @dataclass
    class Config:
        fingerprints: dict[str, str]

    async def authenticate(self, *, session: Session, **_: Any) -> bool:
        peer = getattr(session, "ssl_object", None)
        certificate = peer.getpeercert(binary_form=True) if peer is not None else None
        if certificate is None:
            return False
        fingerprint = hashlib.sha256(certificate).hexdigest()
        session.username = self.config.fingerprints.get(fingerprint)
        return session.username is not None

    async def topic_filtering(
        self,
        *,
        session: Session | None = None,
        topic: str | None = None,
        action: Action | None = None,
    ) -> bool:
        assert session is not None
        assert topic is not None
        return action == "receive" or topic.split("/")[0] == session.username


async def test_users_of_certificates(tmp_path: Path) -> None:
    if not have_openssl():
        pytest.skip("not tested: the command openssl is not installed")
    trust = Trust.make(tmp_path)
    listener = ListenerConfig(bind="127.0.0.1:0", ssl=True)
    # Set afterwards, as text, where the constructor would have made paths of them.
    listener.cafile = trust.authority.cafile
    listener.certfile = trust.server.certfile
    listener.keyfile = trust.server.keyfile
    fingerprint = hashlib.sha256(der(trust.client.certfile)).hexdigest()
    config = BrokerConfig(
        listeners={"default": listener},
        plugins={f"{MODULE}.CertificateUsers": {"fingerprints": {fingerprint: "device"}}},
    )
    async with Broker(config) as broker:
        context = trust.context(trust.client)
        stream = await asyncio.open_connection(
            "127.0.0.1", port_of(broker), ssl=context, server_hostname="localhost"
        )
        peer = Peer(*stream)
        peer.send(connect("c"))
        await peer.expect(CONNACK_ACCEPTED)
        session = broker.sessions["c"][0]
        assert session.username == "device"
        contents = session.ssl_object.getpeercert()
        assert [value for ((name, value),) in contents["subject"] if name == "commonName"] == [
            "device"
        ]
        assert {"issuer", "serialNumber", "notBefore", "notAfter"} < set(contents)
        assert session.ssl_object.getpeercert() is contents  # it is taken apart once
        subscription = broker.subscribe("#", 1)
        peer.send(publish("other/t", b"1") + publish("device/t", b"2"))
        message = await asyncio.wait_for(anext(subscription), LIMIT)
        assert message.topic == "device/t"
        await peer.close()


def test_a_broker_in_a_thread_of_its_own() -> None:
    """What a program does whose own loop, or lack of one, must not matter to the broker."""
    loop = asyncio.new_event_loop()
    serving = threading.Event()
    brokers: list[Broker] = []

    def serve() -> None:
        asyncio.set_event_loop(loop)

        async def start() -> None:
            broker = Broker(config_of([ANONYMOUS]))
            await broker.start()
            brokers.append(broker)

        loop.run_until_complete(start())
        serving.set()
        loop.run_forever()
        loop.close()

    thread = threading.Thread(target=serve)
    thread.start()
    assert serving.wait(LIMIT)
    [broker] = brokers

    async def use() -> None:
        async with client_of(broker, "c") as client:
            await client.subscribe([("t", 1)])
            sent = asyncio.run_coroutine_threadsafe(
                broker.internal_message_broadcast("t", b"x"), loop
            )
            await asyncio.wrap_future(sent)
            message = await client.deliver_message(LIMIT)
            assert message is not None
            assert message.data == b"x"

    asyncio.run(use())
    asyncio.run_coroutine_threadsafe(broker.shutdown(), loop).result(LIMIT)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(LIMIT)
    assert not thread.is_alive()
