"""Read what is stored, page by page."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from sqlalchemy import Boolean, LargeBinary, func, literal, select, tuple_

from amqtt.contrib.persistence import models
from amqtt.plugins.storage import (
    NEVER_EXPIRES,
    DeliveryRow,
    DeliveryState,
    MessageRow,
    ReceivedRow,
    SessionRow,
    StoredState,
    SubscriptionRow,
    WillRow,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sqlalchemy.ext.asyncio import AsyncConnection

_PAGE = 5000


class Reader:
    """Read a store.

    Args:
        connection: to the database.

    Attributes:
        sessions: how many there were.
        retained: how many retained messages there were.
        found_old: whether sessions hold something that aMQTT has written, which is given back with
            the id 0 and is to be removed there when it has got a place of its own.

    """

    def __init__(self, connection: AsyncConnection) -> None:
        """Prepare to read."""
        self._connection = connection
        self.sessions = 0
        self.retained = 0
        self.found_old = False

    async def read(self) -> AsyncIterator[StoredState]:
        """Return everything, part by part."""
        highest = await self._connection.scalar(select(func.max(models.messages.c.id)))
        # Messages that aMQTT has stored with their session get numbers that nobody has.
        self._next_message = (highest or 0) + 1
        old: list[StoredState] = []
        # aMQTT writes several rows of one client when its events come close together.
        self._old_clients: dict[str, int] = {}
        async for rows in self._pages(_SESSIONS, models.stored_sessions.c.id):
            self.sessions += len(rows)
            yield StoredState(sessions=[_session(row) for row in rows])
            old += [part for row in rows if (part := self._old_state(row)) is not None]
        async for rows in self._pages(select(models.subscriptions), models.subscriptions.c.id):
            yield StoredState(subscriptions=list(map(SubscriptionRow._make, rows)))
        async for rows in self._pages(select(models.messages), models.messages.c.id):
            yield StoredState(messages=list(map(MessageRow._make, rows)))
        async for rows in self._pages(select(models.deliveries), models.deliveries.c.id):
            yield StoredState(deliveries=list(map(DeliveryRow._make, rows)))
        async for part in self._read_received():
            yield part
        # Of several messages of a topic the one that was written last comes first and is kept.
        async for rows in self._pages(_RETAINED, models.stored_messages.c.id, descending=True):
            self.retained += len(rows)
            yield StoredState(retained=list(map(MessageRow._make, rows)))
        for part in old:
            self.found_old = True
            yield part

    async def _pages(
        self, query: Any, key: Any, *, descending: bool = False
    ) -> AsyncIterator[list[Any]]:
        last: int | None = None
        while True:
            page = query.order_by(key.desc() if descending else key).limit(_PAGE)
            if last is not None:
                page = page.where(key < last if descending else key > last)
            rows = list((await self._connection.execute(page)).all())
            if rows:
                yield rows
            if len(rows) < _PAGE:
                return
            last = rows[-1][0]

    async def _read_received(self) -> AsyncIterator[StoredState]:
        table = models.received
        key = tuple_(table.c.session, table.c.packet_id)
        last: tuple[int, int] | None = None
        while True:
            page = select(table).order_by(table.c.session, table.c.packet_id).limit(_PAGE)
            if last is not None:
                page = page.where(key > last)
            rows = (await self._connection.execute(page)).all()
            if rows:
                yield StoredState(received=list(map(ReceivedRow._make, rows)))
            if len(rows) < _PAGE:
                return
            last = rows[-1][0], rows[-1][1]

    def _old_state(self, row: Any) -> StoredState | None:
        is_old = row.expiry_interval is None
        session = self._old_clients.setdefault(row.client_id, row.id) if is_old else row.id
        if not (row.retained or row.subscriptions):
            return None
        part = StoredState()
        for subscription in row.subscriptions or []:
            part.subscriptions.append(
                SubscriptionRow(
                    0, session, subscription.topic, subscription.qos, False, False, 0, 0
                )
            )
        for waiting in row.retained or []:
            number, self._next_message = self._next_message, self._next_message + 1
            part.messages.append(
                MessageRow(number, waiting.topic, waiting.payload, waiting.qos, False, b"", None)
            )
            part.deliveries.append(
                DeliveryRow(
                    0, session, number, waiting.qos, False, "", None, 0, DeliveryState.QUEUED
                )
            )
        return part


_sessions = models.stored_sessions.c
_details = models.session_details.c
_SESSIONS = select(
    _sessions.id,
    _sessions.client_id,
    _sessions.will_flag,
    _sessions.will_message,
    _sessions.will_qos,
    _sessions.will_retain,
    _sessions.will_topic,
    _sessions.keep_alive,
    _sessions.clean_session,
    _sessions.retained,
    _sessions.subscriptions,
    _details.user_name,
    _details.expiry_interval,
    _details.disconnected_at,
    _details.will_delay,
    _details.will_properties,
    _details.will_expiry_interval,
).outerjoin_from(models.stored_sessions, models.session_details, _sessions.id == _details.id)

# In the order of MessageRow: there may be a million of them.
_NOTHING = literal(b"", LargeBinary())
_messages = models.stored_messages.c
_RETAINED = select(
    _messages.id,
    _messages.topic,
    func.coalesce(_messages.data, _NOTHING),
    _messages.qos,
    literal(True, Boolean()),
    func.coalesce(models.retained_details.c.properties, _NOTHING),
    models.retained_details.c.expires_at,
).outerjoin_from(
    models.stored_messages,
    models.retained_details,
    _messages.id == models.retained_details.c.id,
)


def _session(row: Any) -> SessionRow:
    if row.expiry_interval is None:
        # Of aMQTT, which does not say whether the client was connected: then it is no reason to
        # publish its will.
        return SessionRow(
            row.id, row.client_id, None, NEVER_EXPIRES, time.time(), row.keep_alive, False, None
        )
    will = None
    if row.will_flag and row.will_topic:
        will = WillRow(
            row.will_topic,
            row.will_message or b"",
            row.will_qos or 0,
            bool(row.will_retain),
            row.will_delay,
            row.will_properties or b"",
            row.will_expiry_interval,
        )
    return SessionRow(
        row.id,
        row.client_id,
        row.user_name,
        row.expiry_interval,
        row.disconnected_at,
        row.keep_alive,
        bool(row.clean_session),
        will,
    )
