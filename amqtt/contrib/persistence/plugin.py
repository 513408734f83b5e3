"""Keep sessions and retained messages in a SQL database."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from sqlalchemy import delete, event, func, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.pool import NullPool

from amqtt._compat import StrEnum
from amqtt.contrib._database_url import asynchronous_url
from amqtt.contrib._driver_logs import keep_values_out_of_logs
from amqtt.contrib.persistence import models
from amqtt.contrib.persistence.amqtt_restore import restore_as_amqtt
from amqtt.contrib.persistence.damage import problem_of, set_aside
from amqtt.contrib.persistence.models import (
    RetainedMessage,
    StoredMessage,
    StoredSession,
    Subscription,
)
from amqtt.contrib.persistence.reading import Reader
from amqtt.contrib.persistence.schema import upgrade
from amqtt.contrib.persistence.server_writer import ServerWriter
from amqtt.contrib.persistence.sqlite_writer import FileLock, SQLiteFileWriter
from amqtt.errors import PluginError, PluginInitError
from amqtt.events import BrokerEvents
from amqtt.plugins.storage import BaseStoragePlugin

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from amqtt.contexts import BaseContext
    from amqtt.contrib.persistence.writers import Writer
    from amqtt.plugins.storage import StateChanges, StoredState
    from amqtt.session import RetainedApplicationMessage, Session

_DEFAULT_FILE = "amqtt.db"


class Synchronous(StrEnum):
    """How far SQLite goes to have a commit on the disk."""

    FULL = "full"
    NORMAL = "normal"
    OFF = "off"


class OnCorruption(StrEnum):
    """What to do about a SQLite file that is damaged."""

    REFUSE = "refuse"
    SET_ASIDE = "set_aside"


class SessionDBPlugin(BaseStoragePlugin):
    """Keep sessions and retained messages in a SQL database, so that a restart loses nothing.

    SQLite, PostgreSQL, MySQL and MariaDB are supported, by SQLAlchemy and asynchronous drivers. A
    database of aMQTT is taken over with what it holds.
    """

    stored_events: ClassVar[frozenset[BrokerEvents]] = frozenset(
        {
            BrokerEvents.PRE_START,  # restore() does it, and what it raises stops the broker
            BrokerEvents.CLIENT_CONNECTED,
            BrokerEvents.CLIENT_SUBSCRIBED,
            BrokerEvents.CLIENT_UNSUBSCRIBED,
            BrokerEvents.RETAINED_MESSAGE,
        }
    )

    @dataclass
    class Config:
        """The options of the plugin.

        Attributes:
            connection: SQLAlchemy's URL of the database, with an asynchronous driver.
            file: deprecated; a SQLite file.
            clear_on_shutdown: whether to forget everything when the broker is shut down in order.
            durable: whether acknowledgements wait until what they depend on is committed.
            commit_delay: seconds for which changes are collected for one transaction.
            synchronous: of SQLite: how far it goes to have a commit on the disk.
            on_corruption: of SQLite: what to do about a damaged file.
            busy_timeout: of SQLite: seconds to wait for somebody else who writes to the file.

        """

        connection: str | None = field(default=None, repr=False)
        file: str | Path | None = None
        clear_on_shutdown: bool = True
        durable: bool = True
        commit_delay: float = 0.002
        synchronous: str = Synchronous.FULL.value
        on_corruption: str = OnCorruption.REFUSE.value
        busy_timeout: float = 5.0

        def __post_init__(self) -> None:
            """Check the options."""
            if self.file is not None and self.connection is not None:
                raise PluginInitError(SessionDBPlugin) from ValueError(
                    "give 'connection' or the deprecated 'file', not both"
                )
            if self.file is not None:
                warnings.warn(
                    "`file` option is now deprecated, use `connection` with"
                    " 'sqlite+aiosqlite:///FILE'",
                    DeprecationWarning,
                    stacklevel=2,
                )
            elif self.connection is None:
                self.file = _DEFAULT_FILE
            if isinstance(self.file, str):
                self.file = Path(self.file)
            if self.file is not None:
                self.connection = f"sqlite+aiosqlite:///{self.file}"
            self.synchronous = Synchronous(self.synchronous.lower()).value
            self.on_corruption = OnCorruption(self.on_corruption.lower()).value
            for name in ("commit_delay", "busy_timeout"):
                if not 0 <= getattr(self, name) <= 3600:
                    msg = f"{name}: expected 0 to 3600 seconds, not {getattr(self, name)}"
                    raise ValueError(msg)

    def __init__(self, context: BaseContext) -> None:
        """Prepare; the database is opened when the broker starts.

        Raises:
            ValueError: the driver in the URL of the database is not asynchronous.

        """
        super().__init__(context)
        self.durable = self.config.durable
        self.commit_delay = self.config.commit_delay
        keep_values_out_of_logs()
        url = asynchronous_url(self.config.connection)
        self._file: Path | None = None
        options: dict[str, Any] = {"hide_parameters": True}
        if url.get_backend_name() == "sqlite" and url.database not in (None, "", ":memory:"):
            self._file = Path(str(url.database))
            options["poolclass"] = NullPool
        self._engine = create_async_engine(url, **options)
        if self._file is not None:
            event.listen(self._engine.sync_engine, "connect", self._prepare_connection)
        self._db_session_maker: async_sessionmaker[AsyncSession] = async_sessionmaker(
            self._engine, expire_on_commit=False
        )
        self._lock = None if self._file is None else FileLock(self._file)
        self._writer: Writer | None = None
        self._is_open = False
        self._has_old = False
        self._restored: Reader | None = None

    def _prepare_connection(self, connection: Any, _: object) -> None:
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout = {int(self.config.busy_timeout * 1000)}")
        cursor.close()

    # -- life

    async def on_broker_pre_start(self) -> None:
        """Make the tables, or bring them up to date.

        Raises:
            PluginError: the database is damaged.

        """
        if self._is_open:
            return
        if self._file is not None:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            await asyncio.to_thread(self._check_file, self._file)
        async with self._engine.begin() as connection:
            if await connection.run_sync(upgrade):
                self.context.logger.info("The tables of the session database are up to date now")
        self._is_open = True

    def _check_file(self, file: Path) -> None:
        if not file.exists():
            return
        try:
            problem = problem_of(file, self.config.busy_timeout)
        except sqlite3.OperationalError as error:
            if "locked" in str(error) or "busy" in str(error):
                return  # whoever has it open gets along with it
            raise
        if problem is None:
            return
        if self.config.on_corruption == OnCorruption.REFUSE:
            msg = (
                f"'{file}' is damaged ({problem}); restore a copy of it, or set"
                " 'on_corruption: set_aside' to begin anew and keep the damaged file aside"
            )
            raise PluginError(msg)
        lock = self._lock
        assert lock is not None
        was_held = lock.is_held
        lock.take()  # not away from under a broker
        try:
            aside = set_aside(file)
        finally:
            if not was_held:
                lock.release()
        self.context.logger.error(
            "'%s' is damaged (%s): it was set aside as '%s', and the broker begins without sessions"
            " and retained messages",
            file,
            problem,
            aside,
        )

    async def restore(self) -> AsyncGenerator[StoredState, None]:
        """Return what is stored, and keep other brokers away from now on.

        Raises:
            PluginError: another broker uses the database, it cannot be reached, or it is damaged.

        """
        await self._close_writer()
        try:
            self._writer = self._new_writer()
            await self._writer.lock()
            await self.on_broker_pre_start()
            await self._writer.open()
        except (OSError, SQLAlchemyError, sqlite3.Error) as error:
            name = self._engine.url.render_as_string(hide_password=True)
            msg = f"the session database {name} cannot be opened: {error}"
            raise PluginError(msg) from error
        async with self._engine.connect() as connection:
            reader = Reader(connection)
            async for part in reader.read():
                yield part
        self._has_old = reader.found_old
        self._restored = reader

    def _new_writer(self) -> Writer:
        if self._file is None or self._lock is None:
            return ServerWriter(self._engine)
        self._file.parent.mkdir(parents=True, exist_ok=True)
        return SQLiteFileWriter(
            self._engine, self._file, self._lock, self.config.synchronous, self.config.busy_timeout
        )

    async def commit(self, changes: StateChanges) -> None:
        """Store a batch in one transaction."""
        if self._writer is None:
            msg = "the session database is closed"
            raise PluginError(msg)
        # What aMQTT has stored with its sessions has a place of its own with the first changes.
        await self._writer.write(changes, forget_old=self._has_old)
        self._has_old = False

    async def on_broker_post_start(self) -> None:
        """Say what was restored; in a broker that did not ask for it, restore what aMQTT does.

        Raises:
            PluginError: the broker has sessions or subscriptions already.

        """
        if self._restored is None:
            await restore_as_amqtt(self.context, self._db_session_maker)
            return
        self.context.logger.info("Retained messages restored: %d", self._restored.retained)
        self.context.logger.info("Restored %d sessions.", self._restored.sessions)

    async def on_broker_pre_shutdown(self) -> None:
        """Do nothing: the last changes come when the clients have been disconnected."""

    async def on_broker_post_shutdown(self) -> None:
        """Forget everything, if the configuration says so."""
        try:
            if self.config.clear_on_shutdown:
                await self._clear()
        finally:
            await self.close()

    async def close(self) -> None:
        """Close the database, and let other brokers have it."""
        self._is_open = False
        await self._close_writer()
        await self._engine.dispose()
        if self._lock is not None:
            self._lock.release()

    async def _close_writer(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            await writer.close()

    async def _clear(self) -> None:
        """Clear the database while nobody else can have it."""
        if self.config.file is None or self._file is None or self._lock is None:
            async with self._engine.begin() as connection:
                for table in models.ALL_TABLES:
                    await connection.execute(delete(table))
            return
        await self._close_writer()
        await self._engine.dispose()
        self._lock.take()
        for suffix in ("", "-wal", "-shm", "-journal", "-lock"):
            self._file.with_name(self._file.name + suffix).unlink(missing_ok=True)

    # -- what aMQTT does, for whoever calls it without an engine

    async def _get_or_create_session(
        self, db_session: AsyncSession, client_id: str
    ) -> StoredSession:
        found = await db_session.execute(
            select(StoredSession).where(StoredSession.client_id == client_id).limit(1)
        )
        stored = found.scalar_one_or_none()
        if stored is None:
            highest = await db_session.scalar(select(func.max(StoredSession.id)))
            stored = StoredSession(
                id=(highest or 0) + 1, client_id=client_id, retained=[], subscriptions=[]
            )
            db_session.add(stored)
            await db_session.flush()
        return stored

    async def on_broker_client_connected(
        self, *, client_id: str, client_session: Session | None
    ) -> None:
        """Store a session that outlives its connection, with its will."""
        session = client_session
        if session is None or session.clean_session in (None, True) or session.is_anonymous:
            return
        async with self._db_session_maker() as db_session, db_session.begin():
            stored = await self._get_or_create_session(db_session, client_id)
            stored.clean_session = session.clean_session
            stored.will_flag = session.will_flag
            message = session.will_message
            stored.will_message = None if message is None else bytes(message)
            stored.will_qos = session.will_qos
            stored.will_retain = session.will_retain
            stored.will_topic = session.will_topic
            stored.keep_alive = session.keep_alive

    async def on_broker_client_subscribed(self, *, client_id: str, topic: str, qos: int) -> None:
        """Store a subscription, in place of another of the same filter."""
        session = self.context.get_session(client_id)  # type: ignore[attr-defined]
        if session is None:
            self.peer_log.log(
                logging.WARNING, "subscriptions without a session", client_id,
                "'%s' is subscribing but doesn't have a session", client_id,
            )  # fmt: skip
            return
        if session.clean_session:
            return
        async with self._db_session_maker() as db_session, db_session.begin():
            stored = await self._get_or_create_session(db_session, client_id)
            others = [each for each in stored.subscriptions if each.topic != topic]
            stored.subscriptions = [*others, Subscription(topic, qos)]

    async def on_broker_client_unsubscribed(self, *, client_id: str, topic: str) -> None:
        """Forget a subscription."""
        async with self._db_session_maker() as db_session, db_session.begin():
            stored = await self._get_or_create_session(db_session, client_id)
            stored.subscriptions = [each for each in stored.subscriptions if each.topic != topic]

    async def on_broker_retained_message(
        self, *, client_id: str | None, retained_message: RetainedApplicationMessage
    ) -> None:
        """Store a message that waits for a client; without a client, that of a topic."""
        topic, payload = retained_message.topic, bytes(retained_message.data or b"")
        if client_id is not None:
            await self._store_waiting(client_id, topic, payload, retained_message.qos or 0)
            return
        async with self._db_session_maker() as db_session, db_session.begin():
            found = await db_session.execute(
                select(StoredMessage).where(StoredMessage.topic == topic)
            )
            stored = list(found.scalars())
            for each in stored if not payload else stored[1:]:
                await db_session.delete(each)
            if not payload:
                return
            if stored:
                stored[0].data = payload
                stored[0].qos = retained_message.qos or 0
                return
            highest = await db_session.scalar(select(func.max(StoredMessage.id)))
            db_session.add(
                StoredMessage(
                    id=(highest or 0) + 1, topic=topic, data=payload, qos=retained_message.qos or 0
                )
            )

    async def _store_waiting(self, client_id: str, topic: str, payload: bytes, qos: int) -> None:
        waiting = RetainedMessage.of(topic, payload, qos)
        async with self._db_session_maker() as db_session, db_session.begin():
            stored = await self._get_or_create_session(db_session, client_id)
            stored.retained = [*stored.retained, waiting]
