"""paho-mqtt: callbacks on a thread of its own, handed over to the event loop."""

import asyncio
from collections import deque
from typing import Any

from .base import LIMIT, NO_PROPERTIES, Message, Peer, PeerOptions, Properties


def paho_connect_properties(options: PeerOptions) -> Any:
    """Return properties of CONNECT in the form of paho."""
    from paho.mqtt.packettypes import PacketTypes
    from paho.mqtt.properties import Properties as PahoProperties

    made = PahoProperties(PacketTypes.CONNECT)
    if options.kept_for:
        made.SessionExpiryInterval = options.kept_for
    if options.topic_aliases:
        made.TopicAliasMaximum = options.topic_aliases
    if options.receive_maximum:
        made.ReceiveMaximum = options.receive_maximum
    if options.problem_information is not None:
        made.RequestProblemInformation = int(options.problem_information)
    return made


def paho_subscribe_properties(identifier: int | None) -> Any:
    """Return properties of SUBSCRIBE in the form of paho, None if there are none."""
    from paho.mqtt.packettypes import PacketTypes
    from paho.mqtt.properties import Properties as PahoProperties

    if identifier is None:
        return None
    made = PahoProperties(PacketTypes.SUBSCRIBE)
    made.SubscriptionIdentifier = identifier
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
        subscription_ids=tuple(getattr(seen, "SubscriptionIdentifier", ())),
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
        self._unacknowledged: deque[tuple[int, int]] = deque()
        self._loop = asyncio.get_running_loop()
        self._connected: asyncio.Future[Any] = self._loop.create_future()
        self._subscribed: asyncio.Future[Any] = self._loop.create_future()
        client = self._client = Client(
            CallbackAPIVersion.VERSION2,
            options.client_id,
            clean_session=None if is_v5 else options.clean,
            protocol=MQTTProtocolVersion(options.version),
            transport="websockets" if options.transport.startswith("ws") else "tcp",
            manual_ack=not options.acknowledges,
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
            how["properties"] = paho_connect_properties(options)
        client.connect("127.0.0.1", options.port, **how)
        client.loop_start()
        flags, reason, more = await asyncio.wait_for(self._connected, LIMIT)
        assert not reason.is_failure, reason
        self.session_present = flags.session_present
        self.assigned_id = getattr(more, "AssignedClientIdentifier", None)

    async def subscribe(self, topic_filter: str, qos: int, identifier: int | None = None) -> None:
        """Subscribe and wait for SUBACK."""
        self._subscribed = self._loop.create_future()
        self._client.subscribe(topic_filter, qos, properties=paho_subscribe_properties(identifier))
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

    def acknowledge(self) -> None:
        """Acknowledge the oldest message that is not."""
        self._client.ack(*self._unacknowledged.popleft())

    def _on_connect(self, _client: Any, _data: Any, flags: Any, reason: Any, more: Any) -> None:
        self._loop.call_soon_threadsafe(_settle, self._connected, (flags, reason, more))

    def _on_subscribe(self, _client: Any, _data: Any, _mid: int, codes: Any, _props: Any) -> None:
        self._loop.call_soon_threadsafe(_settle, self._subscribed, codes)

    def _on_message(self, _client: Any, _data: Any, message: Any) -> None:
        topic = message.topic
        alias = getattr(message.properties, "TopicAlias", None)
        if alias is not None and topic:
            self._topics[alias] = topic
        elif alias is not None:
            topic = self._topics[alias]
        if message.qos and not self.options.acknowledges:
            self._unacknowledged.append((message.mid, message.qos))
        properties = from_paho(message.properties)
        seen = Message(topic, message.payload, message.qos, bool(message.retain), properties)
        self._loop.call_soon_threadsafe(self.inbox.put_nowait, seen)


def _settle(future: "asyncio.Future[Any]", value: object) -> None:
    if not future.done():
        future.set_result(value)
