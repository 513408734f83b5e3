"""Connections that write batches, each of which keeps other brokers away from its database."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from sqlalchemy import select, text

from amqtt.contrib.persistence import models
from amqtt.contrib.persistence.statements import Statements
from amqtt.errors import PluginError

try:
    import fcntl
except ImportError:  # there is none on this system
    fcntl = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

    from amqtt.plugins.storage import StateChanges

logger = logging.getLogger(__name__)

# Of the advisory lock of PostgreSQL: "amqtt" in ASCII.
_LOCK_NUMBER = 0x616D717474
# Seconds for which a database may take a broker that was killed for alive.
_LOCK_PATIENCE = 5.0
# What the rows of one message need beside its payload, in a packet of MySQL.
_MYSQL_MARGIN = 256 * 1024


class Writer(Protocol):
    """Write batches to a database."""

    async def open(self) -> None:
        """Connect, and keep other brokers away.

        Raises:
            PluginError: another broker uses the database.

        """

    async def write(self, changes: StateChanges, *, forget_old: bool = False) -> None:
        """Write a batch in one transaction; one that was written already is left alone.

        Args:
            changes: the batch.
            forget_old: whether to remove what aMQTT has written, in the same transaction.

        """

    async def close(self) -> None:
        """Disconnect."""


class InUseError(PluginError):
    """Report a database that another broker uses.

    Args:
        name: of the database.

    """

    def __init__(self, name: str) -> None:
        """Make the error."""
        super().__init__(
            f"another broker keeps its sessions in {name}; stop it, or give this broker a"
            " database of its own"
        )


class FileLock:
    """Keep other processes from a SQLite file, by a lock on a file beside it.

    The operating system gives the lock back when the process ends, however it does.

    Args:
        database: the SQLite file.

    """

    def __init__(self, database: Path) -> None:
        """Remember the file."""
        self._database = database
        self.path = database.with_name(database.name + "-lock")
        self._file: Any = None

    def take(self) -> None:
        """Take the lock.

        Raises:
            InUseError: another process has it.

        """
        if fcntl is None or self._file is not None:
            return
        file = self.path.open("ab")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.close()
            raise InUseError(f"'{self._database}'") from None
        self._file = file

    def release(self) -> None:
        """Give the lock back."""
        if self._file is not None:
            self._file.close()
            self._file = None


class SQLiteFileWriter:
    """Write to a SQLite file, a whole batch in one go on a thread of its own.

    Args:
        engine: of the same file, for its dialect.
        database: the file.
        synchronous: how far SQLite goes to have a commit on the disk: `full`, `normal` or `off`.
        busy_timeout: seconds to wait for others that write.

    """

    def __init__(
        self, engine: AsyncEngine, database: Path, synchronous: str, busy_timeout: float
    ) -> None:
        """Prepare; nothing is opened yet."""
        self._statements = Statements(engine.dialect)
        self._database = database
        self._synchronous = synchronous
        self._busy_timeout = busy_timeout
        self._lock = FileLock(database)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="amqtt-sqlite")
        self._connection: sqlite3.Connection | None = None
        self._is_uncertain = False
        self._run = ""

    async def _call(self, function: Any, *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._thread, function, *arguments)

    async def open(self) -> None:
        """Open the file."""
        self._lock.take()
        self._run = _new_run()
        await self._call(self._connect)

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._database,
            timeout=self._busy_timeout,
            isolation_level=None,
            check_same_thread=False,  # it is closed on another one
        )
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute(f"PRAGMA synchronous = {self._synchronous}")
        except BaseException:
            connection.close()
            raise
        self._connection = connection
        return connection

    async def write(self, changes: StateChanges, *, forget_old: bool = False) -> None:
        """Write a batch."""
        await self._call(self._write, changes, forget_old)

    def _write(self, changes: StateChanges, forget_old: bool) -> None:
        connection = self._connection or self._connect()
        if self._is_uncertain and self._has(connection, changes.number):
            self._is_uncertain = False
            return
        self._is_uncertain = True
        connection.execute("BEGIN IMMEDIATE")
        try:
            for sql, rows in self._statements.of_batch(changes, self._run, forget_old):
                if rows is None:
                    connection.execute(sql)
                else:
                    connection.executemany(sql, rows)
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        self._is_uncertain = False

    def _has(self, connection: sqlite3.Connection, number: int) -> bool:
        found = connection.execute(
            f"SELECT run, batch FROM {models.last_commit.name} WHERE id = 1"
        ).fetchone()
        return found is not None and found[0] == self._run and found[1] >= number

    async def close(self) -> None:
        """Close the file."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await self._call(connection.close)
        self._thread.shutdown()
        self._lock.release()


