"""The plugins that ask an HTTP service, against real services."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from support.auth_site import auth_site, never, says
from support.certificates import Authority
from support.process import free_port

from amqtt.contexts import Action, BaseContext
from amqtt.contrib.http import (
    AuthHttpPlugin,
    HttpAuthTopicPlugin,
    ParamsMode,
    RequestMethod,
    ResponseMode,
    TopicAuthHttpPlugin,
    UserAuthHttpPlugin,
)
from amqtt.contrib.http.breaker import CircuitBreaker
from amqtt.errors import PluginLoadError
from amqtt.plugins.manager import PluginManager
from amqtt.session import Session

SECRET = "very/secret"
LOGGER = "test.http"


def session_of(
    username: str | None = "alice", password: str | bytes | None = SECRET, client_id: str = "c1"
) -> Session:
    session = Session()
    session.username, session.password, session.client_id = username, password, client_id
    return session


@asynccontextmanager
async def plugin_of(cls: type[AuthHttpPlugin], port: int, **options: Any) -> AsyncIterator[Any]:
    context = BaseContext()
    context.logger = logging.getLogger(LOGGER)
    config: Any = cls.Config
    context.config = config(host="127.0.0.1", port=port, **options)
    plugin = cls(context)
    try:
        yield plugin
    finally:
        await plugin.close()


# -- requests


@pytest.mark.parametrize("method", RequestMethod)
@pytest.mark.parametrize("mode", ParamsMode)
async def test_fields_of_a_login(method: RequestMethod, mode: ParamsMode) -> None:
    async with (
        auth_site(says(True)) as site,
        plugin_of(
            UserAuthHttpPlugin, site.port, request_method=method, params_mode=mode,
            user_agent="my broker",
        ) as plugin,
    ):  # fmt: skip
        assert await plugin.authenticate(session=session_of(password="p&=ä")) is True
    (asked,) = site.questions
    assert (asked.method, asked.path, asked.user_agent) == (method.name, "/user", "my broker")
    assert asked.fields == {"username": "alice", "password": "p&=ä", "client_id": "c1"}
    if mode is ParamsMode.JSON:
        assert asked.content_type == "application/json"
    elif method is not RequestMethod.GET:
        assert asked.content_type == "application/x-www-form-urlencoded"


@pytest.mark.parametrize(("mode", "missing"), [(ParamsMode.JSON, None), (ParamsMode.FORM, "")])
@pytest.mark.parametrize("method", RequestMethod)
async def test_missing_and_empty_values_are_sent(
    method: RequestMethod, mode: ParamsMode, missing: str | None
) -> None:
    async with (
        auth_site(says(True)) as site,
        plugin_of(
            HttpAuthTopicPlugin, site.port, request_method=method, params_mode=mode
        ) as plugin,
    ):
        assert await plugin.authenticate(session=session_of(None, None))
        assert await plugin.authenticate(session=session_of("", ""))
        assert await plugin.topic_filtering(
            session=session_of(None), topic="", action=Action.PUBLISH
        )
    login, empty_login, topic = (each.fields for each in site.questions)
    assert login == {"username": missing, "password": missing, "client_id": "c1"}
    assert empty_login == {"username": "", "password": "", "client_id": "c1"}
    assert topic["username"] == missing
    assert topic["topic"] == ""


async def test_a_password_that_is_no_text_is_refused_unasked() -> None:
    async with (
        auth_site(says(True)) as site,
        plugin_of(UserAuthHttpPlugin, site.port) as plugin,
    ):
        assert await plugin.authenticate(session=session_of(password=b"\xff")) is False
    assert site.questions == []


@pytest.mark.parametrize(
    ("action", "number"), [(Action.RECEIVE, 1), (Action.PUBLISH, 2), (Action.SUBSCRIBE, 4)]
)
@pytest.mark.parametrize("mode", ParamsMode)
async def test_fields_of_a_topic(action: Action, number: int, mode: ParamsMode) -> None:
    async with (
        auth_site(says(True)) as site,
        plugin_of(TopicAuthHttpPlugin, site.port, params_mode=mode) as plugin,
    ):
        assert await plugin.topic_filtering(session=session_of(), topic="a/+", action=action)
    (asked,) = site.questions
    acc: Any = number if mode is ParamsMode.JSON else str(number)
    assert asked.path == "/acl"
    assert asked.fields == {"username": "alice", "client_id": "c1", "topic": "a/+", "acc": acc}


async def test_topics_without_session_topic_or_action_are_left_to_others() -> None:
    async with plugin_of(TopicAuthHttpPlugin, free_port()) as plugin:
        for missing in ("session", "topic", "action"):
            given = {"session": session_of(), "topic": "a", "action": Action.PUBLISH, missing: None}
            assert await plugin.topic_filtering(**given) is None


# -- answers


@pytest.mark.parametrize(
    ("mode", "status", "body", "content_type", "verdict"),
    [
        ("status", 200, "no", "text/plain", True), ("status", 204, "", "text/plain", True),
        ("status", 400, "ok", "text/plain", False), ("status", 403, "", "text/plain", False),
        ("status", 500, "", "text/plain", None), ("status", 503, "", "text/plain", None),
        ("status", 304, "", "text/plain", None),
        ("text", 200, "ok", "text/plain", True), ("text", 200, "OK", "text/html", True),
        ("text", 200, "okay", "text/plain", False), ("text", 200, "", "text/plain", False),
        ("text", 403, "ok", "text/plain", False), ("text", 500, "ok", "text/plain", False),
        ("json", 200, '{"ok": true}', "application/json", True),
        ("json", 201, '{"OK": true, "x": 1}', "application/json", True),
        ("json", 200, '{"ok": true}', "application/problem+json", True),
        ("json", 200, '{"Ok": false}', "application/json", False),
        ("json", 200, '{"ok": null}', "application/json", None),
        ("json", 200, '{}', "application/json", None),
        ("json", 403, '{"ok": true}', "application/json", False),
        ("json", 500, '{"ok": true}', "application/json", False),
        ("json", 200, '{"ok": "yes"}', "application/json", None),
        ("json", 200, '{"ok": false, "ok": true}', "application/json", None),
        ("json", 200, '{"ok": false, "OK": true}', "application/json", None),
        ("json", 200, '{"ok": true, "x": {"ok": false}}', "application/json", True),
        ("json", 200, '{"ok": 1}', "application/json", None),
        ("json", 200, '[true]', "application/json", None),
        ("json", 200, '{"ok": tr', "application/json", None),
        ("json", 200, '{"ok": true}', "text/html", None),
        ("json", 200, '[' * 60_000, "application/json", None),
        ("json", 200, '{"ok": true, "x": "' + "x" * 70_000 + '"}', "application/json", None),
    ],
)  # fmt: skip
async def test_what_a_response_means(
    mode: str, status: int, body: str, content_type: str, verdict: bool | None
) -> None:
    def answer(_request: web.Request, _fields: Any) -> web.Response:
        return web.Response(status=status, text=body, content_type=content_type)

    async with (
        auth_site(answer) as site,
        plugin_of(HttpAuthTopicPlugin, site.port, response_mode=ResponseMode(mode)) as plugin,
    ):
        assert await plugin.authenticate(session=session_of()) is verdict
        asked = await plugin.topic_filtering(
            session=session_of(), topic="a", action=Action.SUBSCRIBE
        )
        assert asked is verdict


@pytest.mark.parametrize(
    ("superuser", "acl", "verdict", "paths"),
    [
        (True, False, True, ["/super"]),
        (False, True, True, ["/super", "/acl"]),
        (False, False, False, ["/super", "/acl"]),
        (None, True, True, ["/super", "/acl"]),
        (None, None, None, ["/super", "/acl"]),
    ],
)
async def test_superusers(
    superuser: bool | None, acl: bool | None, verdict: bool | None, paths: list[str]
) -> None:
    def answer(request: web.Request, _fields: Any) -> web.Response:
        return web.json_response({"ok": superuser if request.path == "/super" else acl})

    async with (
        auth_site(answer) as site,
        plugin_of(TopicAuthHttpPlugin, site.port, superuser_uri="/super") as plugin,
    ):
        asked = await plugin.topic_filtering(session=session_of(), topic="a", action=Action.PUBLISH)
        assert asked is verdict
        assert [each.path for each in site.questions] == paths
        assert site.questions[0].fields == {"username": "alice"}
        # Nobody is no superuser.
        await plugin.topic_filtering(session=session_of(None), topic="a", action=Action.PUBLISH)
        assert site.questions[-2].path != "/super" or paths == ["/super"]
        assert site.questions[-1].path == "/acl"


# -- services that do not answer


async def test_a_slow_answer_is_waited_for_and_a_missing_one_is_not(
    caplog: pytest.LogCaptureFixture,
) -> None:
    gate = asyncio.Event()

    async def slow(_request: web.Request, _fields: Any) -> web.Response:
        await gate.wait()
        return web.json_response({"ok": True})

    async with auth_site(slow) as site, plugin_of(UserAuthHttpPlugin, site.port) as plugin:
        asked = asyncio.ensure_future(plugin.authenticate(session=session_of()))
        while not site.questions:
            await asyncio.sleep(0.005)
        gate.set()
        assert await asked is True
        site.answer = never()
        plugin.config.timeout = 0.05
        assert await plugin.authenticate(session=session_of()) is None
    assert f"http://127.0.0.1:{site.port}/user does not answer: nothing in 0.05 s" in caplog.text


@pytest.mark.parametrize("garbage", [b"", b"\0\xff" * 100, b"HTTP/1.1 200 OK\r\n" + b"A" * 99_999])
async def test_garbage_is_no_answer(garbage: bytes) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(garbage)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server, plugin_of(UserAuthHttpPlugin, server.sockets[0].getsockname()[1]) as plugin:
        assert await plugin.authenticate(session=session_of()) is None


async def test_a_body_that_is_cut_off_is_no_answer() -> None:
    async def answer(request: web.Request, _fields: Any) -> None:
        response = web.StreamResponse(headers={"Content-Length": "50"})
        response.content_type = "application/json"
        await response.prepare(request)
        await response.write(b'{"ok": true}')
        assert request.transport is not None
        request.transport.abort()

    async with auth_site(answer) as site, plugin_of(UserAuthHttpPlugin, site.port) as plugin:
        assert await plugin.authenticate(session=session_of()) is None


async def test_a_dead_service_is_left_alone_and_tried_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    port = free_port()
    async with plugin_of(HttpAuthTopicPlugin, port, failure_limit=2, failure_pause=0.05) as plugin:
        assert plugin.verdict_ttl == 10
        for _ in range(2):
            assert await plugin.authenticate(session=session_of()) is None
        assert f"the service at http://127.0.0.1:{port} is down: 2 requests" in caplog.text
        async with auth_site(says(True), port=port) as site:
            assert await plugin.authenticate(session=session_of()) is None  # not asked
            assert site.questions == []
            assert plugin.verdict_ttl == 0
            while await plugin.authenticate(session=session_of()) is None:
                await asyncio.sleep(0.01)
            assert "answers again" in caplog.text
            # A refusal that was made without an answer must not be remembered.
            assert plugin.verdict_ttl == 0


def test_circuit_breaker() -> None:
    now = 0.0
    breaker = CircuitBreaker("it", logging.getLogger(LOGGER), 2, 10, clock=lambda: now)
    breaker.failed()
    breaker.succeeded()
    breaker.failed()
    assert breaker.allows_request()
    breaker.failed()
    assert not breaker.allows_request()
    now = 10
    assert [breaker.allows_request(), breaker.allows_request()] == [True, False]
    breaker.failed()  # the attempt
    now = 19
    assert not breaker.allows_request()
    now = 20
    assert breaker.allows_request()
    breaker.succeeded()
    assert [breaker.allows_request(), breaker.allows_request()] == [True, True]
    assert breaker.failed_within(10.5)
    assert not breaker.failed_within(10)


# -- connections


async def test_one_connection_is_kept_alive() -> None:
    async with auth_site(says(True)) as site, plugin_of(HttpAuthTopicPlugin, site.port) as plugin:
        for _ in range(3):
            await plugin.authenticate(session=session_of())
            await plugin.topic_filtering(session=session_of(), topic="a", action=Action.PUBLISH)
        assert len({each.peer for each in site.questions}) == 1
        await plugin.on_broker_pre_shutdown()
        assert await plugin.authenticate(session=session_of())  # a will perhaps
        assert len({each.peer for each in site.questions}) == 2


async def test_a_request_on_a_connection_that_was_closed_meanwhile_is_repeated() -> None:
    served = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal served
        await reader.readuntil(b"}")
        served += 1
        body = b'{"ok": true}'
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 12\r\n\r\n"
            + body
        )
        await reader.readuntil(b"}")  # the next request: closed unanswered
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with (
        server,
        plugin_of(
            UserAuthHttpPlugin, server.sockets[0].getsockname()[1],
            request_method=RequestMethod.POST,
        ) as plugin,
    ):  # fmt: skip
        assert await plugin.authenticate(session=session_of())
        assert await plugin.authenticate(session=session_of())
    assert served == 2


async def test_concurrency_is_bounded() -> None:
    gate = asyncio.Event()

    async def wait(_request: web.Request, _fields: Any) -> web.Response:
        await gate.wait()
        return web.json_response({"ok": True})

    async with (
        auth_site(wait) as site,
        plugin_of(UserAuthHttpPlugin, site.port, max_connections=3) as plugin,
    ):
        asked = [
            asyncio.ensure_future(plugin.authenticate(session=session_of())) for _ in range(12)
        ]
        while site.running < 3:
            await asyncio.sleep(0.005)
        gate.set()
        assert await asyncio.gather(*asked) == [True] * 12
        assert site.most_running == 3


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("method", [RequestMethod.GET, RequestMethod.POST])
@pytest.mark.parametrize("mode", ParamsMode)
async def test_redirects_stay_with_the_service(
    status: int, method: RequestMethod, mode: ParamsMode, caplog: pytest.LogCaptureFixture
) -> None:
    targets = ["/user/"]

    def answer(request: web.Request, _fields: Any) -> web.Response:
        if request.path == "/user":
            return web.Response(status=status, headers={"Location": targets[-1]})
        return web.json_response({"ok": True})

    async with (
        auth_site(answer) as site,
        auth_site(says(True)) as stranger,
        plugin_of(UserAuthHttpPlugin, site.port, request_method=method, params_mode=mode) as plugin,
    ):
        is_repeated = method is RequestMethod.GET or status >= 307
        assert await plugin.authenticate(session=session_of()) is is_repeated
        if is_repeated:
            assert site.questions[-1].method == method.name
            assert site.questions[-1].fields["password"] == SECRET
        for elsewhere in (
            f"http://127.0.0.1:{stranger.port}/user",
            f"//127.0.0.1:{stranger.port}/user",
            f"http://localhost:{site.port}/other",
            "http://[",
        ):
            targets.append(elsewhere)
            assert await plugin.authenticate(session=session_of()) is False
        assert stranger.questions == []
        assert "redirects" in caplog.text
        targets.append("/user")  # for ever
        assert await plugin.authenticate(session=session_of()) is False


def tls_of(authority: Authority, names: str) -> ssl.SSLContext:
    issued = authority.server(f"server-{len(names)}", names)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(issued.certfile, issued.keyfile)
    return context


async def test_tls_is_verified(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    ours, other = Authority(tmp_path, "ours"), Authority(tmp_path, "other")
    async with auth_site(says(True), tls=tls_of(ours, "IP:127.0.0.1")) as site:
        for cafile, verdict in ((ours.cafile, True), (other.cafile, None), (None, None)):
            async with plugin_of(
                UserAuthHttpPlugin, site.port, with_tls=True, cafile=cafile
            ) as plugin:
                assert plugin.get_url("/user") == f"https://127.0.0.1:{site.port}/user"
                assert await plugin.authenticate(session=session_of()) is verdict
    async with (
        auth_site(says(True), tls=tls_of(ours, "DNS:elsewhere.example")) as site,
        plugin_of(UserAuthHttpPlugin, site.port, with_tls=True, cafile=ours.cafile) as plugin,
    ):
        assert await plugin.authenticate(session=session_of()) is None
    assert "certificate" in caplog.text.lower()


# -- secrets


@pytest.mark.parametrize("method", RequestMethod)
@pytest.mark.parametrize("mode", ParamsMode)
async def test_no_password_is_logged(
    method: RequestMethod, mode: ParamsMode, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)

    def far(_request: web.Request, _fields: Any) -> web.Response:
        return web.Response(status=307, headers={"Location": "http://example.invalid/"})

    def cut(request: web.Request, _fields: Any) -> web.Response:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    async with (
        auth_site(says(True)) as site,
        plugin_of(
            UserAuthHttpPlugin, site.port, request_method=method, params_mode=mode, timeout=0.2
        ) as plugin,
    ):
        for answer in (says(True), says(False), says("?"), far, cut, never()):
            site.answer = answer
            await plugin.authenticate(session=session_of())
    ours = [each.getMessage() for each in caplog.records if each.name == LOGGER]
    assert any("'alice'" in each and "allowed" in each for each in ours)
    assert any("does not answer" in each for each in ours)
    assert SECRET not in caplog.text
    assert SECRET.replace("/", "%2F") not in caplog.text


# -- options


def load(options: dict[str, Any], name: str = "HttpAuthTopicPlugin") -> Any:
    context = BaseContext()
    context.config = {"plugins": {f"amqtt.contrib.http.{name}": options}}
    return PluginManager("amqtt.test.plugins", context, asyncio.get_running_loop()).get_plugin(name)


async def test_options_as_yaml_has_them() -> None:
    config = load(
        {
            "host": "::1", "port": 80, "request_method": "POST", "params-mode": "Form",
            "response_mode": "text", "user_uri": "/u", "acl_uri": "/t", "timeout": 1,
        }
    ).config  # fmt: skip
    assert (config.request_method, config.params_mode, config.response_mode) == (
        RequestMethod.POST, ParamsMode.FORM, ResponseMode.TEXT,
    )  # fmt: skip
    assert (config.user_uri, config.topic_uri, config.origin) == ("/u", "/t", "http://[::1]:80")
    defaults = load({"host": "h", "port": 1}).config
    assert (defaults.user_uri, defaults.topic_uri, defaults.timeout) == ("/user", "/acl", 5)
    assert (defaults.request_method, defaults.params_mode) == ("get", "json")
    for name in ("UserAuthHttpPlugin", "TopicAuthHttpPlugin"):
        assert load({"host": "h", "port": 1}, name).get_url("/x") == "http://h:1/x"


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"port": 1}, "host: missing"),
        ({"host": "h"}, "port: missing"),
        ({"port": 0}, "port: expected a number from 1"),
        ({"request_method": "delete"}, "expected one of get, post, put"),
        ({"user_uri": "@other.example/"}, "user_uri: expected a path"),
        ({"topic_uri": "x"}, "topic_uri: expected a path"),
        ({"superuser_uri": ""}, "superuser_uri: expected a path"),
        ({"topic_uri": "/a", "acl_uri": "/b"}, "'topic_uri' and 'acl_uri' mean the same"),
        ({"timeout": 0}, "timeout: expected a number greater than 0"),
        ({"max_connections": -1}, "max_connections: expected"),
        ({"verdict_ttl": -1}, "verdict_ttl: expected"),
        ({"cafile": "/nowhere/ca.pem"}, "cafile: there is no file"),
    ],
)
async def test_wrong_options(options: dict[str, Any], problem: str) -> None:
    complete = {"host": "h", "port": 1} if len(options) != 1 or "port" not in options else {}
    if problem.endswith("missing"):
        complete = {}
    elif not complete:
        complete = {"host": "h"}
    with pytest.raises(PluginLoadError, match=problem):
        load({**complete, **options})
