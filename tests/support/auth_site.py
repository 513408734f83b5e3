"""An HTTP service that plugins ask, which a test makes answer well or badly."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

Answer = Callable[[web.Request, dict[str, Any]], "web.StreamResponse | Awaitable[Any]"]


@dataclass
class Question:
    """A request that has arrived."""

    method: str
    path: str
    fields: dict[str, Any]
    content_type: str
    user_agent: str
    peer: tuple[str, int]


@dataclass
class AuthSite:
    """A running service; `answer` may be exchanged at any time."""

    answer: Answer
    port: int = 0
    questions: list[Question] = field(default_factory=list)
    running: int = 0
    most_running: int = 0

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Note the request and answer it."""
        body = await request.text()
        if request.content_type == "application/json" and body:
            fields = await request.json()
        elif request.method == "GET":
            fields = dict(request.query)
        else:
            fields = dict(await request.post())
        assert request.transport is not None
        self.questions.append(
            Question(
                request.method,
                request.path,
                fields,
                request.content_type,
                request.headers["User-Agent"],
                request.transport.get_extra_info("peername"),
            )
        )
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            answer = self.answer(request, fields)
            return answer if isinstance(answer, web.StreamResponse) else await answer
        finally:
            self.running -= 1


@asynccontextmanager
async def auth_site(
    answer: Answer, *, tls: ssl.SSLContext | None = None, port: int = 0
) -> AsyncIterator[AuthSite]:
    """Run a service on the loopback interface."""
    site = AuthSite(answer)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", site.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port, ssl_context=tls).start()
        site.port = runner.addresses[0][1]
        yield site
    finally:
        await runner.cleanup()


def says(ok: object) -> Answer:
    """Answer every request with that `ok`."""
    return lambda _request, _fields: web.json_response({"ok": ok})


def never() -> Answer:
    """Leave every request unanswered."""

    async def answer(_request: web.Request, _fields: dict[str, Any]) -> None:
        await asyncio.Event().wait()

    return answer
