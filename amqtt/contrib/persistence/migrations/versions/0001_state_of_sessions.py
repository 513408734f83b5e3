"""Adopt the tables of aMQTT, or make them, and add those of everything else a session is."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.mysql import LONGBLOB, MEDIUMTEXT

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
data = sa.LargeBinary().with_variant(LONGBLOB(), "mysql", "mariadb")
# A TEXT of MySQL ends at 65,535 bytes.
text = sa.Text().with_variant(MEDIUMTEXT(), "mysql", "mariadb")
options: dict[str, Any] = {"mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin"}


def row_id() -> sa.Column[int]:
    """Return the column of a number that the broker gives."""
    return sa.Column("id", number, primary_key=True, autoincrement=False)


def upgrade() -> None:
    """Make the tables.

    Where a table cannot be made in a transaction, a crash may have left some of them behind.
    """
    there = sa.inspect(op.get_bind()).get_table_names()
    for name, make in (("stored_sessions", make_sessions), ("stored_messages", make_messages)):
        if name not in there:
            make()
        else:
            widen(name)
    make_the_rest()


def make_missing(name: str, *columns: Any, index_of: str | None = None) -> None:
    """Make a table, and an index of one column, where they are not there."""
    inspected = sa.inspect(op.get_bind())
    if name not in inspected.get_table_names():
        op.create_table(name, *columns, **options)
        inspected = sa.inspect(op.get_bind())
    if index_of is None:
        return
    index = f"ix_{name}_{index_of}"
    if index not in [each["name"] for each in inspected.get_indexes(name)]:
        op.create_index(index, name, [index_of])


def widen(table: str) -> None:
    """Let numbers and payloads grow beyond what aMQTT has chosen."""
    dialect = op.get_bind().dialect.name
    if dialect == "sqlite":  # which has no such bounds
        return
    is_mysql = dialect in ("mysql", "mariadb")
    op.alter_column(
        table, "id", existing_type=sa.Integer(), type_=sa.BigInteger(), existing_nullable=False,
        autoincrement=True if is_mysql else None,
    )  # fmt: skip
    if is_mysql:
        column = "will_message" if table == "stored_sessions" else "data"
        op.alter_column(table, column, existing_type=sa.LargeBinary(), type_=LONGBLOB())


def make_sessions() -> None:
    """Make the sessions as aMQTT has them."""
    # MySQL does not take the text that aMQTT gives.
    is_mysql = op.get_bind().dialect.name in ("mysql", "mariadb")
    false = sa.text("false") if is_mysql else "false"
    op.create_table(
        "stored_sessions",
        sa.Column("id", number, primary_key=True),
        sa.Column("client_id", sa.Text(), nullable=False),
        sa.Column("clean_session", sa.Boolean()),
        sa.Column("will_flag", sa.Boolean(), nullable=False, server_default=false),
        sa.Column("will_message", data),
        sa.Column("will_qos", sa.Integer()),
        sa.Column("will_retain", sa.Boolean()),
        sa.Column("will_topic", sa.Text()),
        sa.Column("keep_alive", sa.Integer(), nullable=False),
        sa.Column("retained", sa.JSON(), nullable=False),
        sa.Column("subscriptions", sa.JSON(), nullable=False),
        **options,
    )


def make_messages() -> None:
    """Make the retained messages as aMQTT has them."""
    op.create_table(
        "stored_messages",
        sa.Column("id", number, primary_key=True),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("data", data),
        sa.Column("qos", sa.Integer(), nullable=False),
        **options,
    )


def make_the_rest() -> None:
    """Make the tables that aMQTT has not."""
    make_missing(
        "stored_session_details",
        row_id(),
        sa.Column("user_name", sa.Text()),
        sa.Column("expiry_interval", sa.BigInteger(), nullable=False),
        sa.Column("disconnected_at", sa.Double()),
        sa.Column("will_delay", sa.BigInteger(), nullable=False),
        sa.Column("will_properties", data),
        sa.Column("will_expiry_interval", sa.BigInteger()),
    )
    make_missing(
        "stored_message_details",
        row_id(),
        sa.Column("properties", data),
        sa.Column("expires_at", sa.Double()),
    )
    make_missing(
        "stored_subscriptions",
        row_id(),
        sa.Column("session", sa.BigInteger(), nullable=False),
        sa.Column("topic_filter", sa.Text(), nullable=False),
        sa.Column("qos", sa.Integer(), nullable=False),
        sa.Column("no_local", sa.Boolean(), nullable=False),
        sa.Column("retain_as_published", sa.Boolean(), nullable=False),
        sa.Column("retain_handling", sa.Integer(), nullable=False),
        sa.Column("identifier", sa.BigInteger(), nullable=False),
        index_of="session",
    )
    make_missing(
        "stored_payloads",
        row_id(),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("payload", data, nullable=False),
        sa.Column("qos", sa.Integer(), nullable=False),
        sa.Column("retain", sa.Boolean(), nullable=False),
        sa.Column("properties", data, nullable=False),
        sa.Column("expires_at", sa.Double()),
    )
    make_missing(
        "stored_deliveries",
        row_id(),
        sa.Column("session", sa.BigInteger(), nullable=False),
        sa.Column("message", sa.BigInteger(), nullable=False),
        sa.Column("qos", sa.Integer(), nullable=False),
        sa.Column("retain", sa.Boolean(), nullable=False),
        sa.Column("identifiers", text, nullable=False),
        sa.Column("share", sa.Text()),
        sa.Column("packet_id", sa.Integer(), nullable=False),
        sa.Column("state", sa.Integer(), nullable=False),
        index_of="session",
    )
    make_missing(
        "stored_received",
        sa.Column("session", number, primary_key=True, autoincrement=False),
        sa.Column("packet_id", sa.Integer(), primary_key=True, autoincrement=False),
    )
    make_missing(
        "stored_commit",
        row_id(),
        sa.Column("run", sa.String(32), nullable=False),
        sa.Column("batch", sa.BigInteger(), nullable=False),
    )
