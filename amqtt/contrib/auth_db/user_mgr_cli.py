"""The sub-commands of `user_mgr`: users and their passwords."""

from __future__ import annotations

import logging
import sys

import typer

from amqtt.contrib.auth_db import DBType, _terminal
from amqtt.contrib.auth_db import _commands as options
from amqtt.contrib.auth_db._commands import connection_of, fail, run
from amqtt.contrib.auth_db.managers import UserManager
from amqtt.contrib.auth_db.models import UserAuth
from amqtt.logs import printable

__all__ = ["DBType", "UserManager", "user_app"]

logger = logging.getLogger(__name__)

user_app = options.make_app("Manage the users of an authentication database.")


@user_app.callback()
def main(
    ctx: typer.Context,
    db_type: options.DBTypeOption,
    db_username: options.DBUsernameOption = "",
    db_port: options.DBPortOption = 0,
    db_host: options.DBHostOption = "localhost",
    db_filename: options.DBFileOption = "auth.db",
    db_name: options.DBNameOption = "",
) -> None:
    """Manage the users of an authentication database."""
    options.configure_logging()
    ctx.obj = UserManager(
        connection_of(
            logger, ctx.invoked_subcommand,
            db_type, db_username, db_port, db_host, db_filename, db_name,
        )
    )  # fmt: skip


@user_app.command("sync")
def db_sync(ctx: typer.Context) -> None:
    """Create the tables, if they are not there."""
    run(logger, ctx.obj.db_sync)
    logger.info("Success: database synced.")


@user_app.command("list")
def list_user_auths(
    ctx: typer.Context,
    as_json: options.JsonOption = False,
    as_table: options.TableOption = False,
) -> None:
    """List the users."""
    users: list[UserAuth] = list(run(logger, ctx.obj.list_user_auths))
    rows = [{"username": user.username, "scheme": _scheme_of(user)} for user in users]
    if as_json:
        _terminal.print_json(rows)
    elif not users:
        logger.info("No client authentications exist.")
    elif as_table or sys.stdout.isatty():
        _terminal.print_table(rows)
    else:
        for user in users:
            logger.info("%s", user)


def _scheme_of(user: UserAuth) -> str:
    """Return how the hash of a password calls its scheme."""
    parts = user._password_hash.split("$", 2)
    return parts[1] if len(parts) > 1 else "unknown"


def _ask_password(prompt: str) -> str:
    password = _terminal.ask_hidden(prompt, twice=True).strip(" \t\r\n")
    if not password:
        fail(logger, "Error: client password cannot be empty.")
    return password


@user_app.command("add")
def create_user_auth(ctx: typer.Context, client_id: options.ClientOption) -> None:
    """Add a user; its password is asked for."""
    password = _ask_password("Enter the client's password")
    user = run(logger, lambda: ctx.obj.create_user_auth(client_id, password))
    logger.info("Success: created %s", user)


@user_app.command("rm")
def remove_user_auth(ctx: typer.Context, client_id: options.ClientOption) -> None:
    """Remove a user."""
    if run(logger, lambda: ctx.obj.get_user_auth(client_id)) is None:
        fail(logger, f"Error: client '{client_id}' does not exist.")
    if not typer.confirm(f"Please confirm the removal of '{client_id}'?", err=True):
        raise typer.Exit
    if run(logger, lambda: ctx.obj.delete_user_auth(client_id)) is None:
        fail(logger, f"Error: client '{client_id}' does not exist.")
    logger.info("Success: '%s' was removed.", printable(client_id))


@user_app.command("pwd")
def change_password(ctx: typer.Context, client_id: options.ClientOption) -> None:
    """Change the password of a user; it is asked for."""
    password = _ask_password("Enter the client's new password")
    run(logger, lambda: ctx.obj.update_user_auth_password(client_id, password))
    logger.info("Success: client '%s' password updated.", printable(client_id))