class ServerWriter:
    """Write to a database server, on one connection that holds a lock there as well.

    Args:
        engine: of the database.

    """

    def __init__(self, engine: AsyncEngine) -> None:
        """Prepare; nothing is opened yet."""
        self._engine = engine
        self._statements = Statements(engine.dialect)
        self._connection: AsyncConnection | None = None
        self._is_uncertain = False
        self._run = _new_run()
        self._largest: int | None = None

    @property
    def _name(self) -> str:
        return self._engine.url.render_as_string(hide_password=True)

    def _check_driver(self) -> None:
        if self._engine.driver != "aiomysql":
            return
        from aiomysql import connection  # type: ignore[import-untyped]

        if not callable(connection.escape_bytes_prefixed):
            msg = (
                "this version of aiomysql cannot pass bytes to the database with this version of"
                " PyMySQL; pip install 'PyMySQL<1.2'"
            )
            raise PluginError(msg)

    async def open(self) -> None:
        """Connect, with patience for a server that has not noticed the end of a broker yet."""
        self._check_driver()
        deadline = asyncio.get_running_loop().time() + _LOCK_PATIENCE
        while True:
            try:
                await self._connect()
            except InUseError:
                if asyncio.get_running_loop().time() >= deadline:
                    raise
                await asyncio.sleep(0.2)
            else:
                return

    async def _connect(self) -> AsyncConnection:
        connection = await self._engine.connect()
        try:
            dialect = self._engine.dialect.name
            if dialect == "postgresql":
                taken = await connection.scalar(
                    text(f"SELECT pg_try_advisory_lock({_LOCK_NUMBER})")
                )
            elif dialect in ("mysql", "mariadb"):
                taken = await connection.scalar(
                    text("SELECT GET_LOCK(LEFT(CONCAT('amqtt:', DATABASE()), 64), 0)")
                )
                size = await connection.scalar(text("SELECT @@max_allowed_packet"))
                self._largest = int(size or 0) - _MYSQL_MARGIN
            else:
                taken = True
            if not taken:
                raise InUseError(self._name)
            await connection.commit()
        except BaseException:
            await connection.close()
            raise
        self._connection = connection
        return connection

    async def write(self, changes: StateChanges, *, forget_old: bool = False) -> None:
        """Write a batch."""
        connection = self._connection or await self._connect()
        try:
            if self._is_uncertain and await self._has(connection, changes.number):
                self._is_uncertain = False
                return
            self._is_uncertain = True
            if self._largest is not None:
                self._leave_out(changes, self._largest)
            for sql, rows in self._statements.of_batch(changes, self._run, forget_old):
                await connection.exec_driver_sql(sql, rows)
            await connection.commit()
        except BaseException:
            self._connection = None
            await _drop(connection)
            raise
        self._is_uncertain = False

    async def _has(self, connection: AsyncConnection, number: int) -> bool:
        table = models.last_commit
        found = (await connection.execute(select(table.c.run, table.c.batch))).first()
        return found is not None and found[0] == self._run and found[1] >= number

    def _leave_out(self, changes: StateChanges, largest: int) -> None:
        """Leave out messages that the server would never take, or nothing else would be stored."""
        for rows in (changes.messages, changes.retained):
            for row in [each for each in rows if len(each[2]) + len(each[5]) > largest]:
                rows.remove(row)
                logger.error(
                    "A message of topic '%s' with %d bytes is not stored: max_allowed_packet of"
                    " the database server is too small",
                    row[1],
                    len(row[2]),
                )

    async def close(self) -> None:
        """Disconnect."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await _drop(connection)


async def _drop(connection: AsyncConnection) -> None:
    """Close a connection for good: back in the pool it would keep its lock."""
    try:
        await connection.invalidate()
        await connection.close()
    except Exception:  # it may be broken, and is of no interest any more
        logger.debug("A connection could not be closed", exc_info=True)


def _new_run() -> str:
    import uuid

    return uuid.uuid4().hex
