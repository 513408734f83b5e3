from __future__ import annotations

import asyncio
import pickle
import time
from typing import Any

import pytest
from transitions import MachineError

from amqtt.errors import AMQTTError
from amqtt.mqtt.publish import PublishPacket
from amqtt.session import (
    INCOMING,
    OUTGOING,
    ApplicationMessage,
    IncomingApplicationMessage,
    OutgoingApplicationMessage,
    Session,
)

ACKNOWLEDGEMENTS = ["puback_packet", "pubrec_packet", "pubrel_packet", "pubcomp_packet"]


def make_message(packet_id: int | None = 1, topic: str = "a") -> OutgoingApplicationMessage:
    return OutgoingApplicationMessage(packet_id, topic, 1, b"data", False)


def make_session(client_id: str | None) -> Session:
    session = Session()
    session.client_id = client_id
    return session


class TestApplicationMessage:
    def test_attributes(self) -> None:
        message = ApplicationMessage(7, "a/b", 2, b"x", True)
        assert (message.packet_id, message.topic, message.qos) == (7, "a/b", 2)
        assert (message.data, message.retain) == (b"x", True)

    @pytest.mark.parametrize("name", ["properties", *ACKNOWLEDGEMENTS])
    def test_what_is_not_known_yet_is_none(self, name: str) -> None:
        assert getattr(make_message(), name) is None

    def test_publish_packet_has_what_the_message_has(self) -> None:
        message = IncomingApplicationMessage(7, "a/b", 2, b"x", True)
        packet = message.publish_packet
        assert packet.variable_header is not None
        assert packet.variable_header.topic_name == "a/b"
        assert (packet.packet_id, packet.data, packet.qos) == (7, b"x", 2)
        assert packet.retain_flag
        assert not packet.dup_flag
        assert packet.properties is None
        assert message.publish_packet is packet

    def test_publish_packet_can_be_set(self) -> None:
        message = make_message()
        packet = PublishPacket.build("other", b"", None, False, 0, False)
        message.publish_packet = packet
        assert message.publish_packet is packet

    def test_publish_packet_of_a_message_with_properties(self) -> None:
        message = make_message()
        message.properties = {"content_type": "text/plain"}
        assert message.publish_packet.protocol_version == 5
        assert message.publish_packet.properties == {"content_type": "text/plain"}

    def test_build_publish_packet(self) -> None:
        packet = make_message(3).build_publish_packet(dup=True)
        assert packet.dup_flag
        assert packet.to_bytes() == b"\x3a\x09\x00\x01a\x00\x03data"

    def test_message_of_undecided_qos_is_packed_as_qos_0(self) -> None:
        message = ApplicationMessage(None, "a", None, b"", False)
        assert message.build_publish_packet().to_bytes() == b"\x30\x03\x00\x01a"

    @pytest.mark.parametrize(
        ("cls", "direction"),
        [(IncomingApplicationMessage, INCOMING), (OutgoingApplicationMessage, OUTGOING)],
    )
    def test_direction(self, cls: Any, direction: int) -> None:
        assert cls(None, "a", 0, b"", False).direction == direction

    @pytest.mark.parametrize(
        "cls", [ApplicationMessage, IncomingApplicationMessage, OutgoingApplicationMessage]
    )
    def test_no_other_attributes(self, cls: Any) -> None:
        with pytest.raises(AttributeError):
            cls(None, "a", 0, b"", False).other = 1

    def test_equal_by_packet_id(self) -> None:
        received = IncomingApplicationMessage(1, "other", 2, b"else", True)
        assert make_message(1) == received
        assert make_message(1) != make_message(2)
        assert make_message(None) == make_message(None, "b")
        assert make_message(1) != 1

    def test_unhashable(self) -> None:
        with pytest.raises(TypeError, match="unhashable"):
            hash(make_message())

    def test_repr_leaves_out_the_payload(self) -> None:
        message = OutgoingApplicationMessage(1, "a", 0, bytes(10_000), False)
        assert "size=10000" in repr(message)
        assert len(repr(message)) < 200


class TestTransitions:
    def test_life(self) -> None:
        session = Session()
        states = session.transitions
        assert states.state == "new"
        assert states.is_new()
        assert states.connect() is True
        assert states.is_connected()
        assert not states.is_new()
        assert states.disconnect() is True
        assert states.is_disconnected()
        assert states.connect() is True
        assert states.state == "connected"

    def test_connected_session_cannot_connect(self) -> None:
        session = Session()
        session.transitions.connect()
        with pytest.raises(MachineError):
            session.transitions.connect()
        assert session.transitions.is_connected()

    def test_disconnect_from_any_state(self) -> None:
        session = Session()
        assert session.transitions.disconnect()
        assert session.transitions.disconnect()
        assert session.transitions.is_disconnected()

    def test_times(self) -> None:
        session = Session()
        assert session.last_connect_time is None
        before = int(time.time())
        session.transitions.connect()
        session.transitions.disconnect()
        after = int(time.time())
        assert session.last_connect_time is not None
        assert session.last_disconnect_time is not None
        assert before <= session.last_connect_time <= session.last_disconnect_time <= after
        session.transitions.connect()
        assert session.last_disconnect_time is None

    def test_times_can_be_set(self) -> None:
        session = Session()
        session.last_connect_time = 1
        session.last_disconnect_time = 2
        assert (session.last_connect_time, session.last_disconnect_time) == (1, 2)

    def test_states_are_listed(self) -> None:
        assert Session.states == ["new", "connected", "disconnected"]


