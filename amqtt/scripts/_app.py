"""What the command line tools have in common as applications of typer."""

from __future__ import annotations

from typing import Annotated

import typer

import amqtt


def make_app() -> typer.Typer:
    """Make a typer application with plain help and plain tracebacks."""
    return typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


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
