"""Loading plugins, telling them events and asking them, without a broker."""

from __future__ import annotations

import asyncio
import gc
import logging
import sys
import warnings
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
from support import plugin_samples as samples

from amqtt._broker.decisions import Verdict, combine, verdict_ttl
from amqtt.contexts import Action, BaseContext, BrokerConfig, default_broker_plugins
from amqtt.errors import PluginCoroError, PluginImportError, PluginInitError, PluginLoadError
from amqtt.events import BrokerEvents
from amqtt.plugins import manager as manager_module
from amqtt.plugins.base import Decision
from amqtt.plugins.logging_amqtt import EventLoggerPlugin
from amqtt.plugins.manager import PluginManager, get_plugin_manager
from amqtt.session import Session

NAMESPACE = "amqtt.test.plugins"


def path(name: str) -> str:
    return f"{samples.MODULE}.{name}"


def make_manager(plugins: Any) -> PluginManager[BaseContext]:
    context = BaseContext()
    context.config = {"plugins": plugins}
    return PluginManager(NAMESPACE, context)


# -- loading


async def test_styles_of_configuration() -> None:
    options = {"count": 1}
    for plugins in (
        {path("Plain"): None, path("WithOptions"): options},
        [path("Plain"), {path("WithOptions"): options}],
        [{path("Plain"): {}}, {path("WithOptions"): options}],
    ):
        manager = make_manager(plugins)
        assert [type(each) for each in manager.plugins] == [samples.Plain, samples.WithOptions]
        assert manager.plugins[1].config.count == 1


async def test_each_plugin_has_a_context_of_its_own() -> None:
    manager = make_manager({path("Plain"): {}, path("WithOptions"): {"count": 2}})
    first, second = manager.plugins
    assert first.context is not second.context
    assert first.context.logger.name == f"{NAMESPACE}.Plain"
    assert first.context.loop is asyncio.get_running_loop()
    assert isinstance(first.config, samples.Plain.Config)
    assert second.context.config is second.config
    assert manager.app_context is manager.context


@pytest.mark.parametrize(
    ("options", "attribute", "value"),
    [
        ({"count": 1, "file-name": "y"}, "file_name", "y"),
        ({"count": 1, "colour": "blue"}, "colour", samples.Colour.BLUE),
        ({"count": 1, "colour": "BLUE"}, "colour", samples.Colour.BLUE),
    ],
)
async def test_options(options: dict[str, Any], attribute: str, value: Any) -> None:
    manager = make_manager({path("WithOptions"): options})
    assert getattr(manager.plugins[0].config, attribute) == value


