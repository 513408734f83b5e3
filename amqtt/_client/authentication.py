"""An exchange of enhanced authentication that goes on (MQTT 5.0, section 4.12)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from amqtt.errors import ClientError

if TYPE_CHECKING:
    from amqtt.client_authentication import ClientAuthentication

_SUCCESS = 0x00
_METHOD = "authentication_method"
_DATA = "authentication_data"


class AuthenticationExchange:
    """Bring the steps of a server to the application's object.

    Args:
        authentication: the object.

    Attributes:
        failure: what it has raised; None while all is well.

    """

    def __init__(self, authentication: ClientAuthentication) -> None:
        """Make an exchange that has not begun."""
        self.failure: Exception | None = None
        self._authentication = authentication
        self._again: asyncio.Future[None] | None = None

    def first(self) -> dict[str, Any]:
        """Begin; return the properties for CONNECT."""
        method = {_METHOD: self._authentication.method}
        return {**method, **_properties(self._authentication.start())}

    def again(self) -> tuple[dict[str, Any], asyncio.Future[None]]:
        """Begin on a connection that there is.

        Returns:
            The properties of AUTH, without the method, and what is done when the server has
            accepted.

        Raises:
            ClientError: an exchange goes on.

        """
        if self._again is not None and not self._again.done():
            msg = "The client is being authenticated again already"
            raise ClientError(msg)
        self._again = asyncio.get_running_loop().create_future()
        return _properties(self._authentication.start()), self._again

    def connected(self, properties: dict[str, Any]) -> None:
        """Check the CONNACK that accepts the client.

        Raises:
            Exception: the server is not to be trusted.

        """
        self._authentication.finish(properties.get(_DATA, b""))

    def step(self, code: int, properties: dict[str, Any]) -> dict[str, Any] | None:
        """Take a step of the server.

        Returns:
            The properties of the answer; None for none, because the exchange has ended, well or
            with `failure`.

        """
        data = properties.get(_DATA, b"")
        try:
            if code != _SUCCESS:
                return _properties(self._authentication.respond(data))
            self._authentication.finish(data)
        except Exception as error:  # whatever the application's class raises
            self.failure = error
        if self._again is not None and not self._again.done():
            if self.failure is None:
                self._again.set_result(None)
            else:
                self._again.set_exception(self.failure)
        return None


def _properties(data: bytes | None) -> dict[str, Any]:
    return {} if data is None else {_DATA: data}
