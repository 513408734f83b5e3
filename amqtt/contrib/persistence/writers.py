"""What writes batches to a database, and keeps other brokers away from it meanwhile."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Protocol

from amqtt.errors import PluginError

if TYPE_CHECKING:
    from amqtt.plugins.storage import StateChanges


class Writer(Protocol):
    """Write batches to a database."""

    async def lock(self) -> None:
        """Keep other brokers away; nothing may be written to the database before.

        Raises:
            PluginError: another broker uses the database.

        """

    async def open(self) -> None:
        """Get ready to write, when the tables are there."""

    async def write(self, changes: StateChanges, *, forget_old: bool = False) -> None:
        """Write a batch in one transaction; one that was written already is left alone.

        Args:
            changes: the batch.
            forget_old: whether to remove what aMQTT has written, in the same transaction.

        """

    async def close(self) -> None:
        """Disconnect."""


class InUseError(PluginError):
    """Report a database that another broker uses.

    Args:
        name: of the database.

    """

    def __init__(self, name: str) -> None:
        """Make the error."""
        super().__init__(
            f"another broker keeps its sessions in {name}; stop it, or give this broker a"
            " database of its own"
        )


def new_run() -> str:
    """Return a name for one run of a broker."""
    return uuid.uuid4().hex
