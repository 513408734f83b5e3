"""Plugins that ask a database who may connect and what clients may do with topics."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from amqtt._compat import StrEnum
from amqtt.broker import BrokerContext
from amqtt.contexts import Action
from amqtt.contrib.auth_db._database import ROW_ERRORS, DatabaseGuard, DatabaseUnavailableError
from amqtt.contrib.auth_db._hashing import HashSchemes
from amqtt.contrib.auth_db.managers import TopicManager, UserManager
from amqtt.contrib.auth_db.models import PasswordHasher
from amqtt.plugins.base import BaseAuthPlugin, BaseTopicPlugin
from amqtt.plugins.login_queue import TOO_MANY_LOGINS, LoginQueue, TooManyLoginsError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from amqtt.contrib.auth_db.models import TopicAuth
    from amqtt.logs import LogLimiter
    from amqtt.plugins.base import Decision
    from amqtt.session import Session

__all__ = [
    "AuthTopicDBPlugin",
    "AuthTopicDBPlugine",
    "AuthUserDBPlugin",
    "OnError",
    "TopicAuthDBPlugin",
    "UserAuthDBPlugin",
    "default_hash_scheme",
]

T = TypeVar("T")


def default_hash_scheme() -> list[str]:
    """Return the schemes of password hashes that are accepted; the first one makes new ones."""
    return ["argon2", "bcrypt"]


class OnError(StrEnum):
    """What is decided while the database does not answer."""

    DENY = "deny"
    DEFER = "defer"


@dataclass
class _DatabaseConfig:
    """The options of both plugins."""

    connection: str = field(repr=False)
    sync_schema: bool = False
    on_error: OnError = OnError.DENY
    timeout: int | float = 5
    retry_interval: int | float = 1
    pool_size: int = 5

    def __post_init__(self) -> None:
        """Check the numbers."""
        self.on_error = OnError(self.on_error)
        for name in ("timeout", "pool_size"):
            if getattr(self, name) <= 0:
                msg = f"'{name}' must be above 0, not {getattr(self, name)}"
                raise ValueError(msg)
        if self.retry_interval < 0:
            msg = f"'retry_interval' must not be below 0, not {self.retry_interval}"
            raise ValueError(msg)


class _NoAnswer(NamedTuple):
    """What is decided without an answer of the database."""

    verdict: bool | None


class _Asking:
    """What both plugins do with their manager: ask it, and make its tables before."""

    def __init__(
        self,
        context: Any,
        peer_log: LogLimiter,
        manager: UserManager | TopicManager,
        recovered: Callable[[], None],
    ) -> None:
        """Prepare; the database is not touched yet."""
        config = context.config
        self._peer_log = peer_log
        self._manager = manager
        self._needs_schema: bool = config.sync_schema
        self._otherwise = False if config.on_error == OnError.DENY else None
        self.guard = DatabaseGuard(context.logger, config.timeout, config.retry_interval, recovered)

    async def prepare(self) -> None:
        """Make the tables, if that is configured; when it fails, the next question tries again."""
        with contextlib.suppress(DatabaseUnavailableError):  # it is in the log
            await self._ask(_nothing)

    async def decide(self, question: Callable[[], Awaitable[T]]) -> T | _NoAnswer:
        """Ask the database; without an answer say what is configured for that case."""
        try:
            return await self._ask(question)
        except DatabaseUnavailableError as error:
            self._peer_log.log(
                logging.DEBUG, "decisions without the database", "",
                "Decided without the database: %s", error,
            )  # fmt: skip
            return _NoAnswer(self._otherwise)
        except ROW_ERRORS as error:
            self._peer_log.log(
                logging.ERROR, "damaged rows", "",
                "A row of the database is damaged, the user is refused: %r", error,
            )  # fmt: skip
            return _NoAnswer(False)

    async def _ask(self, question: Callable[[], Awaitable[T]]) -> T:
        async def with_schema() -> T:
            if self._needs_schema:
                await self._manager.db_sync()
                self._needs_schema = False
            return await question()

        return await self.guard.ask(with_schema)

    async def close(self) -> None:
        """Close the connections."""
        await self.guard.close()
        await self._manager.close()


async def _nothing() -> None:
    return None


class UserAuthDBPlugin(BaseAuthPlugin):
    """Admit the users of a table who know their password.

    Hashes are checked in threads of low priority, a few at a time and in turn, see `LoginQueue`.
    The name of an unknown user takes as long as that of a known one. What is stored with an older
    scheme is replaced when its user logs in.
    """

    @dataclass
    class Config(_DatabaseConfig):
        """The options.

        Attributes:
            connection: SQLAlchemy's URL of the database, with an asynchronous driver.
            sync_schema: create the tables when the broker starts, if they are not there.
            hash_schemes: the kinds of hashes that are accepted: `argon2`, `bcrypt`, and the
                deprecated `pbkdf2_sha256` and `scrypt`. The first one makes new hashes.
            on_error: while the database does not answer, `deny` refuses, `defer` leaves the
                decision to other plugins.
            timeout: seconds that the database may take for an answer.
            retry_interval: seconds between two attempts while it does not answer.
            pool_size: most connections to the database.

        """

        hash_schemes: list[str] = field(default_factory=default_hash_scheme)

    def __init__(self, context: BrokerContext) -> None:
        """Prepare; the database is not touched yet.

        Raises:
            ModuleNotFoundError: the driver of the database is not installed.
            ValueError: a hash scheme is unknown.

        """
        super().__init__(context)
        config = self.context.config
        schemes = HashSchemes(config.hash_schemes)
        PasswordHasher(schemes=config.hash_schemes)  # what the application's own UserAuth uses
        self._user_manager = UserManager(
            config.connection, pool_size=config.pool_size, schemes=schemes
        )
        self._asking = _Asking(self.context, self.peer_log, self._user_manager, _do_nothing)
        self._queue = LoginQueue(self.peer_log)

    async def on_broker_pre_start(self) -> None:
        """Create the tables, if that is configured."""
        if self.context.config.sync_schema:
            await self._asking.prepare()

    async def authenticate(self, *, session: Session) -> bool | Decision | None:
        """Check user name and password.

        Args:
            session: the client's.

        Returns:
            Whether they are right; false without them. What `on_error` says when the database
            does not answer; `TOO_MANY_LOGINS` when too many logins wait.

        """
        username, password = session.username, session.password
        if not username or not password:
            self.peer_log.log(
                logging.DEBUG, "clients without user name or password", session.client_id,
                "Client '%s' is refused: no user name or password", session.client_id,
            )  # fmt: skip
            return False
        found = await self._asking.decide(lambda: self._user_manager.get_user_auth(username))
        if isinstance(found, _NoAnswer):
            return found.verdict
        try:
            async with self._queue.turn(session):
                right, new_hash = await self._user_manager.check_password(found, password, username)
        except TooManyLoginsError:
            return TOO_MANY_LOGINS
        if found is not None and right and new_hash is not None:
            user, replacement = found, new_hash
            # The user is in, whatever becomes of the replacement.
            await self._asking.decide(lambda: self._user_manager.replace_hash(user, replacement))
        reason = "unknown user" if found is None else "wrong password"
        self.peer_log.log(
            logging.DEBUG, "checked passwords", username,
            "User '%s' is %s", username, "admitted" if right else f"refused: {reason}",
        )  # fmt: skip
        return right

    async def still_allowed(self, *, session: Session) -> bool | None:
        """Refuse a user who is not in the table any more; a new password is not looked at.

        Args:
            session: the client's.

        Returns:
            False without such a user; None with it, and when the database does not answer.

        """
        username = session.username
        if not username:
            return None
        found = await self._asking.decide(lambda: self._user_manager.get_user_auth(username))
        return False if found is None else None

    async def close(self) -> None:
        """Close the connections to the database."""
        await self._asking.close()


def _do_nothing() -> None:
    pass


class TopicAuthDBPlugin(BaseTopicPlugin):
    """Allow each user the topics of its row in a table.

    The broker remembers a verdict for `verdict_ttl` seconds: a right that is given or withdrawn
    takes effect after that time at the latest.
    """

    @dataclass
    class Config(_DatabaseConfig):
        """The options.

        Attributes:
            connection: SQLAlchemy's URL of the database, with an asynchronous driver.
            sync_schema: create the tables when the broker starts, if they are not there.
            verdict_ttl: seconds for which the broker remembers a verdict; 0 asks the database for
                every message.
            on_error: while the database does not answer, `deny` refuses, `defer` leaves the
                decision to other plugins.
            timeout: seconds that the database may take for an answer.
            retry_interval: seconds between two attempts while it does not answer.
            pool_size: most connections to the database.

        """

        verdict_ttl: int | float = 5

    def __init__(self, context: BrokerContext) -> None:
        """Prepare; the database is not touched yet.

        Raises:
            ModuleNotFoundError: the driver of the database is not installed.

        """
        super().__init__(context)
        config = self.context.config
        self._topic_manager = TopicManager(config.connection, pool_size=config.pool_size)
        self._asking = _Asking(
            self.context, self.peer_log, self._topic_manager, self._forget_verdicts
        )
        # Questions on the same user at the same time are one question to the database.
        self._lookups: dict[str, asyncio.Task[Any]] = {}

    @property
    def verdict_ttl(self) -> float:  # type: ignore[override]
        """Seconds for which a verdict holds; what is decided without the database does not."""
        return 0.0 if self._asking.guard.is_away else float(self.context.config.verdict_ttl)

    def _forget_verdicts(self) -> None:
        invalidate = getattr(self.context, "invalidate_verdicts", None)
        if invalidate is not None:
            invalidate()

    async def on_broker_pre_start(self) -> None:
        """Create the tables, if that is configured."""
        if self.context.config.sync_schema:
            await self._asking.prepare()

    async def topic_filtering(
        self,
        *,
        session: Session | None = None,
        topic: str | None = None,
        action: Action | None = None,
    ) -> bool | None:
        """Look the topic up in the list of the user for this action.

        Args:
            session: the client's.
            topic: topic name; with `Action.SUBSCRIBE` a topic filter, of which the whole must be
                allowed.
            action: what the client wants to do.

        Returns:
            Whether it may; false for an unknown user, None without user name or topic. What
            `on_error` says when the database does not answer.

        """
        if session is None or not session.username or not topic or action is None:
            return None
        username = session.username
        row = await self._lookup(username)
        if isinstance(row, _NoAnswer):
            return row.verdict
        allowed = row is not None and any(
            each.matches(topic, username=username, client_id=session.client_id)
            for each in row.get_topic_list(action)
        )
        self.peer_log.log(
            logging.DEBUG, "decisions on topics", username, "User '%s' %s to %s '%s'",
            username, "has the right" if allowed else "has no right", action, topic,
        )  # fmt: skip
        return allowed

    async def _lookup(self, username: str) -> TopicAuth | _NoAnswer | None:
        task = self._lookups.get(username)
        if task is None:
            task = asyncio.ensure_future(
                self._asking.decide(lambda: self._topic_manager.get_topic_auth(username))
            )
            self._lookups[username] = task
            task.add_done_callback(lambda _: self._lookups.pop(username, None))
        # One of those who wait may be cancelled; the question has its own time limit.
        found: TopicAuth | _NoAnswer | None = await asyncio.shield(task)
        return found

    async def close(self) -> None:
        """Close the connections to the database."""
        await self._asking.close()


class AuthUserDBPlugin(UserAuthDBPlugin):
    """`UserAuthDBPlugin` by its name in older versions."""


class AuthTopicDBPlugin(TopicAuthDBPlugin):
    """`TopicAuthDBPlugin` by its name in older versions."""


class AuthTopicDBPlugine(TopicAuthDBPlugin):
    """`TopicAuthDBPlugin` by a misspelt name of older versions."""
