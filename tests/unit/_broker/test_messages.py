"""Messages of the engine that find their values when somebody looks."""

from __future__ import annotations

import copy
from typing import Any, ClassVar

import pytest

from amqtt._broker.messages import LazyMessage
from amqtt.mqtt.puback import PubackPacket
from amqtt.session import INCOMING, IncomingApplicationMessage


class EngineMessage:
    """Counts what is read."""

    VALUES: ClassVar[dict[str, Any]] = {
        "topic": "a/b", "payload": b"data", "qos": 1, "retain": True,
        "properties": {"content_type": "x"},
    }  # fmt: skip

    def __init__(self) -> None:
        self.read: list[str] = []

    def __getattr__(self, name: str) -> Any:
        if name not in self.VALUES:
            raise AttributeError(name)
        self.read.append(name)
        return self.VALUES[name]


def message_of(packet_id: int = 0, retain: bool | None = None) -> LazyMessage:
    return LazyMessage(EngineMessage(), packet_id, retain)  # type: ignore[arg-type]


def test_values_are_the_engines() -> None:
    message = message_of(5)
    assert isinstance(message, IncomingApplicationMessage)
    assert (message.packet_id, message.topic, message.qos) == (5, "a/b", 1)
    assert (message.data, message.retain) == (b"data", True)
    assert message.properties == {"content_type": "x"}
    assert (message.direction, message.connection) == (INCOMING, None)
    assert isinstance(message.puback_packet, PubackPacket)
    assert (message.pubrec_packet, message.pubrel_packet, message.pubcomp_packet) == (None,) * 3
    assert message.publish_packet.topic_name == "a/b"
    assert "topic='a/b'" in repr(message)


def test_nothing_is_read_that_nobody_asks_for() -> None:
    engine = EngineMessage()
    message = LazyMessage(engine, 0)  # type: ignore[arg-type]
    assert engine.read == []
    assert message.packet_id is None
    assert [message.topic, message.topic] == ["a/b", "a/b"]
    assert engine.read == ["topic"]


def test_what_was_written_first_stays() -> None:
    message = message_of()
    message.topic, message.data, message.qos, message.retain = "x", b"other", 0, False
    message.properties = {}
    message.direction = 7
    assert (message.topic, message.data, message.qos, message.retain) == ("x", b"other", 0, False)
    assert (message.properties, message.direction) == ({}, 7)
    assert message.connection is None


@pytest.mark.parametrize("retain", [True, False])
def test_the_retain_flag_may_be_given(retain: bool) -> None:
    assert message_of(retain=retain).retain is retain


def test_a_copy_is_a_message_of_its_own() -> None:
    message = message_of(3)
    twin = copy.copy(message)
    twin.topic = "other"
    assert (message.topic, twin.topic, twin.data, twin.packet_id) == ("a/b", "other", b"data", 3)


def test_there_are_no_other_attributes() -> None:
    message = message_of()
    with pytest.raises(AttributeError, match="no attribute 'colour'"):
        message.colour  # noqa: B018
    assert not hasattr(message, "__setstate__")
