"""Modules that were written for mosquitto_pyauth."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import logging
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from textwrap import dedent
from types import SimpleNamespace
from typing import Any

import pytest
from support.embedded import client_of, config_of, port_of, until

from amqtt.broker import Broker
from amqtt.client import ConnectError, MQTTClient
from amqtt.contexts import Action, BaseContext
from amqtt.contrib.pyauth import AuthModuleError, PyAuthPlugin, mosquitto_auth
from amqtt.errors import PluginInitError
from amqtt.session import Session

PATH = "amqtt.contrib.pyauth.PyAuthPlugin"

# In the manner of that project: connections made at the import, one table for each question, and
# state in globals.
DATABASE = """
    import sqlite3
    import mosquitto_auth

    print('*** auth module initialized: access_read = %d, access_write = %d'
          % (mosquitto_auth.MOSQ_ACL_READ, mosquitto_auth.MOSQ_ACL_WRITE))

    db = sqlite3.connect(':memory:')
    db.execute('create table users (name text primary key, pw text)')
    db.execute('create table acls (name text, sub text, access integer)')
    calls = []
    options = {}

    def plugin_init(opts):
        global options
        options = dict(opts)
        calls.append(('plugin_init', opts))
        db.executemany('insert into users values (?, ?)', [('alice', 'wonderland'), ('bob', 'b')])
        db.executemany('insert into acls values (?, ?, ?)',
                       [('alice', 'home/#', mosquitto_auth.MOSQ_ACL_READ),
                        ('alice', 'home/alice/+', mosquitto_auth.MOSQ_ACL_WRITE)])

    def plugin_cleanup():
        calls.append(('plugin_cleanup',))

    def unpwd_check(username, password):
        row = db.execute('select 1 from users where name = ? and pw = ?',
                         (username, password)).fetchone()
        return row is not None

    def acl_check(clientid, username, topic, access):
        for sub, allowed in db.execute('select sub, access from acls where name = ?',
                                       (username,)):
            if mosquitto_auth.topic_matches_sub(sub, topic) and allowed & access:
                return True
        return False

    def psk_key_get(identity, hint):
        return '0123456789abcdef' * 2 if identity == 'device' else False

    def security_init(opts, reload):
        calls.append(('security_init', opts, reload))

    def security_cleanup(reload):
        calls.append(('security_cleanup', reload))
