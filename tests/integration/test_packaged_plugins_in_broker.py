"""The packaged plugins in a running broker."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from support.certificates import have_openssl
from support.embedded import LIMIT, client_of, config_of, port_of, sample, until
from support.endpoints import Trust

from amqtt.broker import Broker

ANONYMOUS = "amqtt.plugins.authentication.AnonymousAuthPlugin"
EVENT_LOGGER = "amqtt.plugins.logging_amqtt.EventLoggerPlugin"
SYS = "amqtt.plugins.sys.broker.BrokerSysPlugin"


async def test_sys_topics() -> None:
    config = config_of({ANONYMOUS: {}, SYS: {"sys_interval": 1}})
    with pytest.warns(DeprecationWarning, match="dollarsys"):
        broker = Broker(config)
    async with broker:
        seen: dict[str, bytes] = {}
        async with client_of(broker, "c") as client:
            await client.subscribe([("$SYS/#", 0)])
            while len(seen) < 27:
                message = await client.deliver_message(LIMIT)
                seen[message.topic.removeprefix("$SYS/broker/")] = bytes(message.data)
        assert set(seen) == {
            "version", "load/bytes/received", "load/bytes/sent", "messages/received",
            "messages/sent", "messages/publish/received", "messages/publish/sent", "time",
            "messages/publish/dropped", "messages/publish/too_large", "messages/publish/refused",
            "uptime", "uptime/formatted", "clients/connected", "clients/disconnected",
            "clients/maximum", "clients/total", "messages/inflight", "messages/inflight/in",
            "messages/inflight/out", "messages/inflight/stored", "messages/retained/count",
            "messages/subscriptions/count", "heap/size", "heap/maximum", "cpu/percent",
            "cpu/maximum",
        }  # fmt: skip
        assert seen["clients/connected"] == b"1"
        assert seen["messages/retained/count"] == b"1"
        assert seen["messages/received"] == b"2"
        assert float(seen["heap/size"]) > 0
        assert set(broker.retained_messages) == {"$SYS/broker/version"}
        plugin = broker.plugins_manager.get_plugin("BrokerSysPlugin")
        handle = plugin._sys_handle
    assert handle.cancelled()


@pytest.mark.filterwarnings("ignore:.BrokerSysPlugin. without:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:.*dollarsys:DeprecationWarning")
async def test_sys_topics_tell_what_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sessions that are away now, not how often clients have gone; time that has passed."""
    async with Broker(config_of({ANONYMOUS: {}, SYS: {"sys_interval": 3600}})) as broker:
        plugin = broker.plugins_manager.get_plugin("BrokerSysPlugin")
        for _ in range(3):
            async with client_of(broker, "passing"):
                pass
        async with client_of(broker, "kept", clean=False):
            pass
        await until(lambda: broker.statistics()["clients_connected"] == 0)
        async with client_of(broker, "there"):
            monkeypatch.setattr("time.time", lambda: 1e9)  # the clock was set back
            told = plugin._topics(broker.statistics())
        assert told["clients/connected"] == 1
        assert told["clients/disconnected"] == 1
        assert told["clients/total"] == 2
        assert told["time"] == 10**9
        assert 0 <= told["uptime"] < LIMIT


async def test_sys_topics_can_be_off(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.warns(DeprecationWarning, match="dollarsys"):
        broker = Broker(config_of({ANONYMOUS: {}, SYS: {"sys_interval": 0}}))
    async with broker:
        assert "'sys_interval' key is not set or is None" in caplog.text
        assert set(broker.retained_messages) == {"$SYS/broker/version"}


async def test_event_logger_follows_the_level(caplog: pytest.LogCaptureFixture) -> None:
    logger = "amqtt.broker.plugins.EventLoggerPlugin"
    for level, expected in ((logging.INFO, False), (logging.DEBUG, True)):
        caplog.clear()
        caplog.set_level(level, logger)
        async with Broker(config_of([ANONYMOUS, EVENT_LOGGER])) as broker:
            async with client_of(broker, "c") as client:
                await client.subscribe([("a", 0)])
            await until(lambda: "on_broker_client_disconnected" in caplog.text)
        assert "### 'on_broker_client_connected' EVENT FIRED ###" in caplog.text
        assert ("### 'on_broker_client_subscribed' EVENT FIRED ###" in caplog.text) is expected


async def test_a_listener_that_admits_strangers_is_warned_about(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with Broker(config_of([ANONYMOUS])):
        assert "admits everyone" not in caplog.text
    config = config_of([ANONYMOUS])
    config["listeners"]["default"]["bind"] = "0.0.0.0:0"
    async with Broker(config):
        assert "Listener 'default' at 0.0.0.0:0 admits everyone" in caplog.text
        assert "listeners.default.bind" in caplog.text
    caplog.clear()
    config["plugins"] = {ANONYMOUS: {"allow_anonymous": False}}  # the password is not looked at
    async with Broker(config):
        assert "who can reach it with any user name and any password" in caplog.text
    caplog.clear()
    config["plugins"] = [ANONYMOUS, sample("UserGate")]  # somebody else decides too
    async with Broker(config):
        assert "admits everyone" not in caplog.text


@pytest.mark.skipif(not have_openssl(), reason="not tested: there is no openssl")
@pytest.mark.parametrize("requires", [True, False])
async def test_clients_with_certificates_are_no_strangers(
    requires: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = config_of([ANONYMOUS])
    config["listeners"]["default"] = {
        **Trust.make(tmp_path).listener(),
        "bind": "0.0.0.0:0",
        "tls_require_client_certificate": requires,
    }
    async with Broker(config):
        assert ("admits everyone" in caplog.text) is not requires


async def test_names_of_the_older_api() -> None:
    async with Broker(config_of([ANONYMOUS])) as broker:
        server = broker._servers["default"]
        assert server.instance.sockets[0].getsockname() == ("127.0.0.1", port_of(broker))
        async with client_of(broker, "c"):
            assert broker._servers["default"].conn_count == 1
            assert broker._sessions["c"][0].client_id == "c"
        assert broker._matches("a/b", "a/+")
