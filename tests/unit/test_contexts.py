from __future__ import annotations

import copy
import logging
import math
import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import dacite
import pytest

from amqtt.contexts import (
    Action,
    BaseContext,
    BrokerConfig,
    ClientConfig,
    ConnectionConfig,
    Dictable,
    LimitsConfig,
    ListenerConfig,
    ListenerLimitsConfig,
    ListenerType,
    SharedSubscriptionStrategy,
    Tolerance,
    TopicConfig,
    WillConfig,
    default_broker_plugins,
    default_client_plugins,
    default_listeners,
)


@pytest.fixture
def certificate(tmp_path: Path) -> dict[str, str]:
    for name in ("cert.pem", "key.pem"):
        (tmp_path / name).touch()
    return {"certfile": str(tmp_path / "cert.pem"), "keyfile": str(tmp_path / "key.pem")}


def test_base_context() -> None:
    context = BaseContext()
    assert context.loop is None
    assert context.config is None
    assert isinstance(context.logger, logging.Logger)


def test_enumerations_are_text() -> None:
    assert f"{Action.PUBLISH}" == "publish"
    assert str(ListenerType.EXTERNAL) == "external"
    assert repr(ListenerType.TCP) == '"tcp"'


class TestDictable:
    def test_reading(self) -> None:
        config = ListenerConfig(max_connections=5)
        assert config["max_connections"] == config["max-connections"] == 5
        assert config.get("max-connections") == 5
        assert config.get("certfile", "other") is None

    def test_undefined(self) -> None:
        config = ListenerConfig()
        assert config.get("other", 3) == 3
        with pytest.raises(ValueError, match="'other' is not defined"):
            config.get("other")
        with pytest.raises(ValueError, match="'other' is not defined"):
            _ = config["other"]

    def test_contains_what_is_not_none(self) -> None:
        config = ListenerConfig()
        assert "bind" in config
        assert "max-connections" in config
        assert "certfile" not in config
        assert "other" not in config
        assert 5 not in config

    def test_iteration_gives_values(self) -> None:
        assert list(TopicConfig(1, True)) == [1, True]

    def test_copy_is_shallow_and_checked(self) -> None:
        config = BrokerConfig()
        duplicate = config.copy()
        assert duplicate == config
        assert duplicate is not config
        assert duplicate.listeners is config.listeners
        topic = TopicConfig()
        topic.qos = 7
        with pytest.raises(ValueError, match="qos"):
            topic.copy()

    @pytest.mark.parametrize(
        "cls",
        [BrokerConfig, ClientConfig, ConnectionConfig, LimitsConfig, ListenerConfig, WillConfig],
    )
    def test_all_are_dictable(self, cls: type) -> None:
        assert issubclass(cls, Dictable)


class TestListenerConfig:
    def test_defaults(self) -> None:
        config = ListenerConfig()
        assert (config.type, config.bind) == (ListenerType.TCP, "0.0.0.0:1883")
        assert (config.max_connections, config.ssl) == (0, False)

    @pytest.mark.parametrize("name", ["certfile", "keyfile"])
    def test_certificate_without_key(self, name: str, certificate: dict[str, str]) -> None:
        with pytest.raises(ValueError, match="both are required"):
            ListenerConfig(**{name: certificate[name]})  # type: ignore[arg-type]

    def test_paths(self, certificate: dict[str, str], tmp_path: Path) -> None:
        config = ListenerConfig(**certificate, capath=str(tmp_path))  # type: ignore[arg-type]
        assert config.certfile == tmp_path / "cert.pem"
        assert isinstance(config.capath, Path)

    @pytest.mark.parametrize("name", ["cafile", "capath"])
    def test_missing_file(self, name: str, tmp_path: Path) -> None:
        text = re.escape(f"'{name}' does not exist : {tmp_path / 'nothing'}")
        with pytest.raises(FileNotFoundError, match=text):
            ListenerConfig(**{name: tmp_path / "nothing"})  # type: ignore[arg-type]

    def test_apply_fills_defaults_only(self) -> None:
        config = ListenerConfig(bind="[::1]:1")
        config.apply(ListenerConfig(bind="0.0.0.0:2", type=ListenerType.WS, max_connections=9))
        assert config.bind == "[::1]:1"
        assert config.type is ListenerType.WS
        assert config.max_connections == 9


