"""What the package consists of: modules, names, constants, entry points, packets on the wire."""

from __future__ import annotations

import importlib
import subprocess
import sys
from importlib.metadata import distribution
from typing import Any

import pytest
from support.python import python_environment

import amqtt
from amqtt.adapters import BufferReader, BufferWriter
from amqtt.contexts import Action, ListenerType
from amqtt.errors import AMQTTError, MQTTError, NoDataError
from amqtt.mqtt import packet_class
from amqtt.mqtt.connack import ConnackPacket
from amqtt.mqtt.connect import ConnectPacket, ConnectPayload, ConnectVariableHeader
from amqtt.mqtt.packet import MQTTFixedHeader, PacketIdVariableHeader
from amqtt.mqtt.publish import PublishPacket, PublishPayload, PublishVariableHeader
from amqtt.mqtt.pubrel import PubrelPacket
from amqtt.mqtt.suback import SubackPacket, SubackPayload
from amqtt.mqtt.subscribe import SubscribePacket
from amqtt.mqtt.unsubscribe import UnsubscribePacket, UnubscribePayload
from amqtt.utils import format_client_message, gen_client_id

# -- names

NAMES = {
    "amqtt.adapters": "ReaderAdapter WriterAdapter StreamReaderAdapter StreamWriterAdapter"
    " WebSocketsReader WebSocketsWriter BufferReader BufferWriter",
    "amqtt.broker": "Broker BrokerContext RetainedApplicationMessage DEFAULT_PORTS Action"
    " BaseContext BrokerConfig ListenerConfig ListenerType BrokerError BrokerEvents PluginManager"
    " BrokerProtocolHandler QOS_0 QOS_1 QOS_2",
    "amqtt.client": "MQTTClient ClientContext ClientError ConnectError CONNECTION_ACCEPTED"
    " BaseContext ClientConfig ApplicationMessage OutgoingApplicationMessage Session"
    " PluginManager ClientProtocolHandler QOS_0 QOS_1 QOS_2",
    "amqtt.codecs_amqtt": "bytes_to_hex_str bytes_to_int int_to_bytes read_or_raise decode_string"
    " decode_data_with_length encode_string encode_data_with_length decode_packet_id"
    " int_to_bytes_str float_to_bytes_str",
    "amqtt.contexts": "BaseContext Action ListenerType Dictable ListenerConfig BrokerConfig"
    " ConnectionConfig TopicConfig WillConfig ClientConfig default_listeners"
    " default_broker_plugins default_client_plugins",
    "amqtt.errors": "AMQTTError MQTTError CodecError NoDataError ZeroLengthReadError BrokerError"
    " ClientError ConnectError ProtocolHandlerError PluginError PluginImportError PluginCoroError"
    " PluginInitError PluginLoadError",
    "amqtt.events": "Events ClientEvents MQTTEvents BrokerEvents",
    "amqtt.session": "Session ApplicationMessage IncomingApplicationMessage"
    " OutgoingApplicationMessage OUTGOING INCOMING",
    "amqtt.utils": "format_client_message gen_client_id read_yaml_config cached_import"
    " import_string",
    "amqtt.mqtt": "MQTTPacket packet_class packet_dict MQTTFixedHeader ConnectPacket ConnackPacket"
    " PublishPacket PubackPacket PubrecPacket PubrelPacket PubcompPacket SubscribePacket"
    " SubackPacket UnsubscribePacket UnsubackPacket PingReqPacket PingRespPacket DisconnectPacket"
    " CONNECT CONNACK PUBLISH PUBACK PUBREC PUBREL PUBCOMP SUBSCRIBE SUBACK UNSUBSCRIBE UNSUBACK"
    " PINGREQ PINGRESP DISCONNECT",
    "amqtt.mqtt.packet": "MQTTFixedHeader MQTTVariableHeader PacketIdVariableHeader MQTTPayload"
    " MQTTPacket RESERVED_0 RESERVED_15",
    "amqtt.mqtt.puback": "PubackPacket PacketIdVariableHeader",
    "amqtt.mqtt.pubrec": "PubrecPacket PacketIdVariableHeader",
    "amqtt.mqtt.pubrel": "PubrelPacket PacketIdVariableHeader",
    "amqtt.mqtt.pubcomp": "PubcompPacket PacketIdVariableHeader",
    "amqtt.mqtt.protocol.handler": "ProtocolHandler",
    "amqtt.mqtt.protocol.broker_handler": "BrokerProtocolHandler",
    "amqtt.mqtt.protocol.client_handler": "ClientProtocolHandler",
    "amqtt.plugins": "TopicMatcher",
    "amqtt.plugins.base": "BasePlugin BaseAuthPlugin BaseTopicPlugin",
    "amqtt.plugins.manager": "PluginManager get_plugin_manager plugins_manager",
    "amqtt.plugins.authentication": "AnonymousAuthPlugin FileAuthPlugin PasswordFileError"
    " DeprecatedSHA512CryptHasher",
    "amqtt.plugins.topic_checking": "TopicTabooPlugin TopicAccessControlListPlugin",
    "amqtt.plugins.logging_amqtt": "EventLoggerPlugin PacketLoggerPlugin",
    "amqtt.plugins.sys.broker": "BrokerSysPlugin DOLLAR_SYS_ROOT val_to_bytes_str",
    "amqtt.plugins.persistence": "SQLitePlugin",
}