@pytest.mark.parametrize(
    ("plugins", "error", "text"),
    [
        ({"nodot": {}}, PluginImportError, "Plugin import failed: nodot"),
        ({"no.such.module.Plugin": {}}, PluginImportError, "no.such.module.Plugin"),
        ({path("NoSuchPlugin"): {}}, PluginImportError, "NoSuchPlugin"),
        ({path("BadHandler"): {}}, PluginImportError, "on_broker_pre_start"),
        ({path("NotAPlugin"): {}}, PluginLoadError, "not a subclass"),
        ({"amqtt.utils.import_string": {}}, PluginLoadError, "not a subclass"),
        ({path("BadConfig"): {}}, PluginLoadError, "should be a dataclass"),
        ({path("WithOptions"): {}}, PluginLoadError, "count: missing"),
        ({path("WithOptions"): {"count": "1"}}, PluginLoadError, "count: expected a whole number"),
        ({path("WithOptions"): {"counts": 1}}, PluginLoadError, "did you mean 'count'"),
        ({path("Plain"): []}, PluginLoadError, "expected a mapping"),
        ({path("Plain"): "x"}, PluginLoadError, "expected a mapping"),
        ([7], PluginLoadError, "expected text or a mapping"),
        ({path("BadAuth"): {}}, PluginCoroError, "authenticate"),
        ({path("BadTopic"): {}}, PluginCoroError, "topic_filtering"),
    ],
)
async def test_load_errors(plugins: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        make_manager(plugins)


async def test_error_in_a_constructor_is_chained() -> None:
    with pytest.raises(PluginInitError) as caught:
        make_manager({path("BadInit"): {}})
    assert caught.value.plugin is samples.BadInit
    assert isinstance(caught.value.__cause__, ValueError)


async def test_default_plugins_load_in_silence() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        manager = make_manager(default_broker_plugins())
    assert manager.get_plugin("EventLoggerPlugin") is manager.plugins[0]
    assert manager.get_plugin("NoPlugin") is None


async def test_broker_sys_plugin_names_its_extra() -> None:
    with pytest.warns(DeprecationWarning, match=r"amqtt\[dollarsys\]"):
        make_manager(["amqtt.plugins.sys.broker.BrokerSysPlugin"])


async def test_manager_is_found_by_its_namespace_while_it_is_used() -> None:
    manager = make_manager({})
    assert get_plugin_manager(NAMESPACE) is manager
    del manager
    gc.collect()
    assert get_plugin_manager(NAMESPACE) is None


# -- entry points


def entry(name: str, class_name: str) -> EntryPoint:
    return EntryPoint(name, f"{samples.MODULE}:{class_name}", NAMESPACE)


@pytest.fixture
def entries(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [entry("one", "Answers"), entry("two", "AnswersToo"), entry("bare", "NotAPlugin")]
    monkeypatch.setattr(
        manager_module, "entry_points", lambda group: found if group == NAMESPACE else []
    )


def from_entry_points(config: Any) -> PluginManager[BaseContext]:
    context = BaseContext()
    context.config = config
    with pytest.warns(DeprecationWarning, match="EntryPoints"):
        return PluginManager(NAMESPACE, context)


@pytest.mark.usefixtures("entries")
@pytest.mark.parametrize(
    ("auth", "chosen"),
    [
        (None, []),
        ({"plugins": []}, []),
        ({"plugins": ["two"]}, ["AnswersToo"]),
        ({"allow-anonymous": True}, ["Answers", "AnswersToo"]),
    ],
)
async def test_entry_points_that_authenticate(auth: Any, chosen: list[str]) -> None:
    manager = from_entry_points({"auth": auth} if auth is not None else {})
    assert [type(each).__name__ for each in manager.plugins] == [
        "Answers",
        "AnswersToo",
        "NotAPlugin",
    ]
    assert [type(each).__name__ for each in manager.auth_plugins] == chosen


@pytest.mark.usefixtures("entries")
@pytest.mark.parametrize("enabled", [True, False])
async def test_entry_points_check_topics_when_that_is_enabled(enabled: bool) -> None:
    config = BrokerConfig.from_dict({"topic-check": {"enabled": enabled, "plugins": ["one"]}})
    manager = from_entry_points(config)
    assert manager.is_topic_filtering_enabled() is enabled
    results = await manager.map_plugin_topic(session=Session(), topic="a", action=Action.PUBLISH)
    assert len(results) == (1 if enabled else 0)


@pytest.mark.usefixtures("entries")
async def test_entry_points_see_the_whole_configuration() -> None:
    config = BrokerConfig.from_dict({"auth": {"allow-anonymous": False}})
    manager = from_entry_points(config)
    assert manager.plugins[0].context.config is config
    assert manager.plugins[0].context.logger.name == f"{NAMESPACE}.one"
    assert manager.plugins[0]._get_config_option("allow-anonymous") is False


# -- events


async def test_events_reach_handlers_in_the_order_of_loading() -> None:
    manager = make_manager([path("Recorder")])
    recorder = manager.plugins[0]
    await manager.fire_event(
        BrokerEvents.CLIENT_SUBSCRIBED, client_id="c", topic="t", qos=1, wait=True
    )
    assert recorder.events == [
        ("on_broker_client_subscribed", {"client_id": "c", "topic": "t", "qos": 1})
    ]


async def test_firing_does_not_wait_unless_it_is_told_to() -> None:
    manager = make_manager([path("Recorder")])
    recorder = manager.plugins[0]
    await manager.fire_event(BrokerEvents.POST_START)
    assert recorder.events == []
    assert manager.running_handlers == 1
    await manager.wait_for_handlers(10)
    assert recorder.names() == ["on_broker_post_start"]
    assert manager.running_handlers == 0


async def test_a_handler_that_fails_is_logged_and_forgotten(
    caplog: pytest.LogCaptureFixture,
) -> None:
    manager = make_manager([path("Failing"), path("Recorder")])
    await manager.fire_event(BrokerEvents.POST_START, wait=True)
    assert manager.plugins[1].names() == ["on_broker_post_start"]
    [record] = [each for each in caplog.records if each.levelno == logging.ERROR]
    assert "'Failing'" in record.message
    assert "broker_post_start" in record.message
    assert record.exc_info is not None


async def test_closing(caplog: pytest.LogCaptureFixture) -> None:
    manager = make_manager([path("Failing"), path("Recorder")])
    forever: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def wait(**_: Any) -> None:
        await forever

    handler = manager_module.Handler(manager.plugins[1], wait)
    [task] = manager.start_handlers("any", [handler], {})
    await asyncio.sleep(0)
    await manager.close()
    assert task.cancelled()
    assert manager.plugins[1].closed == 1
    assert "'Failing' failed to close" in caplog.text


# -- decisions


@pytest.mark.parametrize(
    ("answers", "allowed"),
    [
        ([True], True), ([False], False), ([None], False), ([True, True], True),
        ([True, False], False), ([True, None], True), ([False, None], False),
        ([None, None], False), ([], False), ([1], False), (["yes"], False), ([0], False),
        ([""], False), ([Decision(True)], True), ([Decision(False)], False),
        ([samples.Neither()], False), ([True, samples.Neither()], False),
    ],
)  # fmt: skip
async def test_opinions_make_one_verdict(answers: list[Any], allowed: bool) -> None:
    manager = make_manager({})
    assert combine(manager, dict(enumerate(answers))).allowed is allowed


async def test_a_native_opinion_counts_too() -> None:
    manager = make_manager({})
    assert combine(manager, {}, native_allows=True).allowed
    assert combine(manager, {0: None}, native_allows=True).allowed
    assert not combine(manager, {0: False}, native_allows=True).allowed


async def test_a_refusal_carries_its_reason() -> None:
    manager = make_manager({})
    assert combine(manager, {0: False}) == Verdict(False, 0x87, "")
    assert combine(manager, {0: Decision(False, 0x8A, "no\0")}) == Verdict(False, 0x8A, "no")
    long = combine(manager, {0: Decision(False, None, "\N{EURO SIGN}" * 30_000)})
    assert long.code == 0x87
    assert len(long.reason.encode()) <= 65_535


@pytest.mark.parametrize("code", [0, 0x7F, 0x100, -1])
def test_reason_codes_of_refusals_are_failures(code: int) -> None:
    with pytest.raises(ValueError, match="128 to 255"):
        Decision(False, code)


async def test_asking_several_plugins(caplog: pytest.LogCaptureFixture) -> None:
    manager = make_manager([{path("Answers"): {"auth": 5}}, path("AnswersToo"), path("Failing")])
    session = Session()
    results = await manager.map_plugin_auth(session=session)
    assert list(results.values()) == [5, True, False]
    topics = await manager.map_plugin_topic(session=session, topic="t", action=Action.RECEIVE)
    assert list(topics.values()) == [True, True, False]
    assert "'Failing' failed to decide in 'authenticate'" in caplog.text
    assert "'Failing' failed to decide in 'topic_filtering'" in caplog.text


@pytest.mark.parametrize(
    ("ttls", "together"),
    [([], 0), ([5], 5), ([5, 3.5], 3.5), ([5, 0], 0), ([-1], 0), (["x"], 0), ([float("nan")], 0)],
)
def test_verdicts_hold_as_long_as_every_plugin_says(ttls: list[Any], together: float) -> None:
    class Plugin:
        def __init__(self, ttl: Any) -> None:
            self.verdict_ttl = ttl

    assert verdict_ttl([Plugin(each) for each in ttls]) == together


async def test_event_logger_answers_to_every_event() -> None:
    plugin = EventLoggerPlugin(BaseContext())
    assert asyncio.iscoroutinefunction(plugin.on_anything_at_all.func)  # type: ignore[attr-defined]
    with pytest.raises(AttributeError, match="'EventLoggerPlugin' object has no attribute 'other'"):
        _ = plugin.other


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x = 1\nnothing.here\n", "broken.py, line 2: NameError: name 'nothing' is not defined"),
        ("1 / 0\n", "broken.py, line 1: ZeroDivisionError"),
        ("import no_such_library\n", "Plugin import failed: broken.Plugin"),
        ("def f(:\n", "Plugin import failed: broken.Plugin"),
        ("raise SystemError('odd')\n", "broken.py, line 1: SystemError: odd"),
    ],
)
async def test_a_module_that_fails_is_an_error_that_says_where(
    text: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    context = BaseContext()
    context.config = {"plugins": {"broken.Plugin": {}}}
    with pytest.raises(PluginImportError) as caught:
        PluginManager("amqtt.test.plugins", context)
    assert expected in str(caught.value)
    assert caught.value.__cause__ is not None
    sys.modules.pop("broken", None)


@pytest.mark.filterwarnings("ignore:Loading plugins from EntryPoints")
async def test_an_entry_point_that_fails_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "old_plugin.py").write_text("1 / 0\n")
    monkeypatch.syspath_prepend(tmp_path)
    found = [EntryPoint("old", "old_plugin:Plugin", NAMESPACE)]
    monkeypatch.setattr(manager_module, "entry_points", lambda group: found if group else [])
    with pytest.raises(PluginImportError, match="old_plugin:Plugin") as caught:
        from_entry_points({})
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


async def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "amqtt.contrib.jwt", raising=False)
    monkeypatch.setitem(sys.modules, "jwt", None)
    context = BaseContext()
    context.config = {"plugins": {"amqtt.contrib.jwt.UserAuthJwtPlugin": {}}}
    with pytest.raises(PluginImportError, match=r"pip install amqtt\[contrib\]"):
        PluginManager("amqtt.test.plugins", context)
