"""What the commands `user_mgr` and `topic_mgr` have in common."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeVar

import typer

from amqtt.contrib.auth_db import DBType, db_connection_str
from amqtt.contrib.auth_db._database import describe
from amqtt.errors import MQTTError

T = TypeVar("T")

DBTypeOption = Annotated[DBType, typer.Option("-d", "--db", help="Kind of the database.")]
DBUsernameOption = Annotated[
    str, typer.Option("-u", "--username", help="Name of the database's user; not for sqlite.")
]
DBPortOption = Annotated[
    int, typer.Option("-p", "--port", help="Port of the database; 0 is the usual one.")
]
DBHostOption = Annotated[str, typer.Option("-h", "--host", help="Host of the database.")]
DBFileOption = Annotated[
    str, typer.Option("-f", "--file", help="File of the database; for sqlite only.")
]
DBNameOption = Annotated[
    str, typer.Option("-n", "--name", help="Name of the database on its server.")
]
ClientOption = Annotated[str, typer.Option("-c", "--client-id", help="User name of the client.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
TableOption = Annotated[
    bool, typer.Option("--table", help="Print a table; a terminal gets one anyway.")
]


def make_app(help_text: str) -> typer.Typer:
    """Make the application of a command."""
    return typer.Typer(
        help=help_text,
        no_args_is_help=True,
        rich_markup_mode="rich",
        pretty_exceptions_enable=False,  # they would print the values of variables
    )


def configure_logging() -> None:
    """Send what the commands say to the standard error stream, without anything around it."""
    logging.basicConfig(format="%(message)s")
    logging.getLogger("amqtt.contrib.auth_db").setLevel(logging.INFO)


def connection_of(  # the options of a command
    logger: logging.Logger,
    command: str | None,
    db_type: DBType,
    db_username: str,
    db_port: int,
    db_host: str,
    db_filename: str,
    db_name: str,
) -> str:
    """Return the URL of the database that the options name.

    Args:
        logger: where it is said what is wrong.
        command: the sub-command; `sync` makes the file.
        db_type: kind of database.
        db_username: name of the database's user.
        db_port: port of the server.
        db_host: host of the server.
        db_filename: file of a SQLite database.
        db_name: name of the database.

    Returns:
        SQLAlchemy's URL.

    Raises:
        typer.Exit: the options name no database.

    """
    if db_type == DBType.SQLITE:
        if command != "sync" and not Path(db_filename).exists():
            fail(logger, f"SQLite option could not find '{db_filename}'")
    elif not db_username:
        fail(logger, "DB access requires a username be provided.")
    return db_connection_str(db_type, db_username, db_host, db_port, db_filename, db_name)


def fail(logger: logging.Logger, message: str) -> NoReturn:
    """Log an error and end the command with status 1.

    Raises:
        typer.Exit: always.

    """
    logger.error(message)
    raise typer.Exit(1)


def run(logger: logging.Logger, main: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine function that uses the database.

    Args:
        logger: where it is said what is wrong.
        main: the coroutine function.

    Returns:
        What it returns.

    Raises:
        MQTTError: what was asked for cannot be done.
        typer.Exit: the database cannot be used.

    """
    try:
        return asyncio.run(_to_its_end(main))
    except (MQTTError, ValueError, ImportError, typer.Exit):
        raise
    except Exception as error:  # a driver may raise errors of its own
        fail(
            logger,
            f"Error: the database cannot be used: {describe(error)}. Is it there, and has"
            " 'sync' made its tables?",
        )


async def _to_its_end(main: Callable[[], Coroutine[Any, Any, T]]) -> T:
    try:
        return await main()
    except BaseException:
        # The thread of a SQLite file that could not be opened still has to tell the loop so; when
        # the loop is gone by then, the thread fails with a traceback of its own.
        for thread in threading.enumerate():
            if "_connection_worker_thread" in thread.name:
                await asyncio.to_thread(thread.join, 5)
        raise
