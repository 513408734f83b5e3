"""The connections to a database, and what is done while it does not answer."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.pool import NullPool
from sqlalchemy.schema import CreateTable

from amqtt.contrib._database_url import asynchronous_url
from amqtt.contrib._driver_logs import keep_values_out_of_logs
from amqtt.contrib.auth_db.models import Base
from amqtt.logs import LogLimiter

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T")

# What a row that cannot be understood raises: an error of that row, not of the database.
ROW_ERRORS = (ValueError, TypeError, KeyError)


class DatabaseUnavailableError(Exception):
    """Report a database that does not answer, or answers with an error."""


class Database:
    """Hold the connections to a database.

    Args:
        url: SQLAlchemy's URL of the database, with an asynchronous driver.
        pool_size: most connections at a time, which are kept open; None opens one for each
            session, and closes it.

    Raises:
        ModuleNotFoundError: the driver is not installed.
        sqlalchemy.exc.ArgumentError: the URL is malformed.
        ValueError: the driver is not asynchronous.

    """

    def __init__(self, url: str, pool_size: int | None = None) -> None:
        """Prepare; nothing is opened yet."""
        keep_values_out_of_logs()
        parsed = asynchronous_url(url)
        # What statements are given, hashes among it, does not belong into errors and logs.
        options: dict[str, Any] = {"hide_parameters": True}
        in_memory = parsed.get_backend_name() == "sqlite" and parsed.database in (
            None, "", ":memory:",
        )  # fmt: skip
        if not in_memory:  # that lives as long as its one connection, which SQLAlchemy knows
            options |= (
                {"poolclass": NullPool}
                if pool_size is None
                else {"pool_size": pool_size, "max_overflow": 0}
            )
        self._engine = create_async_engine(parsed, **options)
        self.session: async_sessionmaker[AsyncSession] = async_sessionmaker(
            self._engine, expire_on_commit=False
        )

    async def sync_schema(self) -> None:
        """Create the tables that are not there."""
        for attempt in range(2):
            try:
                async with self._engine.begin() as connection:
                    for table in Base.metadata.sorted_tables:
                        await connection.execute(CreateTable(table, if_not_exists=True))
            except DBAPIError:
                # PostgreSQL refuses one of two that create the same table at the same time.
                if attempt > 0:
                    raise
            else:
                return

    async def close(self) -> None:
        """Close the connections."""
        await self._engine.dispose()


class DatabaseGuard:
    """Ask a database that may be slow or away, within a bounded time.

    While it does not answer, only one question at a time goes to it, every `retry_interval`
    seconds; the others fail at once.

    Args:
        logger: where it is said, once, that the database is away, and that it is back.
        timeout: seconds that a question may take, waiting for a connection included.
        retry_interval: seconds between two attempts while the database is away.
        recovered: called when it is back.

    """

    def __init__(
        self,
        logger: logging.Logger,
        timeout: float,
        retry_interval: float,
        recovered: Callable[[], None],
    ) -> None:
        """Take the database for available."""
        self._logger = logger
        self._failures = LogLimiter(logger)
        self._timeout = timeout
        self._retry_interval = retry_interval
        self._recovered = recovered
        self._away_since: float | None = None
        self._retry_at = 0.0
        self._last_answer = 0.0
        self._running: set[asyncio.Task[Any]] = set()

    @property
    def is_away(self) -> bool:
        """Whether the last thing known of the database is that it does not answer."""
        return self._away_since is not None

    async def ask(self, question: Callable[[], Awaitable[T]]) -> T:
        """Ask the database.

        A connection that turns out to be closed, because the database has restarted, is replaced
        and the question asked again, so it must be one that does no harm twice.

        Args:
            question: makes the coroutine that asks.

        Returns:
            What the question returns.

        Raises:
            DatabaseUnavailableError: there is no answer in time, or an error.
            ValueError, TypeError, KeyError: what is stored cannot be understood.

        """
        now = time.monotonic()
        if self.is_away:
            if now < self._retry_at:
                msg = "the database has not answered lately"
                raise DatabaseUnavailableError(msg)
            self._retry_at = now + self._timeout + self._retry_interval  # meanwhile, only this one
        try:
            answer = await self._within_time(question)
        except ROW_ERRORS:
            self._answered()
            raise
        except Exception as error:
            self._failed(now, error)
            raise DatabaseUnavailableError(describe(error)) from error
        except asyncio.CancelledError:
            if self.is_away:
                self._retry_at = time.monotonic()
            raise
        self._answered()
        return answer

    async def _within_time(self, question: Callable[[], Awaitable[T]]) -> T:
        # Not wait_for(): that waits until a cancelled question has closed its connection, which
        # takes its own time when the database hangs.
        task = asyncio.ensure_future(_retried(question))
        self._running.add(task)
        task.add_done_callback(self._forget)
        try:
            done, _ = await asyncio.wait({task}, timeout=self._timeout)
        except asyncio.CancelledError:
            task.cancel()
            raise
        if not done:
            task.cancel()
            msg = f"no answer within {self._timeout:g} seconds"
            raise TimeoutError(msg)
        return task.result()

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()  # it is told to who asked, if it still waits

    def _failed(self, began: float, error: Exception) -> None:
        if self._last_answer >= began:
            # Others were answered meanwhile: this question is slow, the database is there.
            self._failures.log(
                logging.WARNING, "questions to the database that failed", "",
                "A question to the database failed: %s", describe(error),
            )  # fmt: skip
            return
        now = time.monotonic()
        self._retry_at = now + self._retry_interval
        if self._away_since is None:
            self._away_since = now
            self._logger.error(
                "The database does not answer; until it does, decisions are made without it: %s",
                describe(error),
            )

    def _answered(self) -> None:
        self._last_answer = time.monotonic()
        if self._away_since is not None:
            away = self._last_answer - self._away_since
            self._away_since = None
            self._logger.warning("The database answers again, after %.1f seconds", away)
            self._recovered()

    async def close(self) -> None:
        """Stop the questions that still run."""
        running = list(self._running)
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running, timeout=self._timeout)
        self._failures.flush()


async def _retried(question: Callable[[], Awaitable[T]]) -> T:
    try:
        return await question()
    except DBAPIError as error:
        if not error.connection_invalidated:
            raise
    return await question()


def describe(error: BaseException) -> str:
    """Put an error of a database into one line, without the statement it belongs to."""
    cause = getattr(error, "orig", None) or error
    lines = str(cause).splitlines()
    text = lines[0] if lines else ""
    return f"{type(cause).__name__}: {text}" if text else type(cause).__name__
