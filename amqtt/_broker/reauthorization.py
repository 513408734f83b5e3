"""Ask the plugins of a broker again about clients and subscriptions that they have allowed."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from amqtt._compat import wait_for
from amqtt.contexts import Action
from amqtt.logs import printable
from amqtt.topics import without_share

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from amqtt._broker.dispatch import BrokerDispatch
    from amqtt._broker.sessions import BrokerSession

logger = logging.getLogger("amqtt.broker")

T = TypeVar("T")

# Sessions that are asked about at the same time.
_TOGETHER = 32
_METHOD = "authentication_method"


class Reauthorized(NamedTuple):
    """What came of it.

    Attributes:
        disconnected: clients that were disconnected.
        unsubscribed: subscriptions that were removed.

    """

    disconnected: int
    unsubscribed: int


class Reauthorization:
    """Check once what is allowed.

    Args:
        dispatch: of the broker, which runs.
        client_id: the client to look at; None means all.
        username: the user whose clients to look at; None means all.

    """

    def __init__(
        self, dispatch: BrokerDispatch, client_id: str | None, username: str | None
    ) -> None:
        """Take what to look at."""
        self._dispatch = dispatch
        self._client_id = client_id
        self._username = username
        self._disconnected = 0
        self._unsubscribed = 0
        self._unanswered = 0

    async def run(self) -> Reauthorized:
        """Check, some sessions at a time."""
        engine = self._dispatch.engine
        if self._username is None:
            self._dispatch.forget_verdicts(self._client_id, None)
        ids = [self._client_id] if self._client_id is not None else []
        if self._client_id is None and engine is not None:
            ids = engine.session_ids()
        for start in range(0, len(ids), _TOGETHER):
            await asyncio.gather(*(self._check(each) for each in ids[start : start + _TOGETHER]))
        if self._unanswered:
            logger.warning(
                "%d questions of whether something is still allowed were not answered in time;"
                " what they are about stays as it is",
                self._unanswered,
            )
        return Reauthorized(self._disconnected, self._unsubscribed)

    async def _check(self, client_id: str) -> None:
        session = self._dispatch.registry.look_at(client_id)
        if session is None or self._username not in (None, session.username):
            return
        if self._username is not None:
            self._dispatch.forget_verdicts(client_id, None)
        if session.transitions.is_connected():
            await self._check_client(session, client_id)
        if self._dispatch.calls.checks_topics and self._dispatch.engine is not None:
            for each in self._dispatch.engine.subscriptions_of(client_id):
                await self._check_subscription(session, client_id, each)

    async def _check_client(self, session: BrokerSession, client_id: str) -> None:
        username = session.username
        exchanges = self._dispatch.exchanges
        enhanced = exchanges.plugin_of((session.properties or {}).get(_METHOD, ""))
        verdict = await self._in_time(self._dispatch.calls.may_stay(session, enhanced))
        engine = self._dispatch.engine
        if verdict is None or verdict.allowed or engine is None:
            return
        if self._is_other(client_id, username):
            return
        self._disconnected += 1
        logger.info("client '%s' is disconnected: it is not allowed any more", printable(client_id))
        engine.disconnect_client(client_id, verdict.code)

    async def _check_subscription(
        self, session: BrokerSession, client_id: str, topic_filter: str
    ) -> None:
        username = session.username
        question = self._dispatch.calls.check_topic(
            session, without_share(topic_filter), Action.SUBSCRIBE
        )
        found = await self._in_time(question)
        engine = self._dispatch.engine
        if found is None or found[0].allowed or engine is None:
            return
        if self._is_other(client_id, username):
            return
        self._unsubscribed += engine.revoke(client_id, topic_filter)

    async def _in_time(self, question: Coroutine[Any, Any, T]) -> T | None:
        try:
            return await wait_for(question, self._dispatch.decision_timeout)
        except asyncio.TimeoutError:
            self._unanswered += 1
            return None

    def _is_other(self, client_id: str, username: str | None) -> bool:
        """Tell whether the session belongs to another user by now, who was not asked about."""
        now = self._dispatch.registry.look_at(client_id)
        return now is None or now.username != username
