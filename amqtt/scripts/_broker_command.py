"""The command `amqtt` as typer reads it, with everything that its command line may say."""

from __future__ import annotations

from typing import Annotated

import typer

from amqtt.scripts._app import DebugOption, VersionOption, make_app
from amqtt.scripts._broker_running import check_broker, run_broker

app = make_app()


@app.command(name="amqtt", help="Run an MQTT broker until it is told to stop.")
def broker_main(
    config_file: Annotated[
        str | None, typer.Option("-c", help="Configuration file of the broker (YAML).")
    ] = None,
    debug: DebugOption = False,
    check: Annotated[
        bool, typer.Option("--check", help="Check the configuration file and exit.")
    ] = False,
    version: VersionOption = False,  # noqa: ARG001  # its callback ends the command
) -> None:
    """Run a broker.

    Args:
        config_file: path of the configuration file; None means the packaged one.
        debug: whether to log at DEBUG.
        check: whether to check the configuration instead of running the broker.
        version: whether to print the version instead of running the broker.

    Raises:
        typer.Exit: the configuration is wrong or the broker cannot start (status 1).

    """
    if check:
        typer.echo(f"{check_broker(config_file, debug)}: ok")
    else:
        run_broker(config_file, debug)
