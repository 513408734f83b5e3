"""Run the commands that manage databases, which need packages of an extra."""

from __future__ import annotations

import importlib
import logging
import sys
from typing import NoReturn

from amqtt.errors import MQTTError
from amqtt.scripts._streams import discard, prepare_streams

_FORMAT = "%(message)s"


def run_app(module: str, name: str, command: str) -> None:
    """Run a Typer application; what ends it is logged, and the status is 1.

    Args:
        module: module of the application; importing it may need the extra.
        name: name of the application in the module.
        command: name of the command.

    Raises:
        SystemExit: always.

    """
    prepare_streams()
    try:
        app = getattr(importlib.import_module(module), name)
    except ImportError as error:
        _fail(
            f"optional 'contrib' library is missing ({error.name}); install it by"
            " 'pip install amqtt[contrib]'"
        )
    try:
        app(prog_name=command)
    except ImportError as error:
        _fail(f"Please install database-specific dependencies: {error}")
    except ValueError as error:
        _fail(f"Unknown error: {error}")
    except MQTTError as error:
        _fail(f"could not execute command: {error}")
    except OSError as error:
        discard(sys.stdout)
        _fail(f"Error: {error}")


def _fail(message: str) -> NoReturn:
    logging.basicConfig(format=_FORMAT)
    logging.getLogger(__name__).critical(message)
    raise SystemExit(1)
