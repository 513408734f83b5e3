"""The statements that write a batch of changes, in the dialect of a database."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from sqlalchemy import Table, bindparam, update
from sqlalchemy.dialects import mysql, postgresql, sqlite

from amqtt.contrib.persistence import models

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from sqlalchemy import Dialect

    from amqtt.plugins.storage import MessageRow, SessionRow, StateChanges

# A statement, and the parameters of each time it is executed; None: once, without any.
Statement = tuple[str, "list[tuple[Any, ...]] | None"]

# Numbers in one list of a statement.
_LIST_SIZE = 1000
_INSERTS: dict[str, Any] = {
    "sqlite": sqlite.insert,
    "postgresql": postgresql.insert,
    "mysql": mysql.insert,
    "mariadb": mysql.insert,
}


class Statements:
    """Make the statements of batches.

    Args:
        dialect: of the database.

    """

    def __init__(self, dialect: Dialect) -> None:
        """Compile what is the same for all batches."""
        self._dialect = dialect
        self._is_mysql = dialect.name in ("mysql", "mariadb")
        kept = ("retained", "subscriptions", "id")  # what aMQTT has written is moved elsewhere
        self._sessions = self._upsert(
            models.stored_sessions,
            [each.name for each in models.stored_sessions.columns if each.name not in kept],
        )
        self._details = self._upsert(models.session_details)
        self._subscriptions = self._upsert(models.subscriptions)
        self._messages = self._insert(models.messages)
        self._deliveries = self._insert(models.deliveries)
        self._received = self._insert(models.received)
        self._retained = self._insert(models.stored_messages)
        self._retained_details = self._insert(models.retained_details)
        self._commit = self._upsert(models.last_commit)
        states = (
            update(models.deliveries)
            .where(models.deliveries.c.id == bindparam("the_id"))
            .values(packet_id=bindparam("the_packet_id"), state=bindparam("the_state"))
        )
        self._states, self._states_order = self._compile(states)

    def _compile(self, statement: Any) -> tuple[str, list[str]]:
        compiled = statement.compile(dialect=self._dialect)
        return str(compiled), list(compiled.positiontup)

    def _insert(self, table: Table) -> str:
        sql, order = self._compile(_INSERTS[self._dialect.name](table))
        assert order == [each.name for each in table.columns]
        return sql

    def _upsert(self, table: Table, updated: list[str] | None = None) -> str:
        insert = _INSERTS[self._dialect.name](table)
        names = updated or [each.name for each in table.columns if not each.primary_key]
        if self._is_mysql:
            values = {name: insert.inserted[name] for name in names}
            statement = insert.on_duplicate_key_update(values)
        else:
            statement = insert.on_conflict_do_update(
                index_elements=["id"], set_={name: insert.excluded[name] for name in names}
            )
        sql, order = self._compile(statement)
        assert order == [each.name for each in table.columns]
        return sql

    def of_batch(
        self, changes: StateChanges, run: str, forget_old: bool = False
    ) -> Iterator[Statement]:
        """Return the statements that write a batch, in their order.

        Args:
            changes: the batch.
            run: name of this run of the broker.
            forget_old: whether to remove what aMQTT has written with its sessions.

        """
        if forget_old:
            yield "UPDATE stored_sessions SET retained = '[]', subscriptions = '[]'", None
        yield from self._removed_received(changes.removed_received)
        if changes.sessions:
            yield self._sessions, [_session(row) for row in changes.sessions]
            yield self._details, [_details(row) for row in changes.sessions]
        for sql, rows in (
            (self._subscriptions, changes.subscriptions),
            (self._messages, changes.messages),
            (self._deliveries, changes.deliveries),
            (self._received, changes.received),
        ):
            if rows:
                yield sql, rows  # type: ignore[misc]  # these rows are tuples of the columns
        yield from self._new_retained(changes.retained)
        yield from self._delivery_states(changes.delivery_states)
        for table, column, ids in (
            (models.stored_sessions, "id", changes.ended_sessions),
            (models.session_details, "id", changes.ended_sessions),
            (models.subscriptions, "session", changes.ended_sessions),
            (models.deliveries, "session", changes.ended_sessions),
            (models.received, "session", changes.ended_sessions),
            (models.subscriptions, "id", changes.removed_subscriptions),
            (models.deliveries, "id", changes.removed_deliveries),
            (models.messages, "id", changes.removed_messages),
            (models.stored_messages, "id", changes.removed_retained),
            (models.retained_details, "id", changes.removed_retained),
        ):
            yield from _deletions(table, column, ids)
        yield self._commit, [(1, run, changes.number)]

    def _removed_received(self, rows: Sequence[tuple[int, int]]) -> Iterator[Statement]:
        by_session: dict[int, list[int]] = defaultdict(list)
        for session, packet_id in rows:
            by_session[session].append(packet_id)
        for session, packet_ids in by_session.items():
            yield from _deletions(
                models.received, "packet_id", packet_ids, f"session = {session:d} AND "
            )

    def _new_retained(self, rows: Sequence[MessageRow]) -> Iterator[Statement]:
        if not rows:
            return
        yield self._retained, [(row[0], row[1], row[2], row[3]) for row in rows]
        details = [(row[0], row[5], row[6]) for row in rows if row[5] or row[6] is not None]
        if details:
            yield self._retained_details, details

    def _delivery_states(self, rows: Sequence[tuple[int, int, int]]) -> Iterator[Statement]:
        if not rows:
            return
        if not self._is_mysql:
            place = {"the_id": 0, "the_packet_id": 1, "the_state": 2}
            order = [place[name] for name in self._states_order]
            yield self._states, [tuple(row[i] for i in order) for row in rows]
            return
        # Its drivers send an UPDATE for many rows as many statements.
        for part in _parts(rows):
            ids = ",".join(f"{row[0]:d}" for row in part)
            packet_ids = " ".join(f"WHEN {row[0]:d} THEN {row[1]:d}" for row in part)
            states = " ".join(f"WHEN {row[0]:d} THEN {row[2]:d}" for row in part)
            yield (
                f"UPDATE {models.deliveries.name} SET packet_id = CASE id {packet_ids} END,"
                f" state = CASE id {states} END WHERE id IN ({ids})",
                None,
            )


def _session(row: SessionRow) -> tuple[Any, ...]:
    will = row[7]
    columns: tuple[Any, ...] = (None, None, None, None)
    if will is not None:
        columns = (will[1], will[2], will[3], will[0])
    # Clean Session in the terms of MQTT 3.1.1: the session ends with its connection.
    return (row[0], row[1], row[3] == 0, will is not None, *columns, row[5], "[]", "[]")


def _details(row: SessionRow) -> tuple[Any, ...]:
    will = row[7]
    of_will: tuple[Any, ...] = (0, None, None) if will is None else (will[4], will[5], will[6])
    return (row[0], row[2], row[3], row[4], *of_will)


def _parts(rows: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for start in range(0, len(rows), _LIST_SIZE):
        yield rows[start : start + _LIST_SIZE]


def _deletions(
    table: Any, column: str, ids: Iterable[int], condition: str = ""
) -> Iterator[Statement]:
    for part in _parts(list(ids)):
        listed = ",".join(f"{each:d}" for each in part)  # numbers, so nothing to be escaped
        yield f"DELETE FROM {table.name} WHERE {condition}{column} IN ({listed})", None