class TestPacketIds:
    def test_each_read_advances(self) -> None:
        session = Session()
        assert [session.next_packet_id for _ in range(3)] == [1, 2, 3]

    def test_wraps_to_one(self) -> None:
        session = Session()
        ids = [session.next_packet_id for _ in range(65536)]
        assert ids[-2:] == [65535, 1]
        assert min(ids) == 1

    def test_skips_ids_in_flight(self) -> None:
        session = Session()
        session.inflight_out[1] = make_message(1)
        session.inflight_in[2] = IncomingApplicationMessage(2, "a", 2, b"", False)
        assert session.next_packet_id == 3

    def test_none_free(self) -> None:
        session = Session()
        message = make_message()
        session.inflight_out.update(dict.fromkeys(range(1, 65536), message))
        with pytest.raises(AMQTTError, match="65535"):
            _ = session.next_packet_id
        del session.inflight_out[300]
        assert session.next_packet_id == 300


class TestSession:
    def test_equal_by_client_id(self) -> None:
        assert make_session("a") == make_session("a")
        assert make_session("a") != make_session("b")
        assert make_session("a") != "a"

    def test_unhashable(self) -> None:
        with pytest.raises(TypeError, match="unhashable"):
            hash(Session())

    def test_repr(self) -> None:
        assert repr(make_session("lamp")) == "Session(clientId=lamp, state=new)"

    def test_initial_values(self) -> None:
        session = Session()
        assert session.keep_alive == 0
        assert session.parent == 0
        assert session.will_flag is False
        assert session.is_anonymous is False
        assert session.attributes == {}
        assert session.attributes is not Session().attributes
        unset = ["client_id", "clean_session", "username", "password", "ssl_object", "will_topic"]
        assert all(getattr(session, name) is None for name in unset)

    def test_counts(self) -> None:
        session = Session()
        assert session.retained_messages_count == 0
        session.inflight_out[1] = make_message(1)
        session.retained_messages.put_nowait(make_message())
        assert session.inflight_out_count == 1
        assert session.inflight_in_count == 0
        assert session.retained_messages_count == 1

    def test_queues_stay_the_same(self) -> None:
        session = Session()
        assert session.retained_messages is session.retained_messages
        assert session.delivered_message_queue is session.delivered_message_queue
        assert session.retained_messages is not session.delivered_message_queue

    def test_queues_can_be_replaced(self) -> None:
        session = Session()
        queue: asyncio.Queue[Any] = asyncio.Queue()
        session.retained_messages = queue
        session.delivered_message_queue = queue
        assert session.retained_messages is session.delivered_message_queue is queue

    def test_clear_queues(self) -> None:
        session = Session()
        session.clear_queues()
        session.retained_messages.put_nowait(make_message())
        session.delivered_message_queue.put_nowait(make_message())
        session.clear_queues()
        assert session.retained_messages.empty()
        assert session.delivered_message_queue.empty()

    async def test_plugin_may_put_a_message(self) -> None:
        session = Session()
        message = make_message()
        await session.retained_messages.put(message)
        assert await session.retained_messages.get() is message


class TestPickle:
    @pytest.mark.parametrize("state", Session.states)
    def test_any_state(self, state: str) -> None:
        session = make_session("lamp")
        session.transitions.state = state
        session.inflight_out[5] = make_message(5)
        session.attributes["plugin.key"] = 1
        session.retained_messages.put_nowait(make_message())
        copy = pickle.loads(pickle.dumps(session))
        assert copy == session
        assert copy.transitions.state == state
        assert copy.inflight_out[5].topic == "a"
        assert copy.attributes == {"plugin.key": 1}
        assert copy.retained_messages.empty()
        assert copy.delivered_message_queue.empty()

    def test_original_keeps_its_queues(self) -> None:
        session = Session()
        session.retained_messages.put_nowait(make_message())
        pickle.dumps(session)
        assert session.retained_messages_count == 1

    def test_copy_goes_on(self) -> None:
        session = Session()
        session.transitions.connect()
        assert session.next_packet_id == 1
        copy = pickle.loads(pickle.dumps(session))
        assert copy.next_packet_id == 2
        assert copy.last_connect_time == session.last_connect_time
        assert copy.transitions.disconnect()
        assert session.transitions.is_connected()
