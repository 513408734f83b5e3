"""Messages of a broker's engine, as plugins and applications see them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from amqtt.mqtt.constants import QOS_1, QOS_2
from amqtt.mqtt.puback import PubackPacket
from amqtt.mqtt.pubrec import PubrecPacket
from amqtt.session import IncomingApplicationMessage, RetainedApplicationMessage

if TYPE_CHECKING:
    from amqtt._engine.types import Message
    from amqtt.session import Session

Ack = TypeVar("Ack", PubackPacket, PubrecPacket)


# What is asked of the engine when somebody reads it. Most plugins look at little of it.
_OF_ENGINE = frozenset(("topic", "qos", "retain"))


class LazyMessage(IncomingApplicationMessage):
    """A message that copies its payload from the engine when somebody reads it.

    The broker answers a QoS 1 message with a PUBACK and a QoS 2 message with a PUBREC as it takes
    it over, which is when plugins are told of it. `puback_packet` and `pubrec_packet` are made when
    they are read, and have no reason code: what becomes of the message is decided later.
    `pubrel_packet` and `pubcomp_packet` are None, as the message does not wait for them.

    Args:
        message: the engine's message.
        packet_id: packet identifier; 0 means none.
        retain: whether it is a retained message; None means as its publisher said.

    """

    __slots__ = ("_acknowledgement", "_data", "_given_retain", "_message", "_properties")

    _acknowledgement: PubackPacket | PubrecPacket | None
    _data: bytes | bytearray | None
    _properties: dict[str, Any] | None

    _first_values: ClassVar[Mapping[str, Any]] = {
        **IncomingApplicationMessage._first_values,
        **dict.fromkeys(("_acknowledgement", "_data", "_properties")),
    }

    def __init__(self, message: Message, packet_id: int = 0, retain: bool | None = None) -> None:
        """Take over an engine's message; the rest is done when somebody looks at it."""
        self._message = message
        self.packet_id = packet_id or None
        self._given_retain = retain

    def __getattr__(self, name: str) -> Any:
        """Find the value of an attribute that has neither been read nor written so far."""
        if name not in _OF_ENGINE:
            return super().__getattr__(name)
        is_given = name == "retain" and self._given_retain is not None
        value = self._given_retain if is_given else getattr(self._message, name)
        setattr(self, name, value)
        return value

    @property
    def data(self) -> bytes | bytearray:
        """The payload."""
        if self._data is None:
            self._data = self._message.payload
        return self._data

    @data.setter
    def data(self, value: bytes | bytearray) -> None:
        self._data = value

    @property
    def properties(self) -> dict[str, Any]:
        """The properties of MQTT 5.0 that travel with the message."""
        if self._properties is None:
            self._properties = self._message.properties
        return self._properties

    @properties.setter
    def properties(self, value: dict[str, Any]) -> None:
        self._properties = value

    @property
    def puback_packet(self) -> PubackPacket | None:
        """The PUBACK of a QoS 1 message."""
        return self._acknowledge(QOS_1, PubackPacket)

    @puback_packet.setter
    def puback_packet(self, value: PubackPacket | None) -> None:
        self._acknowledgement = value

    @property
    def pubrec_packet(self) -> PubrecPacket | None:
        """The PUBREC of a QoS 2 message."""
        return self._acknowledge(QOS_2, PubrecPacket)

    @pubrec_packet.setter
    def pubrec_packet(self, value: PubrecPacket | None) -> None:
        self._acknowledgement = value

    def _acknowledge(self, qos: int, packet_class: type[Ack]) -> Ack | None:
        if self.qos != qos or self.packet_id is None:
            return None
        if not isinstance(self._acknowledgement, packet_class):
            self._acknowledgement = packet_class.build(self.packet_id)
        return self._acknowledgement


def retained_message(message: Message, source: Session | None = None) -> RetainedApplicationMessage:
    """Make the Python form of a retained message."""
    retained = RetainedApplicationMessage(source, message.topic, message.payload, message.qos)
    retained.properties = message.properties
    return retained
