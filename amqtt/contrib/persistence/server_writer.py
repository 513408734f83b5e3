"""Write batches to a database server."""

from __future__ import annotations

import asyncio
import logging
import socket
from typing import TYPE_CHECKING, Any

from sqlalchemy import select, text

from amqtt.contrib.persistence import models
from amqtt.contrib.persistence.statements import Statements
from amqtt.contrib.persistence.writers import InUseError, new_run
from amqtt.errors import PluginError
from amqtt.logs import printable

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

    from amqtt.plugins.storage import MessageRow, StateChanges

logger = logging.getLogger(__name__)

# Of the advisory lock of PostgreSQL: "amqtt" in ASCII.
_LOCK_NUMBER = 0x616D717474
# Seconds for which a database may take a broker that was killed for alive.
_LOCK_PATIENCE = 5.0
# What the rows of one message need beside its payload, in a packet of MySQL.
_MYSQL_MARGIN = 256 * 1024
# Bytes that have an escape character before them in a statement of MySQL.
_MYSQL_ESCAPED = tuple(bytes([each]) for each in b"\0\n\r\x1a\"'\\")
# Seconds after which an idle connection is looked after.
_PULSE = 15


class ServerWriter:
    """Write to a database server, on one connection that holds a lock there as well.

    The lock goes with the connection. So that nobody has to wait for that of a machine that has
    vanished, both ends of the connection notice when the other is gone; and a broker that was cut
    off writes nothing when another one has had the database meanwhile.

    Args:
        engine: of the database.

    """

    def __init__(self, engine: AsyncEngine) -> None:
        """Prepare; nothing is opened yet."""
        self._engine = engine
        self._statements = Statements(engine.dialect)
        self._connection: AsyncConnection | None = None
        self._is_uncertain = False
        self._run = new_run()
        self._run_before: str | None = None
        self._is_open = False
        self._largest: int | None = None
        self._busy = asyncio.Lock()
        self._pulse: asyncio.Task[None] | None = None

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

    async def lock(self) -> None:
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

    async def open(self) -> None:
        """Note who has written last, and watch over the connection."""
        connection = self._connection or await self._connect()
        self._run_before, _ = await self._last_commit(connection)
        await connection.commit()
        self._is_open = True
        self._pulse = asyncio.get_running_loop().create_task(self._beat())

    async def _connect(self) -> AsyncConnection:
        connection = await self._engine.connect()
        try:
            dialect = self._engine.dialect.name
            if dialect == "postgresql":
                await self._prepare_postgresql(connection)
            elif dialect in ("mysql", "mariadb"):
                await self._prepare_mysql(connection)
            if self._is_open:
                await self._check_run(connection)
            await connection.commit()
        except BaseException:
            await _drop(connection)
            raise
        self._connection = connection
        return connection

    async def _prepare_postgresql(self, connection: AsyncConnection) -> None:
        for name, seconds in (("idle", _PULSE), ("interval", 5), ("count", 4)):
            await connection.execute(text(f"SET tcp_keepalives_{name} = {seconds:d}"))
        taken = await connection.scalar(text(f"SELECT pg_try_advisory_lock({_LOCK_NUMBER})"))
        raw = await connection.get_raw_connection()
        self._found(taken, getattr(raw.driver_connection, "_transport", None))

    async def _prepare_mysql(self, connection: AsyncConnection) -> None:
        # It has nothing else that lets it notice in time.
        await connection.execute(text(f"SET SESSION wait_timeout = {_PULSE * 4:d}"))
        taken = await connection.scalar(
            text("SELECT GET_LOCK(LEFT(CONCAT('amqtt:', DATABASE()), 64), 0)")
        )
        size = await connection.scalar(text("SELECT @@max_allowed_packet"))
        self._largest = int(size or 0) - _MYSQL_MARGIN
        raw = await connection.get_raw_connection()
        stream = getattr(raw.driver_connection, "_writer", None)
        self._found(taken, getattr(stream, "transport", None))

    def _found(self, taken: Any, transport: Any) -> None:
        if not taken:
            raise InUseError(self._name)
        found = None if transport is None else transport.get_extra_info("socket")
        if found is not None and found.family in (socket.AF_INET, socket.AF_INET6):
            _notice_dead_peer(found)

    async def _last_commit(self, connection: AsyncConnection) -> tuple[str | None, int]:
        table = models.last_commit
        found = (await connection.execute(select(table.c.run, table.c.batch))).first()
        return (None, 0) if found is None else (found[0], found[1])

    async def _check_run(self, connection: AsyncConnection) -> None:
        """Make sure that nobody has written since the connection was lost."""
        run, _ = await self._last_commit(connection)
        if run not in (self._run_before, self._run):
            msg = (
                f"another broker has written to {self._name} while this one was cut off; what this"
                " one knows does not go with it any more: stop one of them"
            )
            raise PluginError(msg)

    async def _beat(self) -> None:
        """Keep an idle connection in use, and drop one that is broken."""
        while True:
            await asyncio.sleep(_PULSE)
            async with self._busy:
                connection = self._connection
                if connection is None:
                    continue
                try:
                    await connection.execute(text("SELECT 1"))
                    await connection.commit()
                except Exception as error:
                    logger.warning("The connection to %s is lost: %r", self._name, error)
                    self._connection = None
                    await _drop(connection)
                    await self._try_again()

    async def _try_again(self) -> None:
        """Connect soon, so that no other broker takes the database for free."""
        try:
            await self._connect()
        except Exception:  # the next batch says so, and waits
            logger.debug("There is no connection to %s yet", self._name, exc_info=True)

    async def write(self, changes: StateChanges, *, forget_old: bool = False) -> None:
        """Write a batch."""
        async with self._busy:
            await self._write(changes, forget_old)

    async def _write(self, changes: StateChanges, forget_old: bool) -> None:
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
        self._run_before = self._run

    async def _has(self, connection: AsyncConnection, number: int) -> bool:
        run, batch = await self._last_commit(connection)
        return run == self._run and batch >= number

    def _leave_out(self, changes: StateChanges, largest: int) -> None:
        """Leave out messages that the server would never take, or nothing else would be stored."""
        for rows in (changes.messages, changes.retained):
            for row in [each for each in rows if _mysql_size(each) > largest]:
                rows.remove(row)
                logger.error(
                    "A message of topic '%s' with %d bytes is not stored: max_allowed_packet of"
                    " the database server is too small",
                    printable(row[1]),
                    len(row[2]),
                )

    async def close(self) -> None:
        """Disconnect."""
        pulse, self._pulse = self._pulse, None
        if pulse is not None:
            pulse.cancel()
            await asyncio.gather(pulse, return_exceptions=True)
        connection, self._connection = self._connection, None
        if connection is not None:
            await _drop(connection)


def _mysql_size(row: MessageRow) -> int:
    """Return how long a message is in a statement, in which some bytes become two."""
    return sum(len(part) + sum(map(part.count, _MYSQL_ESCAPED)) for part in (row[2], row[5]))


def _notice_dead_peer(connected: socket.socket) -> None:
    """Let the system end a connection whose other end has vanished, within half a minute or so.

    One that is only slow takes what it is sent, so it is not concerned.
    """
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (
        ("TCP_KEEPIDLE", _PULSE),
        ("TCP_KEEPINTVL", 5),
        ("TCP_KEEPCNT", 4),
        ("TCP_USER_TIMEOUT", 30_000),
    ):
        if hasattr(socket, name):  # not all systems have all of them
            connected.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


async def _drop(connection: AsyncConnection) -> None:
    """Close a connection for good: back in the pool it would keep its lock."""
    try:
        await connection.invalidate()
        await connection.close()
    except Exception:  # it may be broken, and is of no interest any more
        logger.debug("A connection could not be closed", exc_info=True)
