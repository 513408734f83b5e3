"""paho-mqtt: callbacks on a thread of its own, handed over to the event loop."""

import asyncio
from typing import Any

from .base import LIMIT, NO_PROPERTIES, Message, Peer, Properties


def paho_connect_properties(session_expiry: int, topic_aliases: int) -> Any:
    """Return properties of CONNECT in the form of paho."""
    from paho.mqtt.packettypes import PacketTypes
    from paho.mqtt.properties import Properties as PahoProperties

    made = PahoProperties(PacketTypes.CONNECT)
    if session_expiry:
        made.SessionExpiryInterval = session_expiry
    if topic_aliases:
        made.TopicAliasMaximum = topic_aliases
    return made


def to_paho(given: Properties, delay: int | None = None, *, will: bool = False) -> Any:
    """Return properties of a PUBLISH, or of a will, in the form of paho."""
    from paho.mqtt.packettypes import PacketTypes
    from paho.mqtt.properties import Properties as PahoProperties

    made = PahoProperties(PacketTypes.WILLMESSAGE if will else PacketTypes.PUBLISH)
    if given.user:
        made.UserProperty = list(given.user)
    if given.content_type is not None:
        made.ContentType = given.content_type
    if given.response_topic is not None:
        made.ResponseTopic = given.response_topic
    if given.correlation_data is not None:
        made.CorrelationData = given.correlation_data
    if given.expiry is not None:
        made.MessageExpiryInterval = given.expiry
    if delay is not None:
        made.WillDelayInterval = delay
    return made


def from_paho(seen: Any) -> Properties:
    """Return the properties of a message that paho received, None in MQTT 3.1.1."""
    return Properties(
        user=tuple(getattr(seen, "UserProperty", ())),
        content_type=getattr(seen, "ContentType", None),
        response_topic=getattr(seen, "ResponseTopic", None),
        correlation_data=getattr(seen, "CorrelationData", None),
        expiry=getattr(seen, "MessageExpiryInterval", None),
    )


class PahoPeer(Peer):
    """The Python client of Eclipse Paho, which leaves Topic Aliases to the application."""

    _client: Any = None

    async def connect(self) -> None:
        """Start the client's thread and wait for CONNACK."""
        from paho.mqtt.client import Client
        from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

        options = self.options
        is_v5 = options.version == 5
        self._topics: dict[int, str] = {}
        self._loop = asyncio.get_running_loop()
        self._connected: asyncio.Future[Any] = self._loop.create_future()
        self._subscribed: asyncio.Future[Any] = self._loop.create_future()
        client = self._client = Client(
            CallbackAPIVersion.VERSION2,
            options.client_id,
            clean_session=None if is_v5 else options.clean,
            protocol=MQTTProtocolVersion(options.version),
            transport="websockets" if options.transport.startswith("ws") else "tcp",
        )
        if options.cafile is not None:
            client.tls_set(options.cafile)
        client.username_pw_set(options.username)
        if will := options.will:
            more = to_paho(will.properties, will.delay, will=True) if is_v5 else None
            client.will_set(will.topic, will.payload, will.qos, will.retain, more)
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        how: dict[str, Any] = {}
        if is_v5:
            how["clean_start"] = options.clean
            how["properties"] = paho_connect_properties(options.kept_for, options.topic_aliases)
        client.connect("127.0.0.1", options.port, **how)
        client.loop_start()
        reason = await asyncio.wait_for(self._connected, LIMIT)
        assert not reason.is_failure, reason

    async def subscribe(self, topic_filter: str, qos: int) -> None:
        """Subscribe and wait for SUBACK."""
        self._client.subscribe(topic_filter, qos)
        granted = await asyncio.wait_for(self._subscribed, LIMIT)
        assert [code.value for code in granted] == [qos]

    async def publish(
        self,
        topic: str,
        payload: bytes,
        qos: int = 0,
        *,
        retain: bool = False,
        properties: Properties = NO_PROPERTIES,
    ) -> None:
        """Publish and wait for the acknowledgement."""
        more = to_paho(properties) if self.options.version == 5 else None
        info = self._client.publish(topic, payload, qos, retain, more)
        await asyncio.to_thread(info.wait_for_publish, LIMIT)
        assert info.is_published()

    async def disconnect(self) -> None:
        """Send DISCONNECT and end the thread."""
        if self._client is not None:
            client, self._client = self._client, None
            client.disconnect()
            await asyncio.to_thread(client.loop_stop)

    async def abort(self) -> None:
        """End the thread first, so that it does not reconnect, then drop the socket."""
        if self._client is not None:
            client, self._client = self._client, None
            await asyncio.to_thread(client.loop_stop)
            if client.socket() is not None:
                client.socket().close()

    def _on_connect(self, _client: Any, _data: Any, _flags: Any, reason: Any, _props: Any) -> None:
        self._loop.call_soon_threadsafe(_settle, self._connected, reason)

    def _on_subscribe(self, _client: Any, _data: Any, _mid: int, codes: Any, _props: Any) -> None:
        self._loop.call_soon_threadsafe(_settle, self._subscribed, codes)

    def _on_message(self, _client: Any, _data: Any, message: Any) -> None:
        topic = message.topic
        alias = getattr(message.properties, "TopicAlias", None)
        if alias is not None and topic:
            self._topics[alias] = topic
        elif alias is not None:
            topic = self._topics[alias]
        properties = from_paho(message.properties)
        seen = Message(topic, message.payload, message.qos, bool(message.retain), properties)
        self._loop.call_soon_threadsafe(self.inbox.put_nowait, seen)


def _settle(future: "asyncio.Future[Any]", value: object) -> None:
    if not future.done():
        future.set_result(value)
