"""Databases for the tests of the plugins that need one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.databases import KINDS, DatabaseServer, MariaDB, PostgreSQL, missing


def _skip_if_missing(kind: str) -> None:
    reason = missing(kind)
    if reason is not None:
        pytest.skip(reason)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[DatabaseServer]:
    """A PostgreSQL server, which tests may stop if they start it again."""
    _skip_if_missing("postgresql")
    server = PostgreSQL()
    yield server
    server.close()


@pytest.fixture(scope="session")
def mariadb() -> Iterator[DatabaseServer]:
    """A MariaDB server, which tests may stop if they start it again."""
    _skip_if_missing("mariadb")
    server = MariaDB()
    yield server
    server.close()


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """The URL of a SQLite file that is not there yet."""
    return f"sqlite+aiosqlite:///{tmp_path}/auth.db"


@pytest.fixture(params=("postgresql", "mariadb"))
def server(request: pytest.FixtureRequest) -> DatabaseServer:
    """Each of the servers."""
    found: DatabaseServer = request.getfixturevalue(request.param)
    return found


@pytest.fixture(params=KINDS)
def url(request: pytest.FixtureRequest) -> str:
    """The URL of an empty database of each kind."""
    if request.param == "sqlite":
        found: str = request.getfixturevalue("sqlite_url")
        return found
    server: DatabaseServer = request.getfixturevalue(request.param)
    return server.new_database()
