from __future__ import annotations

import logging
from typing import Any

import pytest

from amqtt._dispatch import broker_policy, check_client_plugins
from amqtt.contexts import default_broker_plugins, default_client_plugins
from amqtt.errors import PluginLoadError

ANONYMOUS = "amqtt.plugins.authentication.AnonymousAuthPlugin"
EVENTS = "amqtt.plugins.logging_amqtt.EventLoggerPlugin"
PACKETS = "amqtt.plugins.logging_amqtt.PacketLoggerPlugin"
SYS = "amqtt.plugins.sys.broker.BrokerSysPlugin"

logger = logging.getLogger(__name__)


def test_default_plugins() -> None:
    policy = broker_policy(default_broker_plugins(), logger)
    assert (policy.authenticate_anonymous, policy.allow_anonymous, policy.event_log) == (True,) * 3
    check_client_plugins(default_client_plugins())


def test_no_plugins() -> None:
    policy = broker_policy({}, logger)
    assert not policy.authenticate_anonymous
    assert not policy.event_log


@pytest.mark.parametrize("key", ["allow_anonymous", "allow-anonymous"])
def test_option(key: str) -> None:
    assert not broker_policy({ANONYMOUS: {key: False}}, logger).allow_anonymous


@pytest.mark.parametrize("path", [ANONYMOUS, EVENTS, PACKETS, SYS])
@pytest.mark.parametrize("options", [None, {}])
def test_options_may_be_left_out(path: str, options: Any) -> None:
    broker_policy({path: options}, logger)


@pytest.mark.parametrize("interval", [0, 1, 3600])
def test_sys_interval(interval: int) -> None:
    broker_policy({SYS: {"sys-interval": interval}}, logger)


@pytest.mark.parametrize(
    ("path", "options", "text"),
    [
        (ANONYMOUS, {"allow_nobody": True}, "allow_nobody: unknown key, did you mean"),
        (ANONYMOUS, {"allow_anonymous": 1}, "allow_anonymous: expected true or false, found"),
        (ANONYMOUS, {"allow_anonymous": None}, "allow_anonymous: expected true or false, found"),
        (EVENTS, {"level": "INFO"}, "level: unknown key, there are none here"),
        (PACKETS, {"level": "INFO"}, "level: unknown key, there are none here"),
        (SYS, {"interval": 5}, "interval: unknown key, did you mean 'sys_interval'?"),
        (SYS, {"sys_interval": "5"}, "sys_interval: expected a whole number, found the text '5'"),
        (SYS, {"sys_interval": True}, "sys_interval: expected a whole number"),
        (SYS, {"sys_interval": -1}, "sys_interval: expected a whole number of at least 0, found"),
    ],
)
def test_wrong_option(path: str, options: Any, text: str) -> None:
    with pytest.raises(PluginLoadError) as caught:
        broker_policy({path: options}, logger)
    assert str(caught.value).startswith(f"Plugin '{path}': options.{text}")


@pytest.mark.parametrize("options", [[], False, "x"])
def test_options_are_a_mapping(options: Any) -> None:
    with pytest.raises(PluginLoadError, match="options: expected a mapping"):
        broker_policy({EVENTS: options}, logger)


@pytest.mark.parametrize("plugins", [{"a.B": {}}, {ANONYMOUS: {}}, {PACKETS: {"x": 1}}])
def test_client_plugins(plugins: Any) -> None:
    with pytest.raises(PluginLoadError, match=next(iter(plugins))):
        check_client_plugins(plugins)
    check_client_plugins({PACKETS: None})


@pytest.mark.parametrize("plugins", [{"a.B": {}}, None])
def test_unavailable(plugins: Any) -> None:
    with pytest.raises(PluginLoadError, match="not available in this version"):
        broker_policy(plugins, logger)
