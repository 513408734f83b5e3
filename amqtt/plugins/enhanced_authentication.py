"""Enhanced authentication of MQTT 5.0: methods that take more than a password.

A client names an Authentication Method in CONNECT; a plugin that knows it gets what the client
sends, step by step, and answers with a challenge, or accepts or refuses the client (section 4.12 of
the standard). The same happens again when a client that is connected authenticates itself anew.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from amqtt.contexts import BaseContext
from amqtt.plugins.base import BasePlugin, Decision

if TYPE_CHECKING:
    from amqtt.session import Session

__all__ = ["Accepted", "AuthenticationStep", "BaseEnhancedAuthPlugin", "Challenge"]


@dataclass(frozen=True)
class Challenge:
    """Ask the client for more.

    Attributes:
        data: Authentication Data for the client, at most 65,535 bytes.

    """

    data: bytes = b""


@dataclass(frozen=True)
class Accepted:
    """Accept the client.

    Attributes:
        username: who the client is; None leaves the user name of CONNECT.
        data: Authentication Data for the client, at most 65,535 bytes.

    """

    username: str | None = None
    data: bytes = b""


@dataclass
class AuthenticationStep:
    """What a client has sent.

    Attributes:
        method: its Authentication Method.
        data: its Authentication Data; empty when it sent none.
        session: the client's session; what is set in `attributes` stays with it.
        is_first: whether this step begins the exchange: it came with CONNECT, or the client
            authenticates itself again.
        is_repeated: whether the client is connected already.
        state: what the plugin keeps until the exchange ends.

    """

    method: str
    data: bytes
    session: Session
    is_first: bool = True
    is_repeated: bool = False
    state: dict[str, Any] = field(default_factory=dict)


class BaseEnhancedAuthPlugin(BasePlugin[BaseContext]):
    """Base of the plugins that know methods of enhanced authentication.

    With an Authentication Method in CONNECT the plugins for user name and password are not asked.

    Attributes:
        authentication_methods: the methods, as clients name them. When several plugins know one,
            the first has it.

    """

    authentication_methods: tuple[str, ...] = ()

    async def still_allowed(
        self,
        *,
        session: Session,  # noqa: ARG002  # for subclasses
    ) -> bool | Decision | None:
        """Decide whether a client that was accepted may stay; asked by `Broker.reauthorize`.

        Args:
            session: the client's, which is connected and came with one of the methods.

        Returns:
            Whether it may; None is no objection.

        """
        return None

    async def authenticate_step(
        self, *, step: AuthenticationStep
    ) -> Challenge | Accepted | Decision | bool | None:
        """Answer a step of a client.

        Args:
            step: what the client has sent.

        Returns:
            A challenge; or that the client is accepted, True being short for `Accepted()`; or a
            refusal: False, None, or a `Decision` with a reason.

        """
        raise NotImplementedError