class TestBrokerConfig:
    def test_defaults(self) -> None:
        config = BrokerConfig.from_dict(None)
        assert config == BrokerConfig()
        assert config.listeners == default_listeners() == {"default": ListenerConfig()}
        assert config.plugins == default_broker_plugins()
        assert list(default_broker_plugins()) == [
            "amqtt.plugins.logging_amqtt.EventLoggerPlugin",
            "amqtt.plugins.logging_amqtt.PacketLoggerPlugin",
            "amqtt.plugins.authentication.AnonymousAuthPlugin",
            "amqtt.plugins.sys.broker.BrokerSysPlugin",
        ]
        assert config.limits == LimitsConfig()

    def test_default_listener_is_needed(self) -> None:
        with pytest.raises(KeyError, match=r"listeners\.default") as caught:
            BrokerConfig.from_dict({"listeners": {"other": {}}})
        assert caught.value.args == ("default",)

    def test_listeners_inherit_from_default(self) -> None:
        config = BrokerConfig.from_dict(
            {
                "listeners": {
                    "default": {"bind": "127.0.0.1:0", "max-connections": 3},
                    "web": {"type": "ws", "bind": "127.0.0.1:1"},
                    "same": {},
                }
            }
        )
        assert config.listeners["web"].max_connections == 3
        assert config.listeners["web"].type is ListenerType.WS
        assert config.listeners["web"].bind == "127.0.0.1:1"
        assert config.listeners["same"].bind == "127.0.0.1:0"

    def test_hyphens_and_underscores(self) -> None:
        hyphens = BrokerConfig.from_dict(
            {"timeout-disconnect-delay": 2, "limits": {"max-packet-size": 9}}
        )
        underscores = BrokerConfig.from_dict(
            {"timeout_disconnect_delay": 2, "limits": {"max_packet_size": 9}}
        )
        assert hyphens == underscores
        assert hyphens.limits.max_packet_size == 9

    def test_dictionary_is_not_changed(self) -> None:
        data: dict[str, Any] = {
            "listeners": {"default": {"max-connections": 1}, "other": {}},
            "topic-check": {"enabled": True},
            "limits": {},
        }
        original = copy.deepcopy(data)
        assert BrokerConfig.from_dict(data) == BrokerConfig.from_dict(data)
        assert data == original

    @pytest.mark.parametrize("key", ["auth", "topic-check", "topic_check"])
    def test_deprecated_section_alone_means_entry_points(
        self, key: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        config = BrokerConfig.from_dict({key: {"plugins": ["a"]}})
        assert config.plugins is None
        assert config[key] == {"plugins": ["a"]}
        assert "deprecated" in caplog.text

    @pytest.mark.parametrize("key", ["auth", "topic-check"])
    def test_deprecated_section_beside_plugins_is_ignored(
        self, key: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        config = BrokerConfig.from_dict({key: {}, "plugins": {}})
        assert config.plugins == {}
        assert f"'{key}' is ignored" in caplog.text

    def test_sys_interval_is_deprecated(self, caplog: pytest.LogCaptureFixture) -> None:
        assert BrokerConfig.from_dict({"sys_interval": 5}).sys_interval == 5
        assert "'sys_interval' is deprecated" in caplog.text

    def test_no_warning_without_reason(self, caplog: pytest.LogCaptureFixture) -> None:
        BrokerConfig.from_dict({"plugins": ["a.B"]})
        assert caplog.records == []

    def test_plugin_list_becomes_a_dictionary(self) -> None:
        config = BrokerConfig.from_dict(
            {"plugins": ["a.B", {"c.D": {"x": 1}}, {"e.F": None}, {"a.B": {"y": 2}}]}
        )
        assert config.plugins == {"a.B": {"y": 2}, "c.D": {"x": 1}, "e.F": None}

    @pytest.mark.parametrize("plugins", [[], {}])
    def test_no_plugins(self, plugins: Any) -> None:
        assert BrokerConfig.from_dict({"plugins": plugins}).plugins == {}

    def test_plugin_list_with_something_else(self) -> None:
        with pytest.raises(ValueError, match=r"plugins\.1: expected text or a mapping"):
            BrokerConfig(plugins=["a.B", 5])  # type: ignore[list-item]
        with pytest.raises(dacite.UnionMatchError, match=r"plugins\.1: expected text or a mapping"):
            BrokerConfig.from_dict({"plugins": ["a.B", 5]})

    @pytest.mark.parametrize(
        ("data", "error", "text"),
        [
            (
                {"listeners": {"default": {"bnid": "x"}}},
                dacite.UnexpectedDataError,
                "listeners.default.bnid: unknown key, did you mean 'bind'?",
            ),
            (
                {"listener": {}},
                dacite.UnexpectedDataError,
                "listener: unknown key, did you mean 'listeners'?",
            ),
            (
                {"listeners": {"default": {"max-connections": "5"}}},
                dacite.WrongTypeError,
                "listeners.default.max_connections: expected a whole number, found the text '5'",
            ),
            (
                {"listeners": {"default": {"type": "udp"}}},
                ValueError,
                "listeners.default.type: expected one of tcp, ws, external, found the text 'udp'",
            ),
            (
                {"listeners": {"default": {"certfile": "x"}}},
                ValueError,
                "listeners.default: If specifying the 'certfile' or 'keyfile', both are required.",
            ),
            (
                {"limits": {"max-packet-size": 0}},
                ValueError,
                "limits.max_packet_size: expected a whole number from 2 to 268435460, "
                "found the number 0",
            ),
            (
                ["listeners"],
                dacite.WrongTypeError,
                "configuration: expected a mapping, found a list",
            ),
        ],
    )
    def test_errors(self, data: Any, error: type[Exception], text: str) -> None:
        with pytest.raises(error) as caught:
            BrokerConfig.from_dict(data)
        assert str(caught.value) == text

    @pytest.mark.parametrize("name", ["timeout_disconnect_delay", "session_expiry_interval"])
    @pytest.mark.parametrize("value", [-1, 2**32, 1.5, True])
    def test_seconds_out_of_range(self, name: str, value: Any) -> None:
        with pytest.raises(ValueError, match=f"^{name}: expected a whole number from 0 to "):
            BrokerConfig(**{name: value})

    @pytest.mark.parametrize("name", ["timeout_disconnect_delay", "session_expiry_interval"])
    @pytest.mark.parametrize("value", [None, 0, 2**32 - 1])
    def test_seconds(self, name: str, value: Any) -> None:
        assert BrokerConfig.from_dict({name: value})[name] == value

    @pytest.mark.parametrize(
        ("value", "found"),
        [(0, "the number 0"), (1000, "the number 1000"), (-1, "the number -1"), (True, "true")],
    )
    def test_threads_out_of_range(self, value: Any, found: str) -> None:
        told = f"threads: expected a whole number from 1 to 64, found {found}"
        with pytest.raises(ValueError, match=f"^{re.escape(told)}$"):
            BrokerConfig(threads=value)

    def test_threads(self) -> None:
        assert BrokerConfig().threads == 1
        assert [BrokerConfig.from_dict({"threads": n}).threads for n in (1, 64)] == [1, 64]
        with pytest.raises(dacite.WrongTypeError, match=r"^threads: expected .*'x'"):
            BrokerConfig.from_dict({"threads": "x"})

    def test_shutdown_timeout(self) -> None:
        assert BrokerConfig().shutdown_timeout == 5
        assert BrokerConfig.from_dict({"shutdown-timeout": 0.5}).shutdown_timeout == 0.5
        for value in (-1, math.inf, math.nan, True):
            told = "^shutdown_timeout: expected a number of seconds of at least 0"
            with pytest.raises(ValueError, match=told):
                BrokerConfig(shutdown_timeout=value)

    def test_other_attributes_can_be_set(self) -> None:
        config = BrokerConfig()
        config.max_qos = 1  # type: ignore[attr-defined]
        assert config.get("max_qos") == 1


class TestLimitsConfig:
    def test_defaults(self) -> None:
        assert list(LimitsConfig()) == [
            *(30, 60, 1024, 262144, 30, 268435460, 0, 0, ["3.1", "3.1.1", "5.0"], 2, True, None),
            *(65535, 32),
            *(1000, 100000, 67108864, 201326592),
            *(1000000, 100663296, 100000, 33554432, 100663296, 200, 1000000, 201326592),
            *(285212672, 10000, 67108864),
        ]

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("connect_timeout", 0),
            ("connect_timeout", -1.5),
            ("connect_timeout", float("inf")),
            ("connect_timeout", float("nan")),
            ("connect_timeout", True),
            ("connect_timeout", "30"),
            ("max_connect_packet_size", 1),
            ("decision_timeout", 0),
            ("max_packet_size", 1),
            ("max_packet_size", 268435461),
            ("min_keep_alive", -1),
            ("max_keep_alive", 65536),
            ("protocol_versions", []),
            ("protocol_versions", ["4"]),
            ("max_qos", 3),
            ("receive_maximum", 0),
            ("topic_alias_maximum", 65536),
            ("max_inflight_messages", 0),
            ("max_inflight_messages", 65536),
            ("max_inflight_messages", True),
            ("max_queued_messages", 0),
            ("max_queued_bytes", -1),
            ("max_queued_bytes", 1.5),
            ("max_total_queued_bytes", -1),
            ("max_sessions", -1),
            ("max_session_bytes", -1),
            ("max_subscriptions", "many"),
            ("max_subscription_bytes", 0.5),
            ("max_total_subscription_bytes", -1),
            ("max_topic_levels", -1),
            ("max_retained_messages", 0.5),
            ("max_retained_bytes", -1),
            ("packet_timeout", 0),
            ("packet_timeout", "60"),
            ("min_packet_rate", 0),
            ("min_packet_rate", 0.5),
            ("max_unfinished_bytes", 0),
            ("max_pending_decisions", 0),
            ("max_pending_decision_bytes", 0),
        ],
    )
    def test_range(self, name: str, value: Any) -> None:
        with pytest.raises(ValueError, match=f"^{name}: expected"):
            LimitsConfig(**{name: value})

    def test_fractions_of_a_second(self) -> None:
        assert LimitsConfig(connect_timeout=0.25).connect_timeout == 0.25

    def test_versions_that_yaml_takes_for_numbers(self) -> None:
        assert LimitsConfig(protocol_versions=[3.1, "3.1.1", 5.0]).protocol_versions == [
            *("3.1", "3.1.1", "5.0")
        ]

    def test_keep_alive_range(self) -> None:
        with pytest.raises(ValueError, match=r"^min_keep_alive: expected at most max_keep_alive"):
            LimitsConfig(min_keep_alive=20, max_keep_alive=10)
        assert LimitsConfig(min_keep_alive=20).max_keep_alive == 0

    def test_a_listener_has_those_it_does_not_set_from_the_broker(self) -> None:
        config = BrokerConfig.from_dict(
            {
                "listeners": {"default": {"limits": {"max-qos": 1}}, "same": {}, "own": {}},
                "limits": {"max_packet_size": 1000, "retain_available": False},
            }
        )
        config.listeners["own"].limits = ListenerLimitsConfig(retain_available=True)
        of = {
            name: config.limits.of_listener(listener.limits)
            for name, listener in config.listeners.items()
        }
        assert of["default"] == of["same"]
        assert (of["same"]["max_qos"], of["own"]["max_qos"]) == (1, 2)
        assert (of["same"]["max_packet_size"], of["own"]["max_packet_size"]) == (1000, 1000)
        assert (of["same"]["retain_available"], of["own"]["retain_available"]) == (False, True)
        assert set(of["own"]) == {field.name for field in fields(ListenerLimitsConfig)}

    @pytest.mark.parametrize(("name", "value"), [("max_qos", -1), ("protocol_versions", ["6"])])
    def test_range_of_a_listener(self, name: str, value: Any) -> None:
        with pytest.raises(ValueError, match=f"^{name}: expected"):
            ListenerLimitsConfig(**{name: value})


