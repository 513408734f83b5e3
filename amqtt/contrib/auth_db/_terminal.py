"""Ask for passwords and print tables."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from amqtt.logs import printable

if TYPE_CHECKING:
    from collections.abc import Sequence


def ask_hidden(prompt: str, *, twice: bool = False) -> str:
    """Ask for a password, which the terminal does not show.

    Args:
        prompt: what to ask.
        twice: ask again until both answers are the same. When the standard input is no terminal,
            one line of it is the answer.

    Returns:
        The password, which may be empty.

    Raises:
        typer.Abort: the standard input has ended.

    """
    by_hand = sys.stdin.isatty()
    answer: str = typer.prompt(
        prompt,
        default="",
        show_default=False,
        hide_input=by_hand,
        confirmation_prompt=twice and by_hand,
        err=True,
    )
    return answer


def print_json(rows: Sequence[dict[str, Any]]) -> None:
    """Print rows as a JSON array of objects."""
    typer.echo(json.dumps(rows, indent=2, ensure_ascii=False))


def print_table(rows: Sequence[dict[str, Any]]) -> None:
    """Print rows as a table; a list has a line for each of its items."""
    table = Table(*rows[0])
    for row in rows:
        table.add_row(*(_cell(value) for value in row.values()))
    # Markup would be taken out of user names and topics.
    Console(markup=False, highlight=False, emoji=False).print(table)


def _cell(value: Any) -> Any:
    lines = value if isinstance(value, list) else [value]
    return Text("\n".join(printable(each) for each in lines))
