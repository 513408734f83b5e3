"""A session of a client that outlives its process, in a file."""

from __future__ import annotations

import asyncio
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any

from amqtt._client.commands import raise_refusal
from amqtt._client.connection import ClientConnection
from amqtt._client.session_file.journal import SessionJournal
from amqtt._client.subscriptions import SubscriptionBook
from amqtt._compat import wait_for
from amqtt._engine.reactor import EngineError
from amqtt.errors import ClientError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from amqtt._client.offline import OfflineQueue
    from amqtt._client.session_file.store import StoredState
    from amqtt._client.subscriptions import EngineFilter
    from amqtt.session import IncomingApplicationMessage

    # Packet identifier or None, reason code, properties.
    Completion = tuple[int | None, int, dict[str, Any] | None]


class KeptSession(ClientConnection):
    """Keep the session in the file of the configuration, if it names one; part of `MQTTClient`.

    The file belongs to the client while it is connected or tries to be.
    """

    def __init__(self) -> None:
        """Begin without a file."""
        super().__init__()
        self._journal: SessionJournal | None = None
        self._abandon: weakref.finalize[..., Any] | None = None
        self._opening: asyncio.Future[None] | None = None  # while the file is being opened
        self._subscriptions = SubscriptionBook()

    # -- the file

    async def session_begins(self) -> None:
        """Read what an earlier process has kept; not for applications."""
        path = self.config.session_file
        if path is None or self._journal is not None:
            return
        reactor = self._require_reactor()
        self._opening = reactor.loop.create_future()
        try:
            journal = SessionJournal(Path(path), self.client_id, self.deliver)
            state = await journal.begin(reactor.engine, self._handle, clean=self._forgets_session)
            self._abandon = weakref.finalize(self, journal.abandon)
            self._journal = journal
            self._subscriptions.restore(state.subscriptions)
            self._restore(state)
            self._forgets_session = False  # the engine has the right one
        finally:
            self._opening.set_result(None)
            self._opening = None
        if state.messages or state.received:
            self.logger.info(
                "The session file '%s' has %d unacknowledged messages", path, len(state.messages)
            )

    def _restore(self, state: StoredState) -> None:
        """Give the engine what it is to begin with; somebody looks after each message."""
        assert self._journal is not None
        reactor = self._require_reactor()
        messages = []
        for packet_id, code, topic, payload, qos, retain, properties in state.messages:
            number, answer = reactor.ticket(self._handle)
            self._journal.attend(number, answer, topic, len(topic) + len(payload))
            messages.append((packet_id, number, code, topic, payload, qos, retain, properties))
        reactor.engine.keep(self._handle, messages, state.received)

    async def session_ends(self) -> None:
        """Let go of the file; not for applications."""
        journal = self._journal
        if journal is None or self._reactor is None:
            return
        # Its answer comes behind all changes that the engine has to tell.
        number, answer = self._reactor.ticket(self._handle)
        self._reactor.engine.abort(self._handle, number)
        await self._reactor.wait(self._handle, number, answer)
        self._journal = None
        if self._abandon is not None:
            self._abandon.detach()
        self._reactor.fail_all(self._handle, "the session file was closed")
        await journal.close()

    def state_changed(self, *change: Any) -> None:
        """Take a change of the session from the engine; not for applications."""
        if self._journal is not None:
            self._journal.changed(*change)

    def deliver(self, message: IncomingApplicationMessage) -> None:
        """Give a received message to whoever waits for it; not for applications."""
        raise NotImplementedError

    # -- publishing

    def _wake_waiting(self) -> None:
        super()._wake_waiting()
        if self._journal is not None and self._no_more_connections.is_set():
            self._journal.end_waiting("there will be no connection")

    def _unattended(self) -> tuple[int, int]:
        """Return number and bytes of messages that are in the file and nobody waits for."""
        journal = self._journal
        return (0, 0) if journal is None else (len(journal.unattended), journal.unattended_bytes)

    async def _publish_kept(
        self, aside: OfflineQueue | None, timeout: float | None, message: tuple[Any, ...]
    ) -> Completion:
        """Publish a message that the file keeps.

        Args:
            aside: the queue whose bounds count, when the call is not to wait for the server.
            timeout: seconds to wait for the acknowledgement; None or 0 means without end.
            message: topic, payload, QoS, retain flag, properties.

        Returns:
            What is known of its flow.

        Raises:
            ClientError: it cannot be sent, or not by this client any more.
            asyncio.TimeoutError: the acknowledgement did not come in time.

        """
        if self._opening is not None:
            await asyncio.shield(self._opening)
        journal = self._journal
        if journal is None or self._no_more_connections.is_set():
            raise self._not_connected()
        topic, payload = message[:2]
        size = len(topic) + len(payload)
        if aside is not None:
            aside.require_room(size, *self._unattended())
        number, answer = self._send(self._require_reactor(), "publish", *message)
        if aside is not None:
            journal.attend(number, answer, topic, size)
            await journal.wait_stored(number, answer)
            return None, 0, None
        try:
            done: Completion = await wait_for(journal.attended(number, answer), timeout or None)
        except EngineError as error:
            raise_refusal("publish", error)
            msg = f"{self._not_connected()}; the message is kept in '{journal.path}'"
            raise ClientError(msg) from error
        return done

    # -- subscriptions

    def _note_subscribed(
        self,
        filters: list[EngineFilter],
        codes: Sequence[int],
        properties: dict[str, Any] | None,
    ) -> None:
        made = self._subscriptions.add(filters, codes, properties)
        if self._journal is not None:
            self._journal.subscribed(made, properties)

    def _note_unsubscribed(self, filters: Sequence[str]) -> None:
        self._subscriptions.remove(filters)
        if self._journal is not None:
            self._journal.unsubscribed(filters)