def test_error_of_an_item_of_a_list() -> None:
    with pytest.raises(dacite.DaciteError) as caught:
        BrokerConfig.from_dict({"limits": {"protocol_versions": ["3.1", True]}})
    problem = "expected text or a number, found true"
    assert str(caught.value) == f"limits.protocol_versions.1: {problem}"


class TestProtocolConfig:
    def test_from_yaml(self) -> None:
        config = BrokerConfig.from_dict(
            {
                "protocol": {
                    "tolerate": ["dup_at_qos_0", "long_client_id"],
                    "shared-subscription-strategy": "sticky",
                }
            }
        ).protocol
        assert config.tolerate == [Tolerance.DUP_AT_QOS_0, Tolerance.LONG_CLIENT_ID]
        assert config.shared_subscription_strategy is SharedSubscriptionStrategy.STICKY

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("tolerate", ["everything"]),
            ("tolerate", [7]),
            ("shared_subscription_strategy", "best"),
            ("response_information", ""),
            ("server_reference", "x" * 1025),
            ("sent_topic_alias_maximum", 65536),
        ],
    )
    def test_errors(self, name: str, value: Any) -> None:
        with pytest.raises((ValueError, dacite.DaciteError), match=rf"^protocol\.{name}.*expected"):
            BrokerConfig.from_dict({"protocol": {name: value}})


