"""What the command line tools have in common as applications of typer."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

import amqtt
from amqtt.scripts._streams import discard, prepare_streams


def make_app() -> typer.Typer:
    """Make a typer application with plain help and plain tracebacks."""
    return typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


def run_app(app: typer.Typer, name: str) -> None:
    """Run a command; an output that cannot be written ends it with an error of one line.

    Args:
        app: its application.
        name: its name.

    Raises:
        SystemExit: always.

    """
    prepare_streams()
    try:
        app(prog_name=name)
    except OSError as error:
        discard(sys.stdout)
        typer.echo(f"❌ {error}", err=True)
        raise SystemExit(1) from None


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(amqtt.__version__)
        raise typer.Exit


DebugOption = Annotated[bool, typer.Option("-d", help="Log at level DEBUG.")]
VersionOption = Annotated[
    bool,
    typer.Option(
        "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
    ),
]