@pytest.mark.parametrize("module", sorted(NAMES))
def test_names(module: str) -> None:
    found = vars(importlib.import_module(module))
    assert [name for name in NAMES[module].split() if name not in found] == []


def test_importing_the_package_imports_nothing_of_it() -> None:
    program = "import sys, amqtt; print([m for m in sys.modules if m.startswith('amqtt.')])"
    done = subprocess.run(
        [sys.executable, "-c", program], env=python_environment(),
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout == "[]\n"


def test_distribution() -> None:
    found = distribution("amqtt")
    assert found.version == amqtt.__version__
    names: dict[str, set[str]] = {}
    for entry in found.entry_points:
        names.setdefault(entry.group, set()).add(entry.name)
    assert names["console_scripts"] == {
        "amqtt", "amqtt_pub", "amqtt_sub", "ca_creds", "server_creds", "device_creds",
        "user_mgr", "topic_mgr",
    }  # fmt: skip
    assert names["amqtt.broker.plugins"] == {
        "event_logger_plugin", "packet_logger_plugin", "auth_anonymous", "auth_file",
        "topic_taboo", "topic_acl", "broker_sys",
    }  # fmt: skip
    assert names["amqtt.client.plugins"] == {"packet_logger_plugin"}
    for entry in found.entry_points:
        assert callable(entry.load())


def test_constants() -> None:
    broker = importlib.import_module("amqtt.broker")
    connack = importlib.import_module("amqtt.mqtt.connack")
    session = importlib.import_module("amqtt.session")
    assert broker.DEFAULT_PORTS == {"tcp": 1883, "ws": 8883}
    assert (broker.QOS_0, broker.QOS_1, broker.QOS_2) == (0, 1, 2)
    assert (session.OUTGOING, session.INCOMING) == (0, 1)
    assert list(range(6)) == [
        connack.CONNECTION_ACCEPTED, connack.UNACCEPTABLE_PROTOCOL_VERSION,
        connack.IDENTIFIER_REJECTED, connack.SERVER_UNAVAILABLE, connack.BAD_USERNAME_PASSWORD,
        connack.NOT_AUTHORIZED,
    ]  # fmt: skip
    assert [
        SubackPayload.RETURN_CODE_00, SubackPayload.RETURN_CODE_01, SubackPayload.RETURN_CODE_02,
        SubackPayload.RETURN_CODE_80,
    ] == [0, 1, 2, 0x80]  # fmt: skip
    masks = "USERNAME PASSWORD WILL_RETAIN WILL CLEAN_SESSION RESERVED"
    assert [getattr(ConnectVariableHeader, f"{name}_FLAG") for name in masks.split()] == [
        0x80, 0x40, 0x20, 0x04, 0x02, 0x01,
    ]  # fmt: skip
    assert ConnectVariableHeader.WILL_QOS_MASK == 0x18
    flags = PublishPacket.DUP_FLAG, PublishPacket.QOS_FLAG, PublishPacket.RETAIN_FLAG
    assert flags == (0x08, 0x06, 0x01)
    assert [f"{each}" for each in Action] == ["subscribe", "publish", "receive"]
    assert [f"{each}" for each in ListenerType] == ["tcp", "ws", "external"]
    assert repr(ListenerType.WS) == '"ws"'


def test_names_of_clients() -> None:
    client_id = gen_client_id()
    assert client_id.startswith("amqtt/")
    assert len(client_id) == 22
    assert format_client_message() == "(unknown client)"
    assert format_client_message(address="::1", port=1) == "(client @=::1:1)"


# -- packets


@pytest.mark.parametrize(
    ("made", "data"),
    [
        (SubscribePacket.build([("a/b", 1), ("c/d", 2)], 10), "820e000a0003612f62010003632f6402"),
        (PubrelPacket.build(10), "6202000a"),
        (PublishPacket.build("topic", b"0123456789", 10, False, 0, False),
         "30130005746f706963000a30313233343536373839"),
        (ConnackPacket.build(1, 0), "20020100"),
        (SubackPacket.build(10, [0, 1, 2, 0x80]), "9006000a00010280"),
        (UnsubscribePacket.build(["a/b"], 10), "a207000a0003612f62"),
    ],
)  # fmt: skip
async def test_packets_on_the_wire(made: Any, data: str) -> None:
    assert made.protocol_ts is None
    assert made.to_bytes().hex() == data
    assert made.bytes_length == len(data) // 2
    assert made.fixed_header.remaining_length == made.bytes_length - 2
    writer = BufferWriter()
    await made.to_stream(writer)
    assert writer.get_buffer().hex() == data
    assert made.protocol_ts is not None
    assert made.protocol_ts.tzinfo is not None


async def test_a_packet_is_read_header_first() -> None:
    reader = BufferReader(bytes.fromhex("3009000474657374616263"))
    header = await MQTTFixedHeader.from_stream(reader)
    assert header is not None
    assert repr(header) == "MQTTFixedHeader(packet_type=3, flags=0, length=9)"
    packet: Any = await packet_class(header).from_stream(reader, fixed_header=header)
    assert (packet.topic_name, packet.data, packet.qos) == ("test", b"abc", 0)
    assert repr(packet).startswith("PublishPacket(ts=")
    assert repr(PublishPayload(b"x")) == "PublishPayload(data=\"b'x'\")"
    assert await MQTTFixedHeader.from_stream(BufferReader(b"")) is None
    with pytest.raises(NoDataError):
        await PublishPacket.from_stream(BufferReader(b"\x30\x09\x00"))


async def test_a_connect_may_be_short_and_wrong() -> None:
    """Strictness is the engine's; this decoder shows what came."""
    data = bytes.fromhex("101000044d51545404ce00000000") + b"\x00\x02w"
    packet = await ConnectPacket.from_stream(BufferReader(data))
    assert (packet.proto_name, packet.proto_level, packet.will_qos) == ("MQTT", 4, 1)
    assert packet.client_id_is_random
    assert packet.client_id is not None
    assert packet.client_id.startswith("amqtt/")
    assert (packet.username, packet.password) == (None, None)
    assert repr(ConnectPayload()).startswith("ConnectVariableHeader(")


def test_constructors_and_attributes() -> None:
    with pytest.raises(AMQTTError):
        PublishPacket(fixed=MQTTFixedHeader(1))
    for topic in ("a/#", "a/+"):
        with pytest.raises(MQTTError):
            PublishVariableHeader(topic)
    for made in (PublishPacket(), ConnectPacket(), ConnackPacket(), PubrelPacket()):
        with pytest.raises(AttributeError):
            made.something = 1  # type: ignore[union-attr]
    with pytest.raises(ValueError, match=r"."):
        _ = PublishPacket().topic_name
    assert PubrelPacket().fixed_header.flags == 0x02
    assert PacketIdVariableHeader(7).packet_id == 7
    assert UnubscribePayload(["a"]).topics == ["a"]
    packet = PublishPacket.build("t", b"x", 1, False, None, False)  # type: ignore[arg-type]
    assert packet.qos == 0
    packet.set_flags(dup_flag=True, qos=2, retain_flag=True)
    assert (packet.dup_flag, packet.qos, packet.retain_flag) == (True, 2, True)