class TestClientParts:
    @pytest.mark.parametrize("name", ["certfile", "keyfile"])
    def test_connection_needs_certificate_and_key(self, name: str) -> None:
        with pytest.raises(ValueError, match="_both_ required"):
            ConnectionConfig(**{name: "x"})
        with pytest.raises(ValueError, match="_both_ required"):
            ClientConfig.from_dict({"connection": {name: "x"}})

    def test_connection_paths(self) -> None:
        config = ConnectionConfig(cafile="a", capath=Path("b"), cadata="c")
        assert (config.cafile, config.capath, config.cadata) == (Path("a"), Path("b"), "c")

    @pytest.mark.parametrize("qos", [-1, 3, True])
    def test_qos_range(self, qos: int) -> None:
        with pytest.raises(ValueError, match="qos: expected a whole number from 0 to 2"):
            TopicConfig(qos=qos)
        with pytest.raises(ValueError, match="qos: expected a whole number from 0 to 2"):
            WillConfig("a", "b", qos=qos)

    @pytest.mark.parametrize("topic", ["", "a/#", "+", "a\0"])
    def test_topic_of_the_will(self, topic: str) -> None:
        with pytest.raises(ValueError, match=r"^topic: expected a topic name, found '"):
            WillConfig(topic, "b")
        with pytest.raises(ValueError, match=r"^will\.topic: expected a topic name, found '"):
            ClientConfig.from_dict({"will": {"topic": topic, "message": "b"}})

    def test_will_without_qos(self) -> None:
        assert WillConfig("a", "b", qos=None).qos is None


