"""Write batches to a SQLite file."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from amqtt.contrib.persistence import models
from amqtt.contrib.persistence.statements import Statements
from amqtt.contrib.persistence.writers import InUseError, new_run
from amqtt.errors import PluginError

try:
    import fcntl
except ImportError:  # there is none on this system
    fcntl = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

    from amqtt.plugins.storage import StateChanges


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
        if fcntl is None:
            return
        while self._file is None:
            file = self.path.open("ab")
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                file.close()
                raise InUseError(f"'{self._database}'") from None
            if _identity(self.path) == _identity(file.fileno()):
                self._file = file
            else:  # whoever had it has deleted it since, so it locks nobody out
                file.close()

    @property
    def is_held(self) -> bool:
        """Return whether this object has the lock."""
        return self._file is not None

    def release(self) -> None:
        """Give the lock back."""
        if self._file is not None:
            self._file.close()
            self._file = None


def _identity(file: Path | int) -> tuple[int, int] | None:
    """Return what tells a file from others, whatever its name; None: there is none."""
    try:
        found = os.stat(file)  # noqa: PTH116 - of a descriptor as well
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


class SQLiteFileWriter:
    """Write to a SQLite file, a whole batch in one go on a thread of its own.

    Args:
        engine: of the same file, for its dialect.
        database: the file.
        lock: which keeps other brokers away; it is not given back here.
        synchronous: how far SQLite goes to have a commit on the disk: `full`, `normal` or `off`.
        busy_timeout: seconds to wait for others that write.

    """

    def __init__(
        self,
        engine: AsyncEngine,
        database: Path,
        lock: FileLock,
        synchronous: str,
        busy_timeout: float,
    ) -> None:
        """Prepare; nothing is opened yet."""
        self._statements = Statements(engine.dialect)
        self._database = database
        self._synchronous = synchronous
        self._busy_timeout = busy_timeout
        self._lock = lock
        self._identity: tuple[int, int] | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="amqtt-sqlite")
        self._connection: sqlite3.Connection | None = None
        self._is_uncertain = False
        self._run = ""

    async def _call(self, function: Any, *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._thread, function, *arguments)

    async def lock(self) -> None:
        """Take the lock."""
        self._lock.take()

    async def open(self) -> None:
        """Open the file."""
        self._run = new_run()
        self._identity = _identity(self._database)
        await self._call(self._connect)

    def _connect(self) -> sqlite3.Connection:
        # Not to make another file in place of one that is gone.
        connection = sqlite3.connect(
            f"{self._database.absolute().as_uri()}?mode=rw",
            uri=True,
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

    def _check_file(self) -> None:
        """Make sure that what is written will be found: SQLite writes to deleted files as well."""
        if _identity(self._database) != self._identity:
            msg = (
                f"'{self._database}' was removed, renamed or replaced while the broker uses it; put"
                " it back, or restart the broker to go on with what is there now"
            )
            raise PluginError(msg)

    def _write(self, changes: StateChanges, forget_old: bool) -> None:
        self._check_file()
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
        except BaseException as error:
            self._give_up(connection, error)
            raise
        self._is_uncertain = False

    def _give_up(self, connection: sqlite3.Connection, error: BaseException) -> None:
        """Undo what was begun."""
        try:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        finally:
            if isinstance(error, sqlite3.Error) and not _is_passing(error):
                # The next attempt is to begin with the file, not with what is left of this one.
                self._connection = None
                connection.close()

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


def _is_passing(error: sqlite3.Error) -> bool:
    """Tell trouble that needs nothing but time or room."""
    return any(word in str(error) for word in ("locked", "busy", "full"))
