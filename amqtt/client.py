"""The MQTT client."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from amqtt._client.context import ClientContext
from amqtt._client.inbox import ClientDelivery, MessageStream
from amqtt._client.offline import OfflineQueue
from amqtt._client.packets import CONNECTION_ACCEPTED
from amqtt._client.plugins import load_client_plugins
from amqtt._client.publishing import LEVELS, is_limited, outgoing, publish_settings
from amqtt._client.subscriptions import (
    Subscription,
    check_filter_text,
    engine_filters,
    is_malformed,
    with_refusals,
)
from amqtt._compat import wait_for
from amqtt._engine.codec import PROTOCOL_5_0
from amqtt.contexts import BaseContext, ClientConfig
from amqtt.errors import ClientError, ConnectError, PublishError
from amqtt.mqtt.constants import QOS_0, QOS_1, QOS_2
from amqtt.mqtt.protocol.client_handler import ClientProtocolHandler
from amqtt.plugins.manager import PluginManager
from amqtt.session import (
    ApplicationMessage,
    OutgoingApplicationMessage,
    Session,
)
from amqtt.topics import check_topic_name
from amqtt.utils import gen_client_id

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from typing_extensions import Self

    from amqtt.client_authentication import ClientAuthentication

__all__ = [
    "CONNECTION_ACCEPTED",
    "QOS_0",
    "QOS_1",
    "QOS_2",
    "ApplicationMessage",
    "BaseContext",
    "ClientConfig",
    "ClientContext",
    "ClientError",
    "ClientProtocolHandler",
    "ConnectError",
    "MQTTClient",
    "MessageStream",
    "OutgoingApplicationMessage",
    "PluginManager",
    "PublishError",
    "Session",
    "Subscription",
]

# Publishes at QoS 0 between two waits for the engine to have sent them: the bytes, and what each
# message counts for beside its own.
_UNCONFIRMED_BYTES = 256 * 1024
_UNCONFIRMED_MESSAGE = 400
_PAYLOADS = (bytes, bytearray)
_FIRST_FAILURE = 0x80
_FILTER_INVALID = 0x8F


class MQTTClient(ClientDelivery):
    """Publish and subscribe through an MQTT broker, from asyncio code.

    `async with MQTTClient(...)` connects to the broker of the configuration, and disconnects at the
    end.

    Args:
        client_id: client identifier; None means a random one, an empty text lets the broker
            choose one.
        config: the configuration; a dictionary is read by `ClientConfig.from_dict`, None means
            the defaults.
        authentication: takes part in enhanced authentication (MQTT 5.0); None for none.

    Attributes:
        client_id: as given or chosen, or assigned by the broker.
        config: the configuration.
        plugins_manager: the plugins of the configuration; `disconnect()` closes them.
        session: what is known of the connection; None before the first `connect()`. Its
            `disconnect_reason` is the reason code of the broker's DISCONNECT (MQTT 5.0).
        client_tasks: what pending calls of `deliver_message()` wait for.
        reconnected: a coroutine function that is called each time the client has connected again
            by itself, after a loss of the connection; None for nothing. Its argument tells
            whether the broker had kept the session: if not, the subscriptions are gone, unless
            the configuration has `resubscribe`.
        authentication: as given; may be changed before `connect()`.
        connack_properties: what the broker said when it accepted the client, by name (MQTT 5.0).
        disconnect_properties: what it said when it closed the connection, by name (MQTT 5.0).

    Raises:
        dacite.DaciteError: the dictionary has an unknown key or a value of a wrong type.
        PluginImportError: a configured plugin cannot be imported.
        PluginLoadError: a configured class is no plugin, or its options are wrong.
        PluginInitError: the constructor of a plugin raised.

    """

    def __init__(
        self,
        client_id: str | None = None,
        config: ClientConfig | dict[str, Any] | None = None,
        *,
        authentication: ClientAuthentication | None = None,
    ) -> None:
        """Read the configuration; nothing is connected yet."""
        super().__init__()
        if isinstance(config, dict) or config is None:
            config = ClientConfig.from_dict(config)
        self.config = config
        context = ClientContext()
        context.config = config
        self.plugins_manager = load_client_plugins(context)
        if config.session_file is not None and not client_id:
            msg = "session_file needs a client_id, by which the broker knows the session again"
            raise ClientError(msg)
        self.client_id = gen_client_id() if client_id is None else client_id
        self.authentication = authentication
        self._open_inbox(config)
        self._offline = OfflineQueue(config.offline_queue_messages, config.offline_queue_bytes)
        self._unconfirmed = 0
        self._checked_topic: str | None = None  # the last one: most programs have few

    async def __aenter__(self) -> Self:
        """Connect to the broker of the configuration."""
        await self.connect()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Disconnect."""
        await self.disconnect()

    @property
    def queued_publishes(self) -> int:
        """Messages that wait for the connection to come back."""
        return len(self._offline) + self._unattended()[0]

    def new_session_begins(self) -> None:
        """Forget the subscriptions of the session before; not for applications."""
        self._subscriptions.clear()
        is_kept = self.session is not None and not self.session.clean_session
        if is_kept and self.config.protocol_version == PROTOCOL_5_0:
            self._requests.begin(self.client_id)

    def connection_made(self, session_present: bool) -> None:
        """Prepare for requests on a new connection; not for applications."""
        if self.config.protocol_version == PROTOCOL_5_0:
            self._requests.connected(self, session_present)

    async def connection_restored(self, session_present: bool) -> None:
        """Subscribe again, and send what was put aside; not for applications."""
        if not session_present:
            await self._requests.subscribe_again(self)
            if self.config.resubscribe:
                await self.subscribe_again()
        self._offline.start_sending(self._publish_now)

    async def subscribe_again(self) -> None:
        """Make the subscriptions that the server has forgotten; not for applications."""
        for filters, properties in self._subscriptions.requests():
            await self._request("subscribe", filters, properties)

    # -- publishing

    async def ping(self) -> None:
        """Send PINGREQ and wait for PINGRESP.

        Raises:
            ClientError: the client is not connected and does not try to be.

        """
        await self._request("ping")

    async def publish(
        self,
        topic: str,
        message: bytes | bytearray,
        qos: int | None = None,
        retain: bool | None = None,
        ack_timeout: float | None = None,
        *,
        properties: dict[str, Any] | None = None,
    ) -> OutgoingApplicationMessage:
        """Publish a message and wait until its QoS flow is complete.

        At QoS 0 the message is on its way when the call returns; at QoS 1 PUBACK has come, at
        QoS 2 PUBCOMP. With `offline_queue_messages` in the configuration a message that finds the
        connection lost is put aside, and the call returns at once.

        Args:
            topic: topic name, without wildcards.
            message: payload.
            qos: quality of service, 0 to 2; None means what the configuration has for the topic.
            retain: the retain flag; None means what the configuration has for the topic.
            ack_timeout: seconds to wait for the acknowledgement; None or 0 means without end.
            properties: of PUBLISH in MQTT 5.0 by name, as `content_type` and
                `message_expiry_interval`; `user_property` is a list of pairs.

        Returns:
            The message as it was sent, with the packet that completed its flow.

        Raises:
            ClientError: `qos` is out of range, a property is wrong, the broker has said that it
                does not accept such a message, the queue of messages that were put aside is full,
                or the client is not connected and does not try to be.
            PublishError: the broker has refused the message (MQTT 5.0).
            MQTTError: the topic is empty, has a wildcard, or is no MQTT text (MQTT-3.3.2-2).
            TypeError: the payload is not bytes.
            asyncio.TimeoutError: the acknowledgement did not come in time.

        """
        if qos not in LEVELS or (retain is not True and retain is not False):
            qos, retain = publish_settings(self.config, topic, qos, retain)
        if not isinstance(message, _PAYLOADS):
            msg = f"the payload must be bytes or bytearray, not {type(message).__name__}"
            raise TypeError(msg)
        if topic is not self._checked_topic:
            check_topic_name(topic)
            self._checked_topic = topic
        if properties is not None:
            self._require_5_0("properties of a message")
        if qos == QOS_0 and self._publish_at_once(topic, message, retain, properties):
            return outgoing(None, topic, qos, message, retain, properties)
        if qos != QOS_0 and self.config.session_file is not None:
            packet_id, code, of_answer = await self._publish_kept(
                self._offline if self._is_offline() else None,
                ack_timeout,
                (topic, message, qos, retain, properties),
            )
            sent = outgoing(packet_id, topic, qos, message, retain, properties)
            return self._completed(sent, code, of_answer)
        if self._offline.is_enabled and (self._is_offline() or self._offline.messages):
            self._offline.put(topic, message, qos, retain, properties, self._unattended())
            return outgoing(None, topic, qos, message, retain, properties)
        if ack_timeout:
            return await wait_for(
                self._publish_now(topic, message, qos, retain, properties), ack_timeout
            )
        return await self._publish_now(topic, message, qos, retain, properties)

    async def _publish_now(
        self,
        topic: str,
        message: bytes | bytearray,
        qos: int,
        retain: bool,
        properties: dict[str, Any] | None,
    ) -> OutgoingApplicationMessage:
        packet_id, code, of_answer = await self._request(
            "publish", topic, message, qos, retain, properties
        )
        if qos == QOS_0:  # and the engine has caught up
            self._unconfirmed = 0
            return outgoing(None, topic, qos, message, retain, properties)
        sent = outgoing(packet_id, topic, qos, message, retain, properties)
        return self._completed(sent, code, of_answer)

    def _completed(
        self, sent: OutgoingApplicationMessage, code: int, properties: dict[str, Any] | None
    ) -> OutgoingApplicationMessage:
        if code >= _FIRST_FAILURE:
            raise PublishError(code, properties, topic=sent.topic, server=self._broker_name())
        if sent.packet_id is None:  # it was put aside
            return sent
        if self.config.protocol_version == PROTOCOL_5_0:
            sent.completed(code, properties or {})
        else:
            sent.completed(None, None)
        return sent

    def _is_offline(self) -> bool:
        """Tell whether messages are to be put aside."""
        return (
            self._offline.is_enabled
            and not self._connected_state.is_set()
            and self.session is not None
            and not self._no_more_connections.is_set()
        )

    def _publish_at_once(
        self,
        topic: str,
        message: bytes | bytearray,
        retain: bool,
        properties: dict[str, Any] | None,
    ) -> bool:
        """Hand a message of QoS 0 to the engine if nothing has to be waited for.

        Now and then the engine has to catch up, and what the broker has said that it does not
        accept is to be found out about.

        Returns:
            Whether that was possible.

        """
        reactor = self._reactor
        size = len(topic) + len(message)
        unconfirmed = self._unconfirmed + size + _UNCONFIRMED_MESSAGE
        if (
            unconfirmed > _UNCONFIRMED_BYTES
            or self._waiting
            or reactor is None
            or not self._connected_state.is_set()
            or self._offline.messages
            or asyncio.get_running_loop() is not reactor.loop
            or (
                self.connack_properties
                and is_limited(self.connack_properties, size, retain, properties)
            )
        ):
            return False
        self._unconfirmed = unconfirmed
        try:
            if reactor.engine.publish(self._handle, 0, topic, message, QOS_0, retain, properties):
                reactor.flush_soon()
        except (ValueError, OverflowError) as error:
            raise ClientError(str(error)) from error
        return True

    # -- subscribing

    async def subscribe(
        self,
        topics: Sequence[tuple[str, int] | Subscription],
        properties: dict[str, Any] | None = None,
    ) -> list[int]:
        """Subscribe to topic filters.

        Args:
            topics: pairs of filter and the highest QoS to receive, 0 to 2, or subscriptions.
            properties: of SUBSCRIBE in MQTT 5.0 by name, as `subscription_identifier`.

        Returns:
            A return code for each filter, in their order: the QoS that was granted, or 0x80 or
            more for a filter that the broker refuses, or that is none and was not sent.

        Raises:
            ClientError: a QoS is out of range, there is no filter, something needs MQTT 5.0, or
                the client is not connected and does not try to be.

        """
        is_5_0 = self.config.protocol_version == PROTOCOL_5_0
        filters = engine_filters(topics, has_options=is_5_0)
        if properties:
            self._require_5_0("properties of a subscription")
        malformed = [is_malformed(each[0]) for each in filters]
        good = [each for each, is_bad in zip(filters, malformed, strict=True) if not is_bad]
        codes = await self._request_of_filters("subscribe", good, properties)
        self._note_subscribed(good, codes, properties)
        return with_refusals(codes, malformed, _FILTER_INVALID if is_5_0 else _FIRST_FAILURE)

    async def _request_of_filters(
        self, command: str, filters: Sequence[Any], properties: dict[str, Any] | None
    ) -> Sequence[int]:
        if not filters:  # the connection counts all the same
            await self._wait_connected()
            return []
        codes: Sequence[int] = (await self._request(command, filters, properties))[0]
        return codes

    async def unsubscribe(
        self, topics: Sequence[str], properties: dict[str, Any] | None = None
    ) -> list[int] | None:
        """Remove subscriptions.

        Args:
            topics: the filters, as they were given to `subscribe()`.
            properties: of UNSUBSCRIBE in MQTT 5.0 by name.

        Returns:
            A reason code for each filter in MQTT 5.0; None in MQTT 3, which has none.

        Raises:
            ClientError: there is no filter, or the client is not connected and does not try to be.

        """
        filters = list(topics)
        for each in filters:
            check_filter_text(each)
        if not filters:
            msg = "[MQTT-3.10.3-2] unsubscribe() needs at least one topic filter"
            raise ClientError(msg)
        if properties:
            self._require_5_0("properties of UNSUBSCRIBE")
        malformed = [is_malformed(each) for each in filters]
        good = [each for each, is_bad in zip(filters, malformed, strict=True) if not is_bad]
        codes = await self._request_of_filters("unsubscribe", good, properties)
        self._note_unsubscribed(good)
        if self.config.protocol_version != PROTOCOL_5_0:
            return None
        return with_refusals(codes, malformed, _FILTER_INVALID)

    def _require_5_0(self, what: str) -> None:
        if self.config.protocol_version != PROTOCOL_5_0:
            msg = f"{what} need protocol_version 5"
            raise ClientError(msg)

    # -- requests

    async def request(
        self,
        topic: str,
        payload: bytes | bytearray,
        *,
        qos: int = QOS_1,
        timeout: float | None = None,  # the contract of such helpers
        properties: dict[str, Any] | None = None,
    ) -> ApplicationMessage:
        """Publish a request and wait for the response (MQTT 5.0, section 4.10).

        Args:
            topic: topic of the request.
            payload: its payload.
            qos: its quality of service, and the highest of the response.
            timeout: seconds to wait for the response; None means without end.
            properties: further properties of the request. `response_topic` is the topic to
                respond to in place of the client's own, `correlation_data` what to tell the
                response by.

        Returns:
            The first response.

        Raises:
            ClientError: the protocol is not MQTT 5.0, the client is not connected and does not try
                to be, or another request waits with the same `correlation_data`.
            PublishError: the broker has refused the request.
            asyncio.TimeoutError: no response came in time.

        """
        self._require_5_0("requests")
        exchange = self._requests.run(self, topic, payload, qos, properties or {})
        return await wait_for(exchange, timeout)
