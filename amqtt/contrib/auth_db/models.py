"""The tables of users and of their topics, and the hashes of passwords."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from amqtt.contexts import Action
from amqtt.contrib._json_column import DataClassListJSON
from amqtt.contrib._topic_patterns import covers
from amqtt.contrib.auth_db._hashing import HashSchemes
from amqtt.logs import printable

__all__ = ["AllowedTopic", "Base", "PasswordHasher", "TopicAuth", "UserAuth"]


@dataclass(eq=False)
class AllowedTopic:
    """Hold a topic filter that somebody has a right for.

    Comparing it with text, also by `in` and inside of a list, tells whether the filter covers
    that topic or filter; comparing it with another one compares the filters.

    Args:
        topic: the topic filter. A level `%u` stands for the user name, `%c` for the client
            identifier; see `matches`.

    """

    topic: str

    def matches(
        self, topic: str, *, username: str | None = None, client_id: str | None = None
    ) -> bool:
        """Tell whether the filter covers a topic name or the whole of another filter.

        Args:
            topic: topic name or topic filter.
            username: what a level `%u` must be equal to.
            client_id: what a level `%c` must be equal to.

        Returns:
            Whether it does.

        """
        return covers(self.topic, topic, username=username, client_id=client_id)

    def __contains__(self, other: object) -> bool:
        """Compare as `==` does."""
        return self == other

    def __eq__(self, other: object) -> bool:
        """Compare with a topic by the rules of MQTT, or with the filter of another instance.

        Raises:
            AttributeError: the other is neither.

        """
        if isinstance(other, AllowedTopic):
            return self.topic == other.topic
        if isinstance(other, str):
            return self.matches(other)
        msg = f"an allowed topic is compared with text or its like, not {type(other).__name__}"
        raise AttributeError(msg)

    __hash__ = None  # type: ignore[assignment]  # it is equal to texts of other hashes

    def __str__(self) -> str:
        """Return the filter."""
        return self.topic

    def __repr__(self) -> str:
        """Return the filter, as it may stand in a line of a log."""
        return printable(self.topic)


class PasswordHasher:
    """Make and check hashes; all instances are the same object.

    It is what `UserAuth` uses. Naming schemes or hashers changes them for the whole process.

    Args:
        hashers: hashers with the interface of `hasher.HasherProtocol`, for instance of `pwdlib`.
        schemes: names of schemes: `argon2`, `bcrypt`, `pbkdf2_sha256`, `scrypt`.

    Raises:
        ValueError: both are given, or a scheme is unknown.

    """

    _instance: PasswordHasher | None = None
    _schemes: HashSchemes

    def __new__(cls, *_: Any, **__: Any) -> PasswordHasher:
        """Return the one instance."""
        if cls._instance is None:
            cls._instance = super().__new__(cls)
            cls._instance._schemes = HashSchemes()
        return cls._instance

    def __init__(
        self, hashers: Sequence[Any] | None = None, schemes: Sequence[str] | None = None
    ) -> None:
        """Change the hashers, when some are named."""
        if hashers is not None and schemes is not None:
            msg = "give either hashers or the names of schemes, not both"
            raise ValueError(msg)
        if schemes is not None:
            self._schemes = HashSchemes(schemes)
        elif hashers:
            made = HashSchemes()
            made.hashers = list(hashers)
            self._schemes = made

    @property
    def hashers(self) -> list[Any]:
        """The hashers; the first one makes new hashes."""
        return self._schemes.hashers

    @property
    def crypt_context(self) -> PasswordHasher:
        """The hasher itself; the name is one of older versions."""
        return self

    def hash(self, password: str | bytes, *, salt: bytes | None = None) -> str:
        """Make a hash of the first scheme."""
        made: str = self.hashers[0].hash(password, salt=salt)
        return made

    def verify(self, password: str | bytes, hash: str | bytes) -> bool:
        """Tell whether a password belongs to a hash.

        Older versions had the arguments in the other order; that still works. So never call this
        with a password that a client has sent: it could send a hash of what is stored.

        Args:
            password: the password.
            hash: the hash.

        Returns:
            Whether it does; false when neither argument is a hash of a known kind.

        """
        return self._schemes.verify(*self._in_order(password, hash))

    def verify_and_update(
        self, password: str | bytes, hash: str | bytes
    ) -> tuple[bool, str | None]:
        """Check a password, and make a new hash when the stored one is outdated.

        Returns:
            Whether the password is right, and what to replace its hash by; None to keep it.

        """
        return self._schemes.verify_and_update(*self._in_order(password, hash))

    def verify_strictly(self, password: str | bytes, hash: str | bytes) -> bool:
        """Tell whether a password belongs to a hash, with the arguments in this order only."""
        return self._schemes.verify(password, hash)

    def _in_order(
        self, password: str | bytes, hash: str | bytes
    ) -> tuple[str | bytes, str | bytes]:
        if not self._schemes.knows(hash) and self._schemes.knows(password):
            return hash, password
        return password, hash


class Base(DeclarativeBase):
    """Base of the tables."""


# MySQL must be told the length, and to tell capital letters from small ones.
_Username = String().with_variant(String(255, collation="utf8mb4_bin"), "mysql", "mariadb")


class UserAuth(Base):
    """A user and the hash of its password."""

    __tablename__ = "user_auth"

    id: Mapped[int] = mapped_column(primary_key=True)
    username: Mapped[str] = mapped_column(_Username, unique=True)
    _password_hash: Mapped[str] = mapped_column("password_hash", String(128))

    # Not used; the columns are those of existing databases.
    publish_acl: Mapped[list[AllowedTopic]] = mapped_column(
        DataClassListJSON(AllowedTopic), default=list
    )
    subscribe_acl: Mapped[list[AllowedTopic]] = mapped_column(
        DataClassListJSON(AllowedTopic), default=list
    )
    receive_acl: Mapped[list[AllowedTopic]] = mapped_column(
        DataClassListJSON(AllowedTopic), default=list
    )

    @property
    def password(self) -> None:
        """Set the password, by its hash; it cannot be read.

        Raises:
            AttributeError: on reading.

        """
        msg = "a password is not stored, so it cannot be read"
        raise AttributeError(msg)

    @password.setter
    def password(self, plain_password: str) -> None:
        self._password_hash = PasswordHasher().hash(plain_password)

    def verify_password(self, plain_password: str) -> bool:
        """Tell whether this is the password."""
        return PasswordHasher().verify_strictly(plain_password, self._password_hash)

    def __str__(self) -> str:
        """Return the name and the kind of the hash, which itself is a secret."""
        kind = self._password_hash.split("$", 2)[1:2] or ["unknown"]
        return f"'{printable(self.username)}' with password hash: ${kind[0]}$***"


class TopicAuth(Base):
    """A user and the topics that it may use."""

    __tablename__ = "topic_auth"

    id: Mapped[int] = mapped_column(primary_key=True)
    username: Mapped[str] = mapped_column(_Username, unique=True)

    publish_acl: Mapped[list[AllowedTopic]] = mapped_column(
        DataClassListJSON(AllowedTopic), default=list
    )
    subscribe_acl: Mapped[list[AllowedTopic]] = mapped_column(
        DataClassListJSON(AllowedTopic), default=list
    )
    receive_acl: Mapped[list[AllowedTopic]] = mapped_column(
        DataClassListJSON(AllowedTopic), default=list
    )

    def get_topic_list(self, action: Action) -> list[AllowedTopic]:
        """Return the topics that the user has a right for.

        Args:
            action: which right.

        Returns:
            The list of the table's row.

        """
        return {
            Action.PUBLISH: self.publish_acl,
            Action.SUBSCRIBE: self.subscribe_acl,
            Action.RECEIVE: self.receive_acl,
        }[Action(action)]

    def __str__(self) -> str:
        """Return the name and the three lists."""
        return (
            f"'{printable(self.username)}':\n\tpublish: {self.publish_acl}, "
            f"subscribe: {self.subscribe_acl}, receive: {self.receive_acl}\n"
        )
