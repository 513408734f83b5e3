"""The command `amqtt`: run a broker.

typer, which takes longer to import than the broker to start, reads a command line only when there
is more in it than a broker needs that runs. Signals are handled before anything else is imported.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from amqtt.scripts._signals import BrokerSignals
from amqtt.scripts._streams import prepare_streams

if TYPE_CHECKING:
    from amqtt.scripts._broker_command import app, broker_main
    from amqtt.scripts._broker_running import DEFAULT_CONFIG_FILE, run_broker

__all__ = ["DEFAULT_CONFIG_FILE", "app", "broker_main", "main", "run_broker"]

_COMPLETION_VARIABLE = "_AMQTT_COMPLETE"


def __getattr__(name: str) -> Any:
    """Import what is slow to import when somebody asks for it."""
    if name in ("app", "broker_main"):
        from amqtt.scripts import _broker_command

        return getattr(_broker_command, name)
    if name in ("DEFAULT_CONFIG_FILE", "run_broker"):
        from amqtt.scripts import _broker_running

        return getattr(_broker_running, name)
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)


def main() -> None:
    """Run the command."""
    prepare_streams()
    with BrokerSignals() as signals:
        options = plain_options(sys.argv[1:])
        is_plain = options is not None and _COMPLETION_VARIABLE not in os.environ
        with signals.ending_at_once():
            if is_plain:
                run = sys.modules[__name__].run_broker
            else:
                from amqtt.scripts._app import run_app
                from amqtt.scripts._broker_command import app
        if not is_plain:
            run_app(app, "amqtt")
            return
        try:
            run(**(options or {}))
        except SystemExit:  # a signal came before the broker had started
            raise
        except BaseException as error:
            _end_by_typer(error)


def plain_options(arguments: list[str]) -> dict[str, Any] | None:
    """Read a command line that has nothing but `-c FILE` and `-d` in it.

    Args:
        arguments: the command line, without the command.

    Returns:
        The arguments of `run_broker`; None when it is left to typer to say what is meant, or what
        is wrong.

    """
    options: dict[str, Any] = {}
    left = iter(arguments)
    for argument in left:
        if argument == "-d":
            options["debug"] = True
        elif argument == "-c":
            options["config_file"] = next(left, "-")
            if options["config_file"].startswith("-"):
                return None
        else:
            return None
    return options


def _end_by_typer(error: BaseException) -> None:
    """End as a command of typer ends that raises this: its texts, its exit status."""
    from amqtt.scripts._app import make_app

    app = make_app()

    @app.command()
    def command() -> None:
        raise error

    app(args=[], prog_name="amqtt")


if __name__ == "__main__":
    main()
