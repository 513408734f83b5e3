"""Bring the tables of a database up to date."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import inspect, text

if TYPE_CHECKING:
    from sqlalchemy import Connection

VERSION_TABLE = "stored_version"
# The newest migration.
NEWEST = "0001"


def version_of(connection: Connection) -> str | None:
    """Return which migration a database has had last; None: none."""
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    found = connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()
    return None if found is None else str(found)


def upgrade(connection: Connection) -> bool:
    """Run the migrations that a database lacks.

    Returns:
        Whether there were any.

    Raises:
        alembic.util.CommandError: a newer version has written the database.

    """
    if version_of(connection) == NEWEST:
        return False
    # Only here: it takes a while to import.
    from alembic import command
    from alembic.config import Config

    config = Config()
    folder = str(Path(__file__).parent / "migrations").replace("%", "%%")
    config.set_main_option("script_location", folder)
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    return True
