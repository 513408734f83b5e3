"""What the commands that make certificates have in common."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from amqtt.scripts._streams import discard, prepare_streams

if TYPE_CHECKING:
    from collections.abc import Callable

_FORMAT = "%(message)s"

REQUIRED: Any = ...
"""Default of an option that has to be given, as Typer has it."""

CountryOption = Annotated[str, typer.Option("--country", help="Country: two letters.")]
OrganisationOption = Annotated[str, typer.Option("--org-name", help="Organisation.")]
OutputOption = Annotated[str, typer.Option("--output-dir", help="Folder of the new files.")]
CaKeyOption = Annotated[str, typer.Option("--ca-key", help="Key of the authority.")]
CaCertificateOption = Annotated[str, typer.Option("--ca-crt", help="Its certificate.")]
ForceOption = Annotated[
    bool, typer.Option("--force", help="Replace files that are there, without asking.")
]


def new_files(output_dir: str, prefix: str, *, force: bool) -> Path:
    """Check that a key and a certificate can be written without loss.

    Args:
        output_dir: the folder.
        prefix: what the names of the files begin with.
        force: files that are there may be replaced; else somebody at a terminal is asked.

    Returns:
        The folder.

    Raises:
        ValueError: the prefix cannot be part of a file name.
        OSError: there is no such folder, or a file is there and is to stay.

    """
    folder = Path(output_dir)
    if Path(prefix).name != prefix:
        msg = f"'{prefix}' cannot begin the name of a file"
        raise ValueError(msg)
    if not folder.is_dir():
        msg = f"there is no folder '{folder}'"
        raise NotADirectoryError(msg)
    there = [p for suffix in ("key", "crt") if (p := folder / f"{prefix}.{suffix}").exists()]
    if there and not force:
        names = " and ".join(str(path) for path in there)
        if not sys.stdin.isatty() or not typer.confirm(f"Replace {names}?"):
            msg = f"{names} would be replaced; move the old files, or give --force"
            raise FileExistsError(msg)
    return folder


def run(app: Callable[..., object], command: str) -> None:
    """Run a Typer application; what ends it is logged, and the status is 1.

    Args:
        app: the application.
        command: name of the command.

    Raises:
        SystemExit: always.

    """
    prepare_streams()
    logging.basicConfig(format=_FORMAT, level=logging.INFO)
    try:
        app(prog_name=command)
    except ImportError as error:
        _fail(f"{command} needs '{error.name}': pip install amqtt[contrib]")
    except (OSError, ValueError) as error:
        discard(sys.stdout)
        _fail(f"{command}: {error}")


def _fail(message: str) -> NoReturn:
    logging.getLogger(__name__).critical(message)
    raise SystemExit(1)
