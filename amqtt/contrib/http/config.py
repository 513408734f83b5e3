"""The options of the plugins that ask an HTTP service."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from pathlib import Path

from amqtt._compat import StrEnum

__all__ = ["ACLError", "HttpConfig", "ParamsMode", "RequestMethod", "ResponseMode"]


class RequestMethod(StrEnum):
    """The method of the requests."""

    GET = "get"
    POST = "post"
    PUT = "put"


class ParamsMode(StrEnum):
    """How a request carries what it asks about."""

    JSON = "json"
    FORM = "form"


class ResponseMode(StrEnum):
    """Where a response has its answer."""

    STATUS = "status"
    JSON = "json"
    TEXT = "text"


class ACLError(Exception):
    """Not raised; applications of aMQTT may name it."""


@dataclass
class HttpConfig:
    """The options that say where the service is and how it is asked.

    Attributes:
        host: name or address of the service.
        port: its port.
        request_method: `get`, `post` or `put`.
        params_mode: `json`: an object in the body; `form`: the query of a GET, the body of others.
        response_mode: `json`: the member `ok` of an object; `status`: the status code; `text`: the
            body `ok`.
        with_tls: whether it is asked over HTTPS; the certificate is always verified.
        user_agent: the header field `User-Agent`.
        superuser_uri: path to ask whether a user may do everything; None means that nobody may.
        timeout: seconds that an answer may take, the wait for a free connection included.
        cafile: file with the certificates of the authorities that vouch for the service; None
            means those of the system.
        max_connections: how many requests may run at the same time; others wait.
        verdict_ttl: seconds for which a verdict on a topic holds for the same client and action;
            0 means that the service is asked each time.
        failure_limit: so many requests in a row without an answer, and the service counts as down.
        failure_pause: seconds for which a service that is down is not asked.

    Raises:
        ValueError: a value is out of range, or a path does not begin with `/`.
        FileNotFoundError: there is no such `cafile`.

    """

    host: str
    port: int
    request_method: RequestMethod = RequestMethod.GET
    params_mode: ParamsMode = ParamsMode.JSON
    response_mode: ResponseMode = ResponseMode.JSON
    with_tls: bool = False
    user_agent: str = "amqtt"
    superuser_uri: str | None = None
    timeout: int | float = 5
    cafile: str | Path | None = None
    max_connections: int = 32
    verdict_ttl: int | float = 10
    failure_limit: int = 5
    failure_pause: int | float = 10

    def __post_init__(self) -> None:
        """Check the values."""
        if not 0 < self.port <= 65535:
            msg = f"port: expected a number from 1 to 65535, found {self.port}"
            raise ValueError(msg)
        for name in ("timeout", "max_connections", "failure_limit", "failure_pause"):
            if not getattr(self, name) > 0:
                msg = f"{name}: expected a number greater than 0, found {getattr(self, name)}"
                raise ValueError(msg)
        if not self.verdict_ttl >= 0:
            msg = f"verdict_ttl: expected 0 or a number of seconds, found {self.verdict_ttl}"
            raise ValueError(msg)
        if self.cafile is not None and not Path(self.cafile).is_file():
            msg = f"cafile: there is no file '{self.cafile}'"
            raise FileNotFoundError(msg)
        check_path("superuser_uri", self.superuser_uri)

    @property
    def origin(self) -> str:
        """Scheme, host and port of the service as an URL has them."""
        scheme = "https" if self.with_tls else "http"
        return f"{scheme}://{_host_of_url(self.host)}:{self.port}"


def check_path(name: str, path: str | None) -> None:
    """Refuse a path that could turn into a part of the host.

    Args:
        name: name of the option.
        path: its value.

    Raises:
        ValueError: the path does not begin with `/`.

    """
    if path is not None and not path.startswith("/"):
        msg = f"{name}: expected a path that begins with '/', found '{path}'"
        raise ValueError(msg)


def _host_of_url(host: str) -> str:
    try:
        is_ipv6 = ipaddress.ip_address(host).version == 6
    except ValueError:
        return host
    return f"[{host}]" if is_ipv6 else host