class TestClientConfig:
    def test_defaults(self) -> None:
        config = ClientConfig.from_dict(None)
        assert config == ClientConfig()
        assert config.connection.uri == "mqtt://127.0.0.1:1883"
        assert config.plugins == default_client_plugins()
        assert (config.keep_alive, config.ping_delay, config.reconnect_retries) == (10, 1, 2)

    @pytest.mark.parametrize("qos", [-1, 3])
    def test_default_qos(self, qos: int) -> None:
        text = "Client config: default QoS must be 0, 1 or 2."
        with pytest.raises(ValueError, match=re.escape(text)):
            ClientConfig.from_dict({"default_qos": qos})

    @pytest.mark.parametrize(
        ("name", "values"),
        [
            ("keep_alive", [-1, 65536, True]),
            ("ping_delay", [-1]),
            ("connection_timeout", [0, -1]),
            ("reconnect_max_interval", [0, -1]),
        ],
    )
    def test_out_of_range(self, name: str, values: list[Any]) -> None:
        for value in values:
            with pytest.raises(ValueError, match=f"^{name}: expected a whole number .*, found"):
                ClientConfig.from_dict({name: value})

    @pytest.mark.parametrize(
        ("name", "values"),
        [
            ("keep_alive", [None, 0, 65535]),
            ("ping_delay", [None, 0, 100]),
            ("connection_timeout", [None, 1]),
            ("reconnect_max_interval", [None, 1]),
            ("reconnect_retries", [None, -1, 0, 1]),
        ],
    )
    def test_in_range(self, name: str, values: list[Any]) -> None:
        for value in values:
            assert ClientConfig.from_dict({name: value})[name] == value

    def test_broker_replaces_connection(self) -> None:
        with pytest.warns(UserWarning, match="'broker' is deprecated"):
            config = ClientConfig.from_dict(
                {"broker": {"uri": "mqtt://a"}, "connection": {"uri": "mqtt://b"}}
            )
        assert config.connection.uri == "mqtt://a"

    def test_certificate_at_the_top(self) -> None:
        config = ClientConfig.from_dict({"certfile": "c", "keyfile": "k", "cafile": None})
        assert config.connection.certfile == Path("c")
        assert config.connection.keyfile == Path("k")
        assert config.connection.uri == ConnectionConfig().uri

    def test_certificate_at_the_top_beside_broker(self) -> None:
        data = {"keyfile": "k", "certfile": "c", "broker": {"cafile": "a"}}
        with pytest.warns(UserWarning, match="deprecated"):
            config = ClientConfig.from_dict(data)
        assert config.connection == ConnectionConfig(cafile="a", certfile="c", keyfile="k")
        assert data == {"keyfile": "k", "certfile": "c", "broker": {"cafile": "a"}}

    def test_own_values_of_the_connection_come_first(self) -> None:
        connection: Any = {"cafile": "own", "uri": None}
        config = ClientConfig.from_dict({"cafile": "top", "connection": connection})
        assert config.connection.cafile == Path("own")
        assert config.connection.uri is None
        config = ClientConfig.from_dict(
            {"cafile": "top", "connection": ConnectionConfig(uri="mqtt://a")}
        )
        assert config.connection == ConnectionConfig(uri="mqtt://a", cafile="top")

    def test_topics_take_the_defaults(self) -> None:
        config = ClientConfig.from_dict(
            {
                "default-qos": 1,
                "default_retain": True,
                "topics": {"a/b": {}, "c-d": {"qos": 2, "retain": False}},
            }
        )
        assert config.topics == {"a/b": TopicConfig(1, True), "c-d": TopicConfig(2, False)}

    def test_will(self) -> None:
        config = ClientConfig.from_dict({"will": {"topic": "a", "message": b"\xff", "qos": 1}})
        assert config.will == WillConfig("a", b"\xff", 1)

    def test_plugin_list(self) -> None:
        assert ClientConfig.from_dict({"plugins": ["a.B", {"c.D": {}}]}).plugins == {
            "a.B": {},
            "c.D": {},
        }
        assert ClientConfig.from_dict({"plugins": None}).plugins is None

    @pytest.mark.parametrize(
        ("data", "error", "text"),
        [
            (
                {"connection_timeout": 0.5},
                dacite.WrongTypeError,
                "connection_timeout: expected a whole number or null, found the number 0.5",
            ),
            ({"keepalive": 5}, dacite.UnexpectedDataError, "did you mean 'keep_alive'"),
            ({"topics": {"a": {"qos": 5}}}, ValueError, "topics.a.qos: expected a whole number"),
            ({"topics": {"a": 5}}, dacite.WrongTypeError, "topics.a: expected a mapping"),
            ({"will": {"topic": "a"}}, dacite.MissingValueError, "will.message: missing"),
            ({"connection": 5}, dacite.WrongTypeError, "connection: expected a mapping"),
            ({"cafile": "a", "connection": 5}, dacite.WrongTypeError, "connection: expected"),
            (5, dacite.WrongTypeError, "expected a mapping, found the number 5"),
        ],
    )
    def test_errors(self, data: Any, error: type[Exception], text: str) -> None:
        with pytest.raises(error, match=re.escape(text)):
            ClientConfig.from_dict(data)
