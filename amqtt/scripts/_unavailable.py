"""The answer of commands that this version does not have."""

from __future__ import annotations

import sys
from typing import NoReturn

import amqtt


def exit_unavailable(command: str) -> NoReturn:
    """Say that a command is not available and exit with status 2.

    Args:
        command: name of the command.

    Raises:
        SystemExit: always.

    """
    print(f"{command}: not available yet in version {amqtt.__version__}", file=sys.stderr)
    raise SystemExit(2)
