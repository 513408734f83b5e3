"""Sessions and application messages, as plugins and applications see them."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, ClassVar

from amqtt._engine.states import StateMachine
from amqtt.errors import AMQTTError
from amqtt.logs import printable
from amqtt.mqtt.puback import PubackPacket
from amqtt.mqtt.pubcomp import PubcompPacket
from amqtt.mqtt.publish import PublishPacket
from amqtt.mqtt.pubrec import PubrecPacket
from amqtt.mqtt.pubrel import PubrelPacket

OUTGOING = 0
INCOMING = 1

_MAX_PACKET_ID = 65535
_ACKNOWLEDGEMENTS = ("puback_packet", "pubrec_packet", "pubrel_packet", "pubcomp_packet")


class ApplicationMessage:
    """Hold one message and the packets of its delivery.

    Two messages are equal when their packet ids are, whatever else they hold. `properties` are
    those of MQTT 5.0 by name (docs/reference/packets.md lists them), or None.

    Args:
        packet_id: packet identifier; None with QoS 0.
        topic: topic name.
        qos: quality of service, 0 to 2, or None when it is not decided.
        data: payload.
        retain: the retain flag.

    Attributes:
        properties: properties of MQTT 5.0 by their names in lower case with underscores;
            `user_property` is a list of pairs.
        received_size: of a message that a client has received, the bytes of its topic, payload and
            properties as they came; else 0.

    """

    __slots__ = (
        "_publish_packet",
        "data",
        "packet_id",
        "properties",
        "puback_packet",
        "pubcomp_packet",
        "pubrec_packet",
        "pubrel_packet",
        "qos",
        "received_size",
        "retain",
        "topic",
    )

    puback_packet: PubackPacket | None
    pubrec_packet: PubrecPacket | None
    pubrel_packet: PubrelPacket | None
    pubcomp_packet: PubcompPacket | None
    _publish_packet: PublishPacket | None
    received_size: int

    # Of attributes that have not been set.
    _first_values: ClassVar[Mapping[str, Any]] = {
        **dict.fromkeys((*_ACKNOWLEDGEMENTS, "_publish_packet")),
        "received_size": 0,
    }

    __hash__ = None  # type: ignore[assignment]  # packet ids are reused, so a hash would mislead

    def __init__(
        self,
        packet_id: int | None,
        topic: str,
        qos: int | None,
        data: bytes | bytearray,
        retain: bool,
    ) -> None:
        """Make a message that has not been sent or acknowledged."""
        self.packet_id = packet_id
        self.topic = topic
        self.qos = qos
        self.data = data
        self.retain = retain
        # The rest has its first value from __getattr__: there may be many messages a second.
        self.properties: dict[str, Any] | None = None

    def __getattr__(self, name: str) -> Any:
        """Return the first value of what has not been set."""
        if name in self._first_values:
            return self._first_values[name]
        msg = f"{type(self).__name__!r} object has no attribute {name!r}"
        raise AttributeError(msg)

    @property
    def publish_packet(self) -> PublishPacket:
        """The PUBLISH that carries the message; it is made when it is first asked for.

        Raises:
            MQTTError: the topic has a wildcard.

        """
        if self._publish_packet is None:
            self._publish_packet = self.build_publish_packet()
        return self._publish_packet

    @publish_packet.setter
    def publish_packet(self, packet: PublishPacket | None) -> None:
        self._publish_packet = packet

    def build_publish_packet(self, dup: bool = False) -> PublishPacket:
        """Make a PUBLISH of the message.

        Args:
            dup: whether it repeats an earlier one.

        Returns:
            The packet; one of MQTT 5.0 if the message has `properties`.

        Raises:
            MQTTError: the topic has a wildcard.

        """
        return PublishPacket.build(
            self.topic, self.data, self.packet_id, dup, self.qos, self.retain, self.properties
        )

    def __eq__(self, other: object) -> bool:
        """Compare the packet ids."""
        if not isinstance(other, ApplicationMessage):
            return NotImplemented
        return self.packet_id == other.packet_id

    def __repr__(self) -> str:
        """Describe the message without its payload, which may be large."""
        return (
            f"{type(self).__name__}(packet_id={self.packet_id}, topic={self.topic!r}, "
            f"qos={self.qos}, retain={self.retain}, size={len(self.data)})"
        )


class IncomingApplicationMessage(ApplicationMessage):
    """Hold a message that the peer sent.

    Attributes:
        connection: in a client, the number of the connection it came on.

    """

    __slots__ = ("connection", "direction")

    direction: int
    connection: int | None

    _first_values: ClassVar[Mapping[str, Any]] = {
        **ApplicationMessage._first_values,
        "connection": None,
        "direction": INCOMING,
    }


class OutgoingApplicationMessage(ApplicationMessage):
    """Hold a message for the peer.

    Attributes:
        reason_code: the Reason Code with which a client's message was accepted (MQTT 5.0): 0, or
            0x10 when nobody has subscribed to its topic.

    """

    __slots__ = ("_answer", "_reason_code", "direction")

    direction: int
    _answer: tuple[int | None, dict[str, Any] | None] | None
    _reason_code: int | None

    _first_values: ClassVar[Mapping[str, Any]] = {
        **ApplicationMessage._first_values,
        "_answer": None,
        "_reason_code": None,
        "direction": OUTGOING,
    }

    @property
    def reason_code(self) -> int:
        """The Reason Code with which the message was accepted."""
        return self._reason_code or 0

    @reason_code.setter
    def reason_code(self, code: int) -> None:
        self._reason_code = code

    def completed(self, reason_code: int | None, properties: dict[str, Any] | None) -> None:
        """Note what has completed the flow of a message of QoS 1 or 2.

        The packets are made when they are first asked for.

        Args:
            reason_code: of the last one, in MQTT 5.0; None in MQTT 3.
            properties: likewise.

        """
        self._reason_code = reason_code
        self._answer = reason_code, properties

    def __getattr__(self, name: str) -> Any:
        """Make the acknowledgements of a message that is acknowledged."""
        if name not in _ACKNOWLEDGEMENTS or self._answer is None or self.packet_id is None:
            return super().__getattr__(name)
        if (name == "puback_packet") != (self.qos == 1):
            return None
        reason_code, properties = self._answer
        if self.qos == 1:
            self.puback_packet = PubackPacket.build(self.packet_id, reason_code, properties)
        else:
            first = None if reason_code is None else 0
            self.pubrec_packet = PubrecPacket.build(self.packet_id, first)
            self.pubrel_packet = PubrelPacket.build(self.packet_id, first)
            self.pubcomp_packet = PubcompPacket.build(self.packet_id, reason_code, properties)
        return object.__getattribute__(self, name)


class RetainedApplicationMessage(ApplicationMessage):
    """Hold a message that is kept for subscribers to come.

    Args:
        source_session: the session of the publisher; None for messages of the server.
        topic: topic name.
        data: payload.
        qos: quality of service, or None when it is not decided.

    """

    __slots__ = ("source_session",)

    def __init__(
        self,
        source_session: Session | None,
        topic: str,
        data: bytes | bytearray,
        qos: int | None = None,
    ) -> None:
        """Make a retained message."""
        super().__init__(None, topic, qos, data, True)
        self.source_session = source_session


class SessionTransitions(StateMachine):
    """Keep the state of a session and the times of its last changes.

    The states are `new`, `connected` and `disconnected`. Times are whole seconds since the epoch.
    """

    __slots__ = ("last_connect_time", "last_disconnect_time")

    def __init__(self) -> None:
        """Begin in the state `new`."""
        super().__init__()
        self.last_connect_time: int | None = None
        self.last_disconnect_time: int | None = None

    def connect(self) -> bool:
        """Enter the state `connected`.

        Returns:
            True.

        Raises:
            transitions.MachineError: the session is connected already.

        """
        self._enter("connect", ("new", "disconnected"), "connected")
        self.last_connect_time = int(time.time())
        self.last_disconnect_time = None
        return True

    def disconnect(self) -> bool:
        """Enter the state `disconnected`, from any state.

        Returns:
            True.

        """
        self.state = "disconnected"
        self.last_disconnect_time = int(time.time())
        return True

    def is_connected(self) -> bool:
        """Tell whether the session is connected."""
        return self.state == "connected"

    def is_disconnected(self) -> bool:
        """Tell whether the session was connected, or was made, and is not connected now."""
        return self.state == "disconnected"


class Session:
    """Hold what is known of one client: the connection, the will, the messages on their way.

    Sessions are equal when their client ids are. A session can be pickled unless it has an
    `ssl_object`; its two queues are empty in the copy.

    Attributes:
        protocol_version: 3 for MQTT 3.1, 4 for 3.1.1, 5 for 5.0.
        properties: the properties of CONNECT in MQTT 5.0, by their names in lower case with
            underscores; `user_property` is a list of pairs.
        disconnect_reason: the reason code with which the last connection ended, in the terms of
            MQTT 5.0; None while none has ended.

    """

    states: ClassVar[list[str]] = ["new", "connected", "disconnected"]

    __hash__ = None  # type: ignore[assignment]  # the client id may still change

    def __init__(self) -> None:
        """Make a session in the state `new`."""
        self.remote_address: str | None = None
        self.remote_port: int | None = None
        self.client_id: str | None = None
        self.clean_session: bool | None = None
        self.will_flag: bool = False
        self.will_message: bytes | bytearray | None = None
        self.will_qos: int | None = None
        self.will_retain: bool | None = None
        self.will_topic: str | None = None
        self.keep_alive: int = 0
        self.publish_retry_delay: int = 0
        self.broker_uri: str | None = None
        self.username: str | None = None
        self.password: str | bytes | None = None
        self.cafile: Any = None
        self.capath: Any = None
        self.cadata: Any = None
        self.parent: int = 0
        self.ssl_object: Any = None
        self.is_anonymous: bool = False
        self.protocol_version: int = 4
        self.properties: dict[str, Any] = {}
        self.disconnect_reason: int | None = None
        self.attributes: dict[str, Any] = {}
        self.inflight_out: OrderedDict[int, OutgoingApplicationMessage] = OrderedDict()
        self.inflight_in: OrderedDict[int, IncomingApplicationMessage] = OrderedDict()
        self.transitions = SessionTransitions()
        self._packet_id = 0
        # Made on first use: a queue is larger than everything else an idle session holds.
        self._retained_messages: asyncio.Queue[Any] | None = None
        self._delivered_message_queue: asyncio.Queue[Any] | None = None

    @property
    def last_connect_time(self) -> int | None:
        """When the session was connected last, in seconds since the epoch."""
        return self.transitions.last_connect_time

    @last_connect_time.setter
    def last_connect_time(self, value: int | None) -> None:
        self.transitions.last_connect_time = value

    @property
    def last_disconnect_time(self) -> int | None:
        """When the session was disconnected, in seconds since the epoch; None while connected."""
        return self.transitions.last_disconnect_time

    @last_disconnect_time.setter
    def last_disconnect_time(self, value: int | None) -> None:
        self.transitions.last_disconnect_time = value

    @property
    def retained_messages(self) -> asyncio.Queue[Any]:
        """The messages that wait until the client connects again."""
        if self._retained_messages is None:
            self._retained_messages = asyncio.Queue()
        return self._retained_messages

    @retained_messages.setter
    def retained_messages(self, queue: asyncio.Queue[Any]) -> None:
        self._retained_messages = queue

    @property
    def delivered_message_queue(self) -> asyncio.Queue[Any]:
        """The received messages that the application has not taken yet."""
        if self._delivered_message_queue is None:
            self._delivered_message_queue = asyncio.Queue()
        return self._delivered_message_queue

    @delivered_message_queue.setter
    def delivered_message_queue(self, queue: asyncio.Queue[Any]) -> None:
        self._delivered_message_queue = queue

    @property
    def next_packet_id(self) -> int:
        """Take the next packet id that is not in flight; each read advances.

        Raises:
            AMQTTError: all 65535 ids are in flight.

        """
        for _ in range(_MAX_PACKET_ID):
            self._packet_id = self._packet_id % _MAX_PACKET_ID + 1
            if self._packet_id not in self.inflight_out and self._packet_id not in self.inflight_in:
                return self._packet_id
        msg = f"No free packet id: {_MAX_PACKET_ID} messages are in flight"
        raise AMQTTError(msg)

    @property
    def inflight_in_count(self) -> int:
        """The number of received messages whose handshake is not complete."""
        return len(self.inflight_in)

    @property
    def inflight_out_count(self) -> int:
        """The number of sent messages that are not acknowledged."""
        return len(self.inflight_out)

    @property
    def retained_messages_count(self) -> int:
        """The number of messages that wait until the client connects again."""
        return self._retained_messages.qsize() if self._retained_messages is not None else 0

    def clear_queues(self) -> None:
        """Drop the messages of both queues."""
        for queue in (self._retained_messages, self._delivered_message_queue):
            while queue is not None and not queue.empty():
                queue.get_nowait()

    def __eq__(self, other: object) -> bool:
        """Compare the client ids."""
        if not isinstance(other, Session):
            return NotImplemented
        return self.client_id == other.client_id

    def __repr__(self) -> str:
        """Name the client and the state."""
        return f"Session(clientId={printable(self.client_id)}, state={self.transitions.state})"

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the queues: they may belong to a running event loop."""
        return {**self.__dict__, "_retained_messages": None, "_delivered_message_queue": None}
