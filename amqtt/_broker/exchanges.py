"""The exchanges of enhanced authentication that are going on."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, NamedTuple

from amqtt._broker.decisions import NOT_AUTHORIZED, combine, report_wrong_type
from amqtt._engine.codes import AuthenticationOutcome
from amqtt.plugins.enhanced_authentication import (
    Accepted,
    AuthenticationStep,
    BaseEnhancedAuthPlugin,
    Challenge,
)

if TYPE_CHECKING:
    from amqtt._broker.sessions import SessionRegistry
    from amqtt.plugins.manager import PluginManager

# As in cpp/bridge/broker_messages.hpp.
_LONGEST_DATA = 65_535


class Reply(NamedTuple):
    """What the engine is told of a step.

    Attributes:
        outcome: accepted, challenge, or refused.
        data: Authentication Data for the client.
        code: the reason code of a refusal.
        reason: its reason string; empty means none.
        user_name: who the client is, when it is accepted; None means as it says itself.

    """

    outcome: int
    data: bytes = b""
    code: int = NOT_AUTHORIZED
    reason: str = ""
    user_name: str | None = None


class Exchanges:
    """Bring the steps of clients to the plugins that know their methods.

    Args:
        manager: the plugins.
        registry: the sessions of the broker.

    Attributes:
        may_change_user: whether a client that authenticates again may be another user then.

    """

    def __init__(self, manager: PluginManager[Any], registry: SessionRegistry) -> None:
        """Find out who knows which method."""
        self._manager = manager
        self.may_change_user = False
        self._registry = registry
        self._plugins: dict[str, BaseEnhancedAuthPlugin] = {}
        for plugin in manager.plugins:
            if isinstance(plugin, BaseEnhancedAuthPlugin):
                for method in plugin.authentication_methods:
                    self._plugins.setdefault(method, plugin)
        # By ticket: the last step of each exchange.
        self._steps: dict[int, AuthenticationStep] = {}

    @property
    def methods(self) -> list[str]:
        """The methods that some plugin knows."""
        return list(self._plugins)

    def plugin_of(self, method: str) -> BaseEnhancedAuthPlugin | None:
        """Return the plugin that knows a method."""
        return self._plugins.get(method)

    @staticmethod
    def refusal() -> Reply:
        """Return a refusal without a reason."""
        return Reply(AuthenticationOutcome.REFUSED)

    def ended(self, ticket: int) -> None:
        """Forget an exchange."""
        self._steps.pop(ticket, None)

    def clear(self) -> None:
        """Forget all exchanges."""
        self._steps.clear()

    def begin_step(
        self,
        ticket: int,
        facts: dict[str, Any] | None,
        client_id: str,
        method: str,
        data: bytes,
        is_first: bool,
        is_repeated: bool,
    ) -> AuthenticationStep:
        """Note a step of a client, before anything else is heard of it.

        What is noted here is forgotten when the engine tells that the exchange or the client is
        gone, which may follow at once.

        Args:
            ticket: of the exchange.
            facts: what is known of the client, in the first step of one that connects.
            client_id: its client identifier.
            method: its Authentication Method.
            data: its Authentication Data.
            is_first: whether the exchange begins.
            is_repeated: whether the client is connected.

        Returns:
            What the plugin is to be asked, by `answer`.

        """
        before = self._steps.get(ticket)
        if before is not None:
            step = AuthenticationStep(
                method, data, before.session, False, is_repeated, before.state
            )
        elif facts is not None:
            session = self._registry.candidate(ticket, facts)
            step = AuthenticationStep(method, data, session, is_first, is_repeated)
        else:
            session = self._registry.of_event(client_id)
            step = AuthenticationStep(method, data, session, is_first, is_repeated)
        self._steps[ticket] = step
        return step

    async def answer(self, ticket: int, step: AuthenticationStep) -> Reply:
        """Ask the plugin that knows the method.

        Args:
            ticket: of the exchange.
            step: what the client has sent.

        Returns:
            The reply; a refusal when the plugin raises or returns nonsense, which is logged.

        """
        plugin = self._plugins[step.method]
        results = await self._manager.ask([plugin], "authenticate_step", {"step": step})
        reply = self._reply(plugin, results[plugin])
        # The session may be that of another connection by now. The engine disconnects a client
        # that would become another user.
        is_current = self._steps.get(ticket) is step
        may_change = self.may_change_user or not step.is_repeated
        if reply.user_name is not None and is_current and may_change:
            step.session.username = reply.user_name
        return reply

    def _reply(self, plugin: Any, result: Any) -> Reply:
        data = getattr(result, "data", b"")
        if isinstance(result, Challenge | Accepted) and not (
            isinstance(data, bytes | bytearray) and len(data) <= _LONGEST_DATA
        ):
            name = type(plugin).__name__
            self._manager.peer_log.log(
                logging.ERROR, "unusable results of plugins", name,
                "Plugin '%s' has returned data that is no bytes, or over %d", name, _LONGEST_DATA,
            )  # fmt: skip
            return self.refusal()
        if isinstance(result, Challenge):
            return Reply(AuthenticationOutcome.CHALLENGE, bytes(data))
        if isinstance(result, Accepted):
            if not isinstance(result.username, str | None):
                report_wrong_type(self._manager, plugin, result.username, "Accepted.username")
                return self.refusal()
            return Reply(AuthenticationOutcome.ACCEPTED, bytes(data), user_name=result.username)
        verdict = combine(self._manager, {plugin: result})
        if verdict.allowed:
            return Reply(AuthenticationOutcome.ACCEPTED)
        return Reply(AuthenticationOutcome.REFUSED, b"", verdict.code, verdict.reason)
