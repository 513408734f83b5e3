"""Enhanced authentication of MQTT 5.0, the client's side (section 4.12)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["ClientAuthentication", "ScramAuthentication"]


class ClientAuthentication(ABC):
    """Take part in an exchange with the server.

    One object serves all exchanges of one client, one after the other: `start()` begins a new one.

    Attributes:
        method: the Authentication Method, as CONNECT names it.

    """

    method: str

    @abstractmethod
    def start(self) -> bytes | None:
        """Begin an exchange.

        Returns:
            The Authentication Data of the first packet; None for none.

        """

    @abstractmethod
    def respond(self, data: bytes) -> bytes | None:
        """Answer a step of the server.

        Args:
            data: its Authentication Data; empty if it has sent none.

        Returns:
            The Authentication Data of the answer; None for none.

        Raises:
            Exception: the server is not to be trusted; the client disconnects.

        """

    def finish(self, data: bytes) -> None:  # noqa: B027  # many methods have nothing to check
        """Check the Authentication Data with which the server has accepted the client.

        Args:
            data: as for `respond()`.

        Raises:
            Exception: the server is not to be trusted; the client disconnects.

        """


class ScramAuthentication(ClientAuthentication):
    """Prove to know a password, without telling it, and have the server prove the same (RFC 5802).

    Needs the library of the extra `scram`. Channel binding is not used.

    Args:
        username: user name.
        password: password.
        method: `SCRAM-SHA-256` or `SCRAM-SHA-512`.

    Raises:
        ImportError: the library is not installed.

    """

    def __init__(self, username: str, password: str, method: str = "SCRAM-SHA-256") -> None:
        """Remember who the client is."""
        from scramp import ScramClient  # type: ignore[import-untyped]

        self.method = method
        self._new_exchange: Callable[[], Any] = lambda: ScramClient([method], username, password)
        self._exchange = self._new_exchange()
        self._has_answered = False

    def start(self) -> bytes:
        """Begin an exchange with the client-first message."""
        self._exchange = self._new_exchange()
        self._has_answered = False
        first: str = self._exchange.get_client_first()
        return first.encode()

    def respond(self, data: bytes) -> bytes:
        """Answer the server-first message with the client-final message."""
        self._exchange.set_server_first(data.decode())
        final: str = self._exchange.get_client_final()
        self._has_answered = True
        return final.encode()

    def finish(self, data: bytes) -> None:
        """Check that the server knows the password, too."""
        if not self._has_answered:
            msg = "the server has accepted the client before it proved to know the password"
            raise ValueError(msg)
        self._exchange.set_server_final(data.decode())
