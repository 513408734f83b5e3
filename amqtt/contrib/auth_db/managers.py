"""Read and change users and their topics."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError

from amqtt.contexts import Action
from amqtt.contrib.auth_db._database import Database
from amqtt.contrib.auth_db._hashing import HashingThreads
from amqtt.contrib.auth_db.models import AllowedTopic, Base, PasswordHasher, TopicAuth, UserAuth
from amqtt.errors import MQTTError
from amqtt.logs import printable
from amqtt.topics import topic_filter_problem
from amqtt.utils import user_name_problem

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from sqlalchemy.ext.asyncio import AsyncSession

    from amqtt.contrib.auth_db._hashing import HashSchemes

__all__ = ["Action", "AllowedTopic", "Base", "TopicAuth", "TopicManager", "UserAuth", "UserManager"]

logger = logging.getLogger(__name__)

_LONGEST_NAME = 255
_LONGEST_SHOWN = 20


class _Manager:
    """Base of the managers.

    Args:
        connection: SQLAlchemy's URL of the database, with an asynchronous driver.
        pool_size: most connections, which are kept open until `close`; None opens one for each
            operation, and nothing needs to be closed.

    """

    def __init__(self, connection: str, *, pool_size: int | None = None) -> None:
        """Prepare; nothing is opened yet."""
        self._database = Database(connection, pool_size)
        self._db_session_maker = self._database.session

    async def db_sync(self) -> None:
        """Create the tables that are not there."""
        await self._database.sync_schema()

    async def close(self) -> None:
        """Close the connections that are kept open."""
        await self._database.close()


def _check_username(username: str) -> None:
    problem = user_name_problem(username)
    if problem is None and len(username) > _LONGEST_NAME:
        problem = f"it has more than {_LONGEST_NAME} characters"
    if problem is not None:
        shown = username if len(username) <= _LONGEST_SHOWN else f"{username[:_LONGEST_SHOWN]}..."
        msg = f"{shown!r} cannot be the name of a user: {problem}"
        raise MQTTError(msg)


async def _find(session: AsyncSession, table: Any, username: str) -> Any:
    """Return the row of a user; None when there is none."""
    statement = select(table).where(table.username == username)
    found = (await session.execute(statement)).scalar_one_or_none()
    # A database may take names for equal that differ in case or in spaces at the end.
    return found if found is not None and found.username == username else None


class UserManager(_Manager):
    """Read and change the users and their passwords.

    Passwords are hashed in threads.

    Args:
        connection: SQLAlchemy's URL of the database, with an asynchronous driver.
        pool_size: most connections, which are kept open until `close`; None opens one for each
            operation, and nothing needs to be closed.
        schemes: how passwords are hashed; None means by `PasswordHasher`.

    """

    def __init__(
        self,
        connection: str,
        *,
        pool_size: int | None = None,
        schemes: HashSchemes | None = None,
    ) -> None:
        """Prepare; nothing is opened yet."""
        super().__init__(connection, pool_size=pool_size)
        self._own_schemes = schemes
        self._threads = HashingThreads()

    @property
    def _schemes(self) -> HashSchemes:
        return self._own_schemes or PasswordHasher()._schemes

    async def close(self) -> None:
        """Close the connections that are kept open, and end the threads."""
        self._threads.close()
        await super().close()

    async def get_user_auth(self, username: str) -> UserAuth | None:
        """Return a user; None when it is unknown."""
        async with self._database.session() as session:
            found: UserAuth | None = await _find(session, UserAuth, username)
            return found

    async def list_user_auths(self) -> Iterator[UserAuth]:
        """Return all users, ordered by name."""
        async with self._database.session() as session:
            found = await session.execute(select(UserAuth).order_by(UserAuth.username))
            return iter(found.scalars().all())

    async def create_user_auth(self, username: str, plain_password: str) -> UserAuth:
        """Add a user.

        Args:
            username: its name.
            plain_password: its password.

        Returns:
            The user.

        Raises:
            MQTTError: there is one of this name, or it is no user name.

        """
        _check_username(username)
        made = UserAuth(username=username)
        async with self._database.session() as session:
            if await _find(session, UserAuth, username) is not None:
                raise _exists(username)
        made._password_hash = await self._threads.run(self._schemes.hash, plain_password)
        async with self._database.session() as session:
            session.add(made)
            try:
                await session.commit()
            except IntegrityError as error:  # somebody else was faster
                raise _exists(username) from error
        return made

    async def delete_user_auth(self, username: str) -> UserAuth | None:
        """Remove a user.

        Returns:
            The user that was removed; None when it is unknown.

        """
        async with self._database.session() as session:
            found: UserAuth | None = await _find(session, UserAuth, username)
            if found is not None:
                await session.delete(found)
                await session.commit()
            return found

    async def update_user_auth_password(self, username: str, plain_password: str) -> UserAuth:
        """Give a user another password.

        Returns:
            The user.

        Raises:
            MQTTError: it is unknown.

        """
        made = await self._threads.run(self._schemes.hash, plain_password)
        async with self._database.session() as session:
            found: UserAuth | None = await _find(session, UserAuth, username)
            if found is None:
                raise _unknown(username)
            found._password_hash = made
            await session.commit()
            return found

    async def verify_user_auth_password(self, username: str, plain_password: str) -> bool:
        """Check a password; an outdated hash is replaced by a new one.

        Returns:
            Whether the user is known and this is its password.

        """
        found = await self.get_user_auth(username)
        right, outdated = await self.check_password(found, plain_password, username)
        if found is not None and outdated is not None:
            await self.replace_hash(found, outdated)
        return right

    async def check_password(
        self, user: UserAuth | None, plain_password: str | bytes, username: str = ""
    ) -> tuple[bool, str | None]:
        """Check a password, which takes the same time for an unknown user.

        Args:
            user: the user; None for one that is unknown.
            plain_password: the password.
            username: by what name an unknown user was looked for.

        Returns:
            Whether it is right; and what the stored hash should be replaced by, or None.

        """
        schemes = self._schemes
        if user is None:
            await self._threads.run(schemes.verify_nobody, plain_password, username)
            return False, None
        return await self._threads.run(
            schemes.verify_and_update, plain_password, user._password_hash
        )

    async def replace_hash(self, user: UserAuth, new_hash: str) -> None:
        """Store another hash of the same password, unless the password was changed meanwhile."""
        column = UserAuth._password_hash
        async with self._database.session() as session:
            await session.execute(
                update(UserAuth)
                .where(UserAuth.id == user.id, column == user._password_hash)
                .values({column: new_hash})
            )
            await session.commit()


class TopicManager(_Manager):
    """Read and change the topics that users may use."""

    async def create_topic_auth(self, username: str) -> TopicAuth:
        """Add a user, without rights.

        Returns:
            The user's row.

        Raises:
            MQTTError: there is one of this name, or it is no user name.

        """
        _check_username(username)
        made = TopicAuth(username=username, publish_acl=[], subscribe_acl=[], receive_acl=[])
        async with self._database.session() as session:
            if await _find(session, TopicAuth, username) is not None:
                raise _exists(username)
            session.add(made)
            try:
                await session.commit()
            except IntegrityError as error:
                raise _exists(username) from error
        return made

    async def get_topic_auth(self, username: str) -> TopicAuth | None:
        """Return a user's row; None when it is unknown."""
        async with self._database.session() as session:
            found: TopicAuth | None = await _find(session, TopicAuth, username)
            return found

    async def list_topic_auths(self) -> Iterator[TopicAuth]:
        """Return the rows of all users, ordered by name."""
        async with self._database.session() as session:
            found = await session.execute(select(TopicAuth).order_by(TopicAuth.username))
            return iter(found.scalars().all())

    async def add_allowed_topic(
        self, username: str, topic: str, action: Action
    ) -> list[AllowedTopic]:
        """Give a user a right; nothing changes when it has it.

        Args:
            username: name of the user.
            topic: topic filter; a level `%u` or `%c` stands for the user's or client's name.
            action: what it may do with what the filter matches.

        Returns:
            The filters of that action from now on.

        Raises:
            MQTTError: the user is unknown, the topic no filter, or one that starts with `$` and
                is for publishing.

        """
        check_topic(topic, action)
        added = AllowedTopic(topic)
        async with self._database.session() as session:
            row = await self._row(session, username)
            topics = row.get_topic_list(action)
            if added not in topics:
                topics = [*topics, added]
                _set_topics(row, action, topics)
                await session.commit()
            return list(topics)

    async def remove_allowed_topic(
        self, username: str, topic: str, action: Action
    ) -> list[AllowedTopic]:
        """Withdraw a right from a user.

        Args:
            username: name of the user.
            topic: the topic filter, as it was given.
            action: what it may not do any more.

        Returns:
            The filters of that action from now on.

        Raises:
            MQTTError: the user is unknown or does not have the right.

        """
        removed = AllowedTopic(topic)
        async with self._database.session() as session:
            row = await self._row(session, username)
            topics = row.get_topic_list(action)
            if removed not in topics:
                of_whom = f"{Action(action).value} list of '{printable(username)}'"
                msg = f"topic '{printable(topic)}' is not in the {of_whom}"
                raise MQTTError(msg)
            topics = [each for each in topics if each != removed]
            _set_topics(row, action, topics)
            await session.commit()
            return topics

    @staticmethod
    async def _row(session: AsyncSession, username: str) -> TopicAuth:
        # Writing first locks the row against a change in between, also in SQLite, which has no
        # SELECT FOR UPDATE.
        await session.execute(
            update(TopicAuth).where(TopicAuth.username == username).values(username=username)
        )
        found: TopicAuth | None = await _find(session, TopicAuth, username)
        if found is None:
            raise _unknown(username)
        return found


def check_topic(topic: str, action: Action) -> None:
    """Refuse a topic that no right can be given for.

    Args:
        topic: the topic filter.
        action: what the right is for.

    Raises:
        MQTTError: it is no filter, or starts with `$` and is for publishing.

    """
    problem = topic_filter_problem(topic, strict=True)
    if problem is not None:
        msg = f"'{printable(topic[:60])}' is no topic filter: {problem}"
        raise MQTTError(msg)
    if Action(action) is Action.PUBLISH and topic.startswith("$"):
        msg = f"'{printable(topic[:60])}': nobody may publish to topics that start with '$'"
        raise MQTTError(msg)


def _set_topics(row: TopicAuth, action: Action, topics: list[AllowedTopic]) -> None:
    setattr(row, f"{Action(action).value}_acl", topics)


def _exists(username: str) -> MQTTError:
    return MQTTError(f"user '{username}' already exists")


def _unknown(username: str) -> MQTTError:
    return MQTTError(f"user '{username}' does not exist")
