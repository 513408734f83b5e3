from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Iterable
from types import ModuleType
from typing import Any

import pytest

from amqtt.contexts import ClientConfig
from amqtt.session import IncomingApplicationMessage


class FakeClient:
    """Record the calls of a tool; raise and return what the test says."""

    made: FakeClient
    init_error: Exception | None = None
    connect_error: Exception | None = None
    publish_error: Exception | None = None
    codes: tuple[int, ...] = (0,)
    incoming: Iterable[bytes | None] = ()

    def __init__(self, client_id: str | None = None, config: ClientConfig | None = None) -> None:
        if self.init_error:
            raise self.init_error
        type(self).made = self
        self.client_id = client_id
        self.config = config
        self.calls: list[str] = []
        self.connect_arguments: dict[str, Any] = {}
        self.published: list[tuple[str, bytes, int, bool]] = []
        self.filters: list[tuple[str, int]] = []
        self.reconnected: Callable[[bool], Awaitable[None]] | None = None
        self._incoming = iter(self.incoming)

    async def connect(self, **arguments: Any) -> int:
        self.calls.append("connect")
        self.connect_arguments = arguments
        if self.connect_error:
            raise self.connect_error
        return 0

    async def publish(self, topic: str, message: bytes, qos: int, retain: bool) -> None:
        if self.publish_error:
            raise self.publish_error
        self.published.append((topic, message, qos, retain))

    async def subscribe(self, filters: list[tuple[str, int]]) -> list[int]:
        self.filters = filters
        return list(self.codes)

    async def deliver_message(self) -> IncomingApplicationMessage | None:
        data = next(self._incoming, None)
        return None if data is None else IncomingApplicationMessage(None, "a", 0, data, False)

    async def disconnect(self) -> None:
        self.calls.append("disconnect")


@pytest.fixture
def client_class(monkeypatch: pytest.MonkeyPatch) -> type[FakeClient]:
    """A client class of its own for each test, in the place of the real one."""

    class Client(FakeClient):
        pass

    module = ModuleType("amqtt.client")
    module.MQTTClient = Client  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "amqtt.client", module)
    return Client
