"""The sub-commands of `topic_mgr`: the topics that users may use."""

from __future__ import annotations

import logging
import sys
from typing import Annotated

import typer

from amqtt.contexts import Action
from amqtt.contrib.auth_db import DBType, _terminal
from amqtt.contrib.auth_db import _commands as options
from amqtt.contrib.auth_db._commands import connection_of, fail, run
from amqtt.contrib.auth_db.managers import TopicManager, check_topic
from amqtt.contrib.auth_db.models import AllowedTopic, TopicAuth
from amqtt.logs import printable

__all__ = ["Action", "DBType", "TopicManager", "topic_app"]

logger = logging.getLogger(__name__)

topic_app = options.make_app("Manage the topics of an authentication database.")

ActionOption = Annotated[Action, typer.Option("-a", "--action", help="What the client may do.")]
TopicArgument = Annotated[str, typer.Argument(help="Topic filter; %u and %c are placeholders.")]


@topic_app.callback()
def main(
    ctx: typer.Context,
    db_type: options.DBTypeOption,
    db_username: options.DBUsernameOption = "",
    db_port: options.DBPortOption = 0,
    db_host: options.DBHostOption = "localhost",
    db_filename: options.DBFileOption = "auth.db",
    db_name: options.DBNameOption = "",
) -> None:
    """Manage the topics of an authentication database."""
    options.configure_logging()
    ctx.obj = TopicManager(
        connection_of(
            logger, ctx.invoked_subcommand,
            db_type, db_username, db_port, db_host, db_filename, db_name,
        )
    )  # fmt: skip


@topic_app.command("sync")
def db_sync(ctx: typer.Context) -> None:
    """Create the tables, if they are not there."""
    run(logger, ctx.obj.db_sync)
    logger.info("Success: database synced.")


@topic_app.command("list")
def list_clients(
    ctx: typer.Context,
    as_json: options.JsonOption = False,
    as_table: options.TableOption = False,
) -> None:
    """List the users and their topics."""
    rights: list[TopicAuth] = list(run(logger, ctx.obj.list_topic_auths))
    rows = [_row_of(each) for each in rights]
    if as_json:
        _terminal.print_json(rows)
    elif not rights:
        logger.info("No client authorizations exist.")
    elif as_table or sys.stdout.isatty():
        _terminal.print_table(rows)
    else:
        for each in rights:
            logger.info("%s", each)


def _row_of(rights: TopicAuth) -> dict[str, str | list[str]]:
    row: dict[str, str | list[str]] = {"username": rights.username}
    for action in (Action.PUBLISH, Action.SUBSCRIBE, Action.RECEIVE):
        row[action.value] = [each.topic for each in rights.get_topic_list(action)]
    return row


@topic_app.command("add")
def add_topic_allowance(
    ctx: typer.Context,
    topic: TopicArgument,
    client_id: options.ClientOption,
    action: ActionOption,
) -> None:
    """Give a user a right; a user that is not there yet is added."""
    manager: TopicManager = ctx.obj

    async def add() -> bool:
        rights = await manager.get_topic_auth(client_id)
        if rights is not None and AllowedTopic(topic) in rights.get_topic_list(action):
            return False
        if rights is None:
            check_topic(topic, action)  # before a user is added for nothing
            await manager.create_topic_auth(client_id)
        await manager.add_allowed_topic(client_id, topic, action)
        return True

    if not run(logger, add):
        fail(logger, f"Topic '{topic}' already exists for '{action.value}'.")
    logger.info(
        "Success: topic '%s' added to %s for '%s'",
        printable(topic),
        action.value,
        printable(client_id),
    )


@topic_app.command("rm")
def remove_topic_allowance(
    ctx: typer.Context,
    client_id: options.ClientOption,
    action: ActionOption,
    topic: TopicArgument,
) -> None:
    """Withdraw a right from a user."""
    manager: TopicManager = ctx.obj
    rights = run(logger, lambda: manager.get_topic_auth(client_id))
    if rights is None:
        fail(logger, f"client '{client_id}' doesn't exist.")
    if AllowedTopic(topic) not in rights.get_topic_list(action):
        fail(
            logger,
            f"Error: topic '{topic}' not in the {action.value} allow list for {client_id}.",
        )
    run(logger, lambda: manager.remove_allowed_topic(client_id, topic, action))
    logger.info(
        "Success: removed topic '%s' from %s for '%s'",
        printable(topic),
        action.value,
        printable(client_id),
    )
