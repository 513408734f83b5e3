"""The tables of a store: those that aMQTT has, and those of what they have no column for.

Everything is found by numbers that the broker gives; of topics and client identifiers, which may
have 65,535 bytes, there is no index.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
)
from sqlalchemy.dialects.mysql import LONGBLOB, MEDIUMTEXT
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from amqtt.contrib._json_column import DataClassListJSON

# In SQLite an INTEGER has 64 bits, and only as such can be the key of the rows themselves.
Number = BigInteger().with_variant(Integer, "sqlite")
# A BLOB of MySQL ends at 65,535 bytes.
Bytes = LargeBinary().with_variant(LONGBLOB, "mysql", "mariadb")
# So does its TEXT, which is enough for a topic, but not for all identifiers of subscriptions.
LongText = Text().with_variant(MEDIUMTEXT, "mysql", "mariadb")


@dataclass
class RetainedMessage:
    """A message that waited for a client, as aMQTT stores it.

    Attributes:
        topic: topic name.
        data: the payload as text, or in base64 if `encoding` says so.
        qos: quality of service.
        encoding: `base64` of a payload that is no text; None: it is one.

    """

    topic: str
    data: str
    qos: int
    encoding: str | None = None

    @classmethod
    def of(cls, topic: str, payload: bytes, qos: int) -> RetainedMessage:
        """Make one of any payload."""
        try:
            return cls(topic, payload.decode(), qos)
        except UnicodeDecodeError:
            return cls(topic, base64.b64encode(payload).decode(), qos, "base64")

    @property
    def payload(self) -> bytes:
        """The payload as it was published."""
        return base64.b64decode(self.data) if self.encoding == "base64" else self.data.encode()


@dataclass
class Subscription:
    """A subscription, as aMQTT stores it.

    Attributes:
        topic: topic filter.
        qos: granted quality of service.

    """

    topic: str
    qos: int


class _RetainedMessages(DataClassListJSON):
    """A list of messages without the key that aMQTT does not know, where it is not needed."""

    cache_ok = True

    def process_bind_param(self, value: list[Any] | None, dialect: Any) -> list[Any] | None:
        """Make objects of instances."""
        objects = super().process_bind_param(value, dialect)
        if objects is None:
            return None
        return [
            {key: item[key] for key in item if key != "encoding" or item[key] is not None}
            for item in objects
        ]


class Base(DeclarativeBase):
    """Base of the models."""


class StoredSession(Base):
    """A session, in the columns that aMQTT has.

    `retained` and `subscriptions` are what aMQTT has written; the broker moves it to tables of
    their own when it starts.
    """

    __tablename__ = "stored_sessions"
    __table_args__ = {"mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin"}  # noqa: RUF012

    id: Mapped[int] = mapped_column(Number, primary_key=True)
    client_id: Mapped[str] = mapped_column(Text)
    clean_session: Mapped[bool | None] = mapped_column(Boolean, nullable=True)
    will_flag: Mapped[bool] = mapped_column(Boolean, default=False, server_default="false")
    will_message: Mapped[bytes | None] = mapped_column(Bytes, nullable=True, default=None)
    will_qos: Mapped[int | None] = mapped_column(Integer, nullable=True, default=None)
    will_retain: Mapped[bool | None] = mapped_column(Boolean, nullable=True, default=None)
    will_topic: Mapped[str | None] = mapped_column(Text, nullable=True, default=None)
    keep_alive: Mapped[int] = mapped_column(Integer, default=0)
    retained: Mapped[list[RetainedMessage]] = mapped_column(
        _RetainedMessages(RetainedMessage), default=list
    )
    subscriptions: Mapped[list[Subscription]] = mapped_column(
        DataClassListJSON(Subscription), default=list
    )


class StoredMessage(Base):
    """The retained message of a topic, in the columns that aMQTT has."""

    __tablename__ = "stored_messages"
    __table_args__ = {"mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin"}  # noqa: RUF012

    id: Mapped[int] = mapped_column(Number, primary_key=True)
    topic: Mapped[str] = mapped_column(Text)
    data: Mapped[bytes | None] = mapped_column(Bytes, nullable=True, default=None)
    qos: Mapped[int] = mapped_column(Integer, default=0)


def _table(name: str, *columns: Any) -> Table:
    return Table(
        name, Base.metadata, *columns, mysql_charset="utf8mb4", mysql_collate="utf8mb4_bin"
    )


def _id() -> Column[int]:
    return Column("id", Number, primary_key=True, autoincrement=False)


# What `stored_sessions` has no column for, by its id.
session_details = _table(
    "stored_session_details",
    _id(),
    Column("user_name", Text),
    Column("expiry_interval", BigInteger, nullable=False),
    Column("disconnected_at", Double),
    Column("will_delay", BigInteger, nullable=False),
    Column("will_properties", Bytes),
    Column("will_expiry_interval", BigInteger),
)
# The same of `stored_messages`; only of messages that have any of it.
retained_details = _table(
    "stored_message_details", _id(), Column("properties", Bytes), Column("expires_at", Double)
)
subscriptions = _table(
    "stored_subscriptions",
    _id(),
    Column("session", BigInteger, nullable=False),
    Column("topic_filter", Text, nullable=False),
    Column("qos", Integer, nullable=False),
    Column("no_local", Boolean, nullable=False),
    Column("retain_as_published", Boolean, nullable=False),
    Column("retain_handling", Integer, nullable=False),
    Column("identifier", BigInteger, nullable=False),
    Index("ix_stored_subscriptions_session", "session"),
)
# Messages on their way, each once for all its subscribers.
messages = _table(
    "stored_payloads",
    _id(),
    Column("topic", Text, nullable=False),
    Column("payload", Bytes, nullable=False),
    Column("qos", Integer, nullable=False),
    Column("retain", Boolean, nullable=False),
    Column("properties", Bytes, nullable=False),
    Column("expires_at", Double),
)
deliveries = _table(
    "stored_deliveries",
    _id(),
    Column("session", BigInteger, nullable=False),
    Column("message", BigInteger, nullable=False),
    Column("qos", Integer, nullable=False),
    Column("retain", Boolean, nullable=False),
    Column("identifiers", LongText, nullable=False),
    Column("share", Text),
    Column("packet_id", Integer, nullable=False),
    Column("state", Integer, nullable=False),
    Index("ix_stored_deliveries_session", "session"),
)
received = _table(
    "stored_received",
    Column("session", Number, primary_key=True, autoincrement=False),
    Column("packet_id", Integer, primary_key=True, autoincrement=False),
)
# One row: the batch that was committed last, and by which run of a broker.
last_commit = _table(
    "stored_commit",
    _id(),
    Column("run", String(32), nullable=False),
    Column("batch", BigInteger, nullable=False),
)

stored_sessions: Any = StoredSession.__table__
stored_messages: Any = StoredMessage.__table__

ALL_TABLES: tuple[Any, ...] = (
    stored_sessions,
    session_details,
    stored_messages,
    retained_details,
    subscriptions,
    messages,
    deliveries,
    received,
    last_commit,
)
