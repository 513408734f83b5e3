"""The events that plugins can handle.

A plugin handles the event `e` with a coroutine method named `on_<value of e>`.
"""

from __future__ import annotations

from amqtt._compat import StrEnum


class Events(StrEnum):
    """Base of the enumerations of events."""


class ClientEvents(Events):
    """Events of the client alone; there are none."""


class MQTTEvents(Events):
    """Events of the packets, fired by the broker and by the client."""

    PACKET_SENT = "mqtt_packet_sent"
    PACKET_RECEIVED = "mqtt_packet_received"


class BrokerEvents(Events):
    """Events of the broker, of its clients and of their messages."""

    PRE_START = "broker_pre_start"
    POST_START = "broker_post_start"
    PRE_SHUTDOWN = "broker_pre_shutdown"
    POST_SHUTDOWN = "broker_post_shutdown"
    CLIENT_CONNECTED = "broker_client_connected"
    CLIENT_DISCONNECTED = "broker_client_disconnected"
    CLIENT_SUBSCRIBED = "broker_client_subscribed"
    CLIENT_UNSUBSCRIBED = "broker_client_unsubscribed"
    RETAINED_MESSAGE = "broker_retained_message"
    MESSAGE_RECEIVED = "broker_message_received"
    MESSAGE_BROADCAST = "broker_message_broadcast"
