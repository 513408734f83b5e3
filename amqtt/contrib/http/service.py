"""Make requests to the HTTP service, and read its answers."""

from __future__ import annotations

import asyncio
import json
import logging
import ssl
from typing import TYPE_CHECKING, Any

import aiohttp
from yarl import URL

from amqtt._compat import wait_for
from amqtt.contrib.http.breaker import CircuitBreaker
from amqtt.contrib.http.config import HttpConfig, ParamsMode, RequestMethod, ResponseMode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from amqtt.logs import LogLimiter

_LARGEST_BODY = 64 * 1024
_MOST_REDIRECTS = 5
# Those that repeat a request as it is; after the others a POST would have lost its fields.
_REPEATING = (307, 308)
_REDIRECTS = (301, 302, 303, *_REPEATING)

Fields = dict[str, "str | int | None"]


class NoAnswerError(Exception):
    """Report that the service has not answered, or was not asked because it is down."""


class HttpService:
    """Ask one service over connections that are kept alive.

    Args:
        config: where it is and how it is asked.
        peer_log: of the plugin. It never gets what a request carries, as that has passwords.

    """

    def __init__(self, config: HttpConfig, peer_log: LogLimiter) -> None:
        """Open nothing yet."""
        self._config = config
        self._peer_log = peer_log
        self._session: aiohttp.ClientSession | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tls = ssl.create_default_context(cafile=config.cafile) if config.with_tls else True
        self._breaker = CircuitBreaker(
            f"the service at {config.origin}",
            peer_log.logger,
            config.failure_limit,
            config.failure_pause,
        )

    def url(self, path: str) -> str:
        """Return the URL of a path of the service."""
        return f"{self._config.origin}{path}"

    def failed_within(self, seconds: float) -> bool:
        """Tell whether the service has failed to answer a short time ago."""
        return self._breaker.failed_within(seconds)

    async def close(self) -> None:
        """Close the connections; they are opened again when they are needed."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def ask(self, path: str, fields: Fields) -> bool | None:
        """Ask the service.

        Args:
            path: path of the question.
            fields: what is asked about.

        Returns:
            What it says; None when it leaves that to others or the response is no answer.

        Raises:
            NoAnswerError: there is no response in time; the cause was logged.

        """
        if not self._breaker.allows_request():
            raise NoAnswerError
        answered = False
        try:
            verdict = await wait_for(
                self._exchange_or_repeat(path, fields), timeout=self._config.timeout
            )
            answered = True
        except (aiohttp.ClientError, OSError, asyncio.TimeoutError) as error:
            self._warn(
                "requests without answer", path, "%s%s does not answer: %s",
                self._config.origin, path, self._cause_of(error),
            )  # fmt: skip
            raise NoAnswerError from None
        finally:
            # A request that is cancelled has taken too long for somebody else.
            if answered:
                self._breaker.succeeded()
            else:
                self._breaker.failed()
        return verdict

    def _cause_of(self, error: Exception) -> str:
        """Describe an error; its text is used only where that cannot have a query."""
        if isinstance(error, asyncio.TimeoutError):
            return f"nothing in {self._config.timeout:g} s"
        if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ClientOSError):
            return str(error) or type(error).__name__
        return type(error).__name__

    def _open(self) -> aiohttp.ClientSession:
        loop = asyncio.get_running_loop()
        if self._session is None or self._session.closed or self._loop is not loop:
            self._loop = loop
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=self._config.max_connections, ssl=self._tls),
                # What one client's response sets is not sent with the next client's request.
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": self._config.user_agent},
                timeout=aiohttp.ClientTimeout(total=None),
            )
        return self._session

    async def _exchange_or_repeat(self, path: str, fields: Fields) -> bool | None:
        """Ask once more where the service has closed a connection that it had kept alive."""
        try:
            return await self._exchange(path, fields)
        except aiohttp.ClientConnectorError:
            raise
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
            return await self._exchange(path, fields)

    async def _exchange(self, path: str, fields: Fields) -> bool | None:
        """Make the request, follow redirects within the service, read the response."""
        url = URL(self.url(path), encoded=False)
        for _ in range(_MOST_REDIRECTS + 1):
            async with self._request(url, fields) as response:
                target = self._redirection(response, url)
                if target is None:
                    body = await _body_of(response)
                    return self._verdict_of(response, path, body)
                url = target
        origin = self._config.origin
        self._warn("redirections", path, "%s%s redirects too often", origin, path)
        return self._verdict_of_status(302)

    def _request(self, url: URL, fields: Fields) -> Any:
        method, mode = self._config.request_method, self._config.params_mode
        body: dict[str, Any] = {}
        if mode is ParamsMode.JSON:
            body["json"] = fields
        elif method is RequestMethod.GET:
            url = url.update_query(_as_form(fields))
        else:
            body["data"] = _as_form(fields)
        return self._open().request(method.value.upper(), url, allow_redirects=False, **body)

    def _redirection(self, response: aiohttp.ClientResponse, url: URL) -> URL | None:
        """Return where to ask again; None when the response is the last one."""
        if response.status not in _REDIRECTS:
            return None
        is_repeated = (
            response.status in _REPEATING or self._config.request_method is RequestMethod.GET
        )
        try:
            target = url.join(URL(response.headers.get("Location", "")))
            stays = target.origin() == url.origin()
        except ValueError:
            stays = False
        if is_repeated and stays:
            return target
        self._warn(
            "redirections", url.path,
            "%s%s redirects with status %d to where passwords are not sent",
            self._config.origin, url.path, response.status,
        )  # fmt: skip
        return None

    # -- what a response means

    def _verdict_of(
        self, response: aiohttp.ClientResponse, path: str, body: bytes | None
    ) -> bool | None:
        mode = self._config.response_mode
        if mode is ResponseMode.STATUS or not 200 <= response.status < 300:
            return self._verdict_of_status(response.status)
        if body is None:
            self._log_no_answer(path, f"the body has more than {_LARGEST_BODY} bytes")
            return None
        if mode is ResponseMode.TEXT:
            return body.lower() == b"ok"
        if not _is_json(response.content_type):
            self._log_no_answer(path, f"its type is {response.content_type!r}, not JSON")
            return None
        try:
            return _verdict_of_object(json.loads(body, object_pairs_hook=_Object))
        except (ValueError, RecursionError):
            self._log_no_answer(
                path, "it is not a JSON object with one 'ok', which is true, false or null"
            )
            return None

    def _verdict_of_status(self, status: int) -> bool | None:
        if self._config.response_mode is not ResponseMode.STATUS:
            return False
        if 200 <= status < 300:
            return True
        return False if 400 <= status < 500 else None

    def _log_no_answer(self, path: str, why: str) -> None:
        origin = self._config.origin
        what = "the response of %s%s is no answer: %s"
        self._warn("responses that are no answer", path, what, origin, path, why)

    def _warn(self, kind: str, path: str, message: str, *args: object) -> None:
        self._peer_log.log(logging.WARNING, kind, path, message, *args)


def _as_form(fields: Fields) -> Mapping[str, str]:
    return {name: "" if value is None else str(value) for name, value in fields.items()}


def _is_json(content_type: str) -> bool:
    return content_type == "application/json" or content_type.endswith("+json")


class _Object(list[tuple[str, Any]]):
    """The names and values of a JSON object, in which a name may come twice."""


def _verdict_of_object(content: Any) -> bool | None:
    if not isinstance(content, _Object):
        msg = "no object"
        raise ValueError(msg)
    verdicts = [value for name, value in content if name.lower() == "ok"]
    if len(verdicts) > 1:
        msg = "more than one verdict"
        raise ValueError(msg)
    verdict = verdicts[0] if verdicts else None
    if verdict is None or isinstance(verdict, bool):
        return verdict
    msg = "neither true nor false"
    raise ValueError(msg)


async def _body_of(response: aiohttp.ClientResponse) -> bytes | None:
    """Return the body; None when it is too large, which ends the connection."""
    body = bytearray()
    async for piece in response.content.iter_chunked(_LARGEST_BODY):
        body += piece
        if len(body) > _LARGEST_BODY:
            response.close()
            return None
    return bytes(body)