"""


@pytest.fixture
def module(tmp_path: Path) -> Iterator[Callable[[str], str]]:
    """Write modules that can be imported by the name that is given back."""
    names = itertools.count()
    made = []

    def write(text: str) -> str:
        name = f"pyauth_{tmp_path.name}_{next(names)}".replace("-", "_")
        (tmp_path / f"{name}.py").write_text(dedent(text))
        made.append(name)
        return name

    before = list(sys.path)
    sys.path.insert(0, str(tmp_path))
    yield write
    sys.path[:] = before
    for name in made:
        sys.modules.pop(name, None)


def make(name: str, **options: Any) -> PyAuthPlugin:
    context = BaseContext()
    context.logger = logging.getLogger("test.pyauth")
    context.config = PyAuthPlugin.Config(module=name, **options)
    return PyAuthPlugin(context)


@contextlib.asynccontextmanager
async def plugin_of(name: str, **options: Any) -> AsyncIterator[PyAuthPlugin]:
    plugin = make(name, **options)
    await plugin.on_broker_pre_start()
    try:
        yield plugin
    finally:
        await plugin.close()


def session_of(
    username: str | None, password: str | bytes | None = None, client_id: str = "c"
) -> Session:
    session = Session()
    session.username, session.password, session.client_id = username, password, client_id
    return session


# -- unchanged modules


async def test_an_unchanged_module(module: Callable[[str], str]) -> None:
    name = module(DATABASE)
    opts = (("host", "localhost"), ("port", "5432"), ("tls", "true"))
    async with plugin_of(name, options={"host": "localhost", "port": 5432, "tls": True}) as plugin:
        calls = sys.modules[name].calls
        assert calls == [("plugin_init", opts), ("security_init", opts, False)]
        assert await plugin.authenticate(session=session_of("alice", "wonderland")) is True
        assert await plugin.authenticate(session=session_of("alice", "guess")) is False
        assert await plugin.psk_key(identity="device", hint="") == bytes.fromhex(
            "0123456789abcdef" * 2
        )
        assert await plugin.psk_key(identity="stranger", hint="") is None
        await plugin.reload()
        assert calls[2:] == [("security_cleanup", True), ("security_init", opts, True)]
    assert calls[4:] == [("security_cleanup", False), ("plugin_cleanup",)]
    # A broker may be started again.
    await plugin.on_broker_pre_start()
    assert calls[6:] == [("plugin_init", opts), ("security_init", opts, False)]
    assert await plugin.authenticate(session=session_of("alice", "wonderland")) is True


@pytest.mark.parametrize(
    ("topic", "action", "allowed"),
    [
        ("home/x", Action.RECEIVE, True), ("home/#", Action.SUBSCRIBE, True),
        ("home/x", Action.PUBLISH, False), ("home/alice/x", Action.PUBLISH, True),
        ("other", Action.RECEIVE, False), ("#", Action.SUBSCRIBE, False),
    ],
)  # fmt: skip
async def test_topics(
    topic: str, action: Action, allowed: bool, module: Callable[[str], str]
) -> None:
    async with plugin_of(module(DATABASE)) as plugin:
        session = session_of("alice")
        assert await plugin.topic_filtering(session=session, topic=topic, action=action) is allowed
        assert not await plugin.topic_filtering(
            session=session_of("bob"), topic=topic, action=action
        )
        assert await plugin.topic_filtering(session=None, topic=topic, action=action) is None


async def test_a_broker_with_an_unchanged_module(module: Callable[[str], str]) -> None:
    name = module(DATABASE)
    async with Broker(config_of({PATH: {"module": name}})) as broker:
        for password, admitted in (("wonderland", True), ("guess", False)):
            client = MQTTClient(config={"auto_reconnect": False})
            with contextlib.nullcontext() if admitted else pytest.raises(ConnectError):
                await client.connect(f"mqtt://alice:{password}@127.0.0.1:{port_of(broker)}")
            if admitted:
                assert await client.subscribe([("home/#", 1), ("#", 1)]) == [1, 0x80]
                await client.publish("home/other", b"forbidden", qos=1)
                await client.publish("home/alice/x", b"allowed", qos=1)
                message = await asyncio.wait_for(client.deliver_message(), 10)
                assert message is not None
                assert message.data == b"allowed"
                await client.disconnect()
        await broker.reload()
        assert ("security_init", (), True) in sys.modules[name].calls
    assert sys.modules[name].calls[-1] == ("plugin_cleanup",)


async def test_stored_subscriptions_end_when_a_right_is_withdrawn(
    module: Callable[[str], str],
) -> None:
    name = module("""
        allowed = True

        def unpwd_check(username, password):
            return True

        def acl_check(clientid, username, topic, access):
            return topic != 'a' or allowed

        def security_init(opts, reload):
            global allowed
            allowed = not reload
    """)
    config = config_of({PATH: {"module": name, "verdict_ttl": 3600}})
    async with (
        Broker(config) as broker,
        client_of(broker, "reader", user="u") as reader,
        client_of(broker, "writer", user="u") as writer,
    ):
        await reader.subscribe([("#", 0)])
        await writer.publish("a", b"before", qos=1)
        before = await asyncio.wait_for(reader.deliver_message(), 10)  # decided, and allowed
        await broker.reload()
        await writer.publish("a", b"after", qos=1)
        await writer.publish("b", b"end", qos=1)
        end = await asyncio.wait_for(reader.deliver_message(), 10)
        assert [each.data for each in (before, end) if each] == [b"before", b"end"]


# -- arguments


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ("a, b, c, d", [("c", "u", "t", 2), ("c", "u", "t", 1), ("c", "u", "t", 1)]),
        ("*all", [("c", "u", "t", 2), ("c", "u", "t", 1), ("c", "u", "t", 1)]),
        (
            "a, b, c, d, e",
            [("c", "u", "t", 2, None), ("c", "u", "t", 4, None), ("c", "u", "t", 1, None)],
        ),
        (
            "a, b, c, d, e=b''",
            [("c", "u", "t", 2, None), ("c", "u", "t", 4, None), ("c", "u", "t", 1, None)],
        ),
    ],
)
async def test_arguments_of_acl_check(
    parameters: str, expected: list[Any], module: Callable[[str], str]
) -> None:
    values = "all" if parameters == "*all" else parameters.replace("=b''", "")
    name = module(f"seen = []\ndef acl_check({parameters}):\n    seen.append(tuple(({values})))\n")
    async with plugin_of(name) as plugin:
        for action in (Action.PUBLISH, Action.SUBSCRIBE, Action.RECEIVE):
            await plugin.topic_filtering(session=session_of("u"), topic="t", action=action)
    assert sys.modules[name].seen == expected


@pytest.mark.parametrize(
    ("username", "password", "asked"),
    [
        ("u", "p", True), ("", "", True), (None, "p", False), ("u", None, False),
        ("u", b"\xff", False),
    ],
)  # fmt: skip
async def test_missing_names_and_passwords_are_refused_unasked(
    username: str | None,
    password: str | bytes | None,
    asked: bool,
    module: Callable[[str], str],
) -> None:
    async with plugin_of(module("def unpwd_check(username, password): return 1")) as plugin:
        assert await plugin.authenticate(session=session_of(username, password)) is asked


async def test_identity_as_user_name(module: Callable[[str], str]) -> None:
    name = module("def unpwd_check(username, password): return False")
    for option in (True, False):
        async with plugin_of(name, use_identity_as_username=option) as plugin:
            session = session_of(None)
            session.ssl_object = SimpleNamespace(psk_identity="device")
            assert await plugin.authenticate(session=session) is option
            assert session.username == ("device" if option else None)


# -- coroutine functions


async def test_coroutine_functions_run_on_the_event_loop(module: Callable[[str], str]) -> None:
    name = module("""
        import asyncio

        calls = []

        async def plugin_init(opts):
            calls.append(('init', asyncio.get_running_loop()))

        async def unpwd_check(username, password):
            await asyncio.sleep(0)
            return username == password

        def acl_check(clientid, username, topic, access):
            async def later():
                return topic == 'a'
            return later()

        async def psk_key_get(identity, hint):
            return b'00ff'

        async def plugin_cleanup():
            calls.append(('cleanup', asyncio.get_running_loop()))
    """)
    async with plugin_of(name) as plugin:
        assert await plugin.authenticate(session=session_of("a", "a")) is True
        assert await plugin.authenticate(session=session_of("a", "b")) is False
        for topic in ("a", "b"):
            assert await plugin.topic_filtering(
                session=session_of("a"), topic=topic, action=Action.PUBLISH
            ) is (topic == "a")
        assert await plugin.psk_key(identity="x", hint="") == b"\x00\xff"
    loop = asyncio.get_running_loop()
    assert sys.modules[name].calls == [("init", loop), ("cleanup", loop)]


async def test_other_functions_run_in_one_thread_of_their_own(
    module: Callable[[str], str],
) -> None:
    name = module("""
        import threading
        threads = [threading.current_thread()]

        def unpwd_check(username, password):
            threads.append(threading.current_thread())
            return True
    """)
    async with plugin_of(name) as plugin:
        await asyncio.gather(
            *(plugin.authenticate(session=session_of("a", "a")) for _ in range(10))
        )
        threads = sys.modules[name].threads
        assert len(threads) == 11
        assert len(set(threads)) == 1
        assert threads[0] is not threading.current_thread()
        assert threads[0].daemon
    del plugin
    gc.collect()
    await until(lambda: not threads[0].is_alive())


# -- modules with mistakes


@pytest.mark.parametrize(
    "statement",
    [
        "raise ValueError('no')", "raise SystemExit(3)", "raise StopIteration",
        "raise TimeoutError('database')", "return Neither()", "return None", "return 0",
    ],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["def", "async def"])
async def test_a_check_that_fails_refuses(
    statement: str, kind: str, module: Callable[[str], str], caplog: pytest.LogCaptureFixture
) -> None:
    name = module(f"""
        class Neither:
            def __bool__(self):
                raise ValueError('neither')

        {kind} unpwd_check(username, password):
            {statement}

        {kind} acl_check(clientid, username, topic, access):
            {statement}

        {kind} psk_key_get(identity, hint):
            {statement if "Neither" not in statement else "return 'xyz'"}
    """)
    async with plugin_of(name) as plugin:
        assert await plugin.authenticate(session=session_of("a", "very secret")) is False
        assert (
            await plugin.topic_filtering(session=session_of("a"), topic="a", action=Action.PUBLISH)
            is False
        )
        assert await plugin.psk_key(identity="a", hint="") is None
    assert "very secret" not in caplog.text
    if "return N" not in statement and "return 0" not in statement:
        assert f"module '{name}': 'unpwd_check' failed" in caplog.text


async def test_missing_checks_refuse(module: Callable[[str], str]) -> None:
    async with plugin_of(module("def plugin_init(opts): pass")) as plugin:
        assert await plugin.authenticate(session=session_of("a", "b")) is False
        assert (
            await plugin.topic_filtering(session=session_of("a"), topic="a", action=Action.PUBLISH)
            is False
        )
        assert await plugin.psk_key(identity="a", hint="") is None


@pytest.mark.parametrize("kind", ["thread", "async"])
async def test_a_check_that_hangs_refuses_and_holds_up_nobody_else(
    kind: str, module: Callable[[str], str], caplog: pytest.LogCaptureFixture
) -> None:
    name = module(
        """
        import threading
        gate = threading.Event()

        def unpwd_check(username, password):
            return username != 'slow' or gate.wait()
        """
        if kind == "thread"
        else """
        import asyncio

        async def unpwd_check(username, password):
            return username != 'slow' or await asyncio.Event().wait()
        """
    )
    async with plugin_of(name, timeout=0.1, threads=2) as plugin:
        slow = asyncio.ensure_future(plugin.authenticate(session=session_of("slow", "x")))
        assert await plugin.authenticate(session=session_of("quick", "x")) is True
        assert await slow is False
        assert "'unpwd_check' takes more than 0.1 s" in caplog.text
        if kind == "thread":
            sys.modules[name].gate.set()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("import no_such_module_at_all", "its import failed: ModuleNotFoundError"),
        ("1 / 0", "its import failed: ZeroDivisionError"),
        ("raise SystemExit", "its import failed: RuntimeError"),
        ("def plugin_init(opts): raise KeyError('db')", r"'plugin_init' failed: KeyError\('db'\)"),
        ("def security_init(opts, reload): 1 / 0", "'security_init' failed: ZeroDivisionError"),
        ("unpwd_check = 3", "'unpwd_check' of module '.*' is no function"),
        ("", "has none of the functions plugin_init, "),
        ("import time; time.sleep(3)", "its import takes more than 0.2 s"),
    ],
)
def test_a_module_that_cannot_be_used_is_an_error(
    text: str, problem: str, module: Callable[[str], str]
) -> None:
    with pytest.raises(AuthModuleError, match=problem):
        make(module(text), timeout=0.2)


async def test_a_module_that_is_missing_ends_the_start_of_the_broker() -> None:
    with pytest.raises(PluginInitError) as error:
        Broker(config_of({PATH: {"module": "no_such_module_at_all"}}))
    assert "no_such_module_at_all" in str(error.value.__cause__)


@pytest.mark.parametrize(
    "options", [{"threads": 0}, {"timeout": -1}, {"verdict_ttl": -1}, {"timeout": float("nan")}]
)
def test_numbers_out_of_range(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="expected"):
        PyAuthPlugin.Config(module="m", **options)


async def test_a_folder_of_modules(tmp_path: Path) -> None:
    folder = tmp_path / "modules"
    folder.mkdir()
    name = f"in_folder_{tmp_path.name}"
    (folder / f"{name}.py").write_text("def unpwd_check(username, password): return True")
    before = list(sys.path)
    try:
        async with plugin_of(name, module_folder=folder) as plugin:
            assert await plugin.authenticate(session=session_of("a", "b")) is True
    finally:
        sys.path[:] = before


# -- the helper module


def test_helper_module(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    assert mosquitto_auth.topic_matches_sub("/foo/#", "/foo/bar")
    assert not mosquitto_auth.topic_matches_sub("/foo/bar", "/foo/#")
    names = ("MOSQ_ACL_NONE", "MOSQ_ACL_READ", "MOSQ_ACL_WRITE", "MOSQ_ACL_SUBSCRIBE")
    assert [getattr(mosquitto_auth, name) for name in names] == [0, 1, 2, 4]
    for name in ("INFO", "NOTICE", "WARNING", "ERR", "DEBUG", "SUBSCRIBE", "UNSUBSCRIBE"):
        mosquitto_auth.log(getattr(mosquitto_auth, f"LOG_{name}"), f"100 % {name}")
    assert [(each.levelname, each.message.split()[-1]) for each in caplog.records] == [
        ("INFO", "INFO"), ("INFO", "NOTICE"), ("WARNING", "WARNING"), ("ERROR", "ERR"),
        ("DEBUG", "DEBUG"), ("DEBUG", "SUBSCRIBE"), ("DEBUG", "UNSUBSCRIBE"),
    ]  # fmt: skip


def test_a_helper_module_of_somebody_else_stays(
    module: Callable[[str], str],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    other = type(sys)("mosquitto_auth")
    monkeypatch.setitem(sys.modules, "mosquitto_auth", other)
    make(module("def unpwd_check(username, password): return True"))
    assert sys.modules["mosquitto_auth"] is other
    assert "'mosquitto_auth' is another module" in caplog.text
