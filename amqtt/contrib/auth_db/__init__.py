"""Users, their passwords and their topics in a database: plugins, managers and commands.

SQLite, PostgreSQL, MySQL and MariaDB are supported, by SQLAlchemy and asynchronous drivers.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import URL

from amqtt._compat import StrEnum
from amqtt.contrib.auth_db._terminal import ask_hidden
from amqtt.contrib.auth_db.plugin import (
    AuthTopicDBPlugin as AuthTopicDBPlugin,
)
from amqtt.contrib.auth_db.plugin import (
    AuthTopicDBPlugine as AuthTopicDBPlugine,
)
from amqtt.contrib.auth_db.plugin import (
    AuthUserDBPlugin as AuthUserDBPlugin,
)
from amqtt.contrib.auth_db.plugin import TopicAuthDBPlugin, UserAuthDBPlugin

__all__ = ["DBType", "TopicAuthDBPlugin", "UserAuthDBPlugin", "db_connection_str"]


class DBType(StrEnum):
    """The kinds of databases."""

    MARIA = "mariadb"
    MYSQL = "mysql"
    POSTGRESQL = "postgresql"
    SQLITE = "sqlite"


@dataclass
class DBInfo:
    """How to reach a kind of database.

    Attributes:
        connect_str: name of SQLAlchemy's dialect and driver.
        connect_port: port where such a database usually is; None for files.

    """

    connect_str: str
    connect_port: int | None


_INFO = {
    DBType.MARIA: DBInfo("mysql+aiomysql", 3306),
    DBType.MYSQL: DBInfo("mysql+aiomysql", 3306),
    DBType.POSTGRESQL: DBInfo("postgresql+asyncpg", 5432),
    DBType.SQLITE: DBInfo("sqlite+aiosqlite", None),
}


def db_connection_str(
    db_type: DBType,
    db_username: str,
    db_host: str,
    db_port: int | None,
    db_filename: str,
    db_name: str = "",
) -> str:
    """Make SQLAlchemy's URL of a database; ask for the password of one that is a server.

    Args:
        db_type: kind of database.
        db_username: name of the database's user.
        db_host: host of the server.
        db_port: port of the server; 0 and None mean the usual one.
        db_filename: file of a SQLite database.
        db_name: name of the database on the server; empty leaves it to the server.

    Returns:
        The URL, with the password in it.

    """
    info = _INFO[DBType(db_type)]
    if db_type == DBType.SQLITE:
        return f"{info.connect_str}:///{db_filename}"
    password = ask_hidden("Enter the db password (press enter for none)")
    url = URL.create(
        info.connect_str,
        username=db_username,
        password=password or None,
        host=db_host,
        port=db_port or info.connect_port,
        database=db_name or None,
    )
    return url.render_as_string(hide_password=False)
