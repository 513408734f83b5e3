"""A plugin that blocks the event loop of its broker as long as a file is there."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from amqtt.contexts import BaseContext
from amqtt.plugins.base import BaseAuthPlugin

BLOCKED = "blocked"  # in the log, when the plugin blocks
_LONGEST = 60.0


class BlocksTheLoop(BaseAuthPlugin):
    """Admit everybody; where the user is `block`, and the file is there, block until it is not."""

    @dataclass
    class Config:
        """The file."""

        file: str

    def __init__(self, context: BaseContext) -> None:
        """Take the name of the file."""
        super().__init__(context)
        self._file = Path(self.config.file)

    async def authenticate(self, *, session: object) -> bool:
        """Block the event loop, as no plugin should."""
        if getattr(session, "username", None) == "block":
            self.context.logger.warning(BLOCKED)
            end = time.monotonic() + _LONGEST
            while self._file.exists() and time.monotonic() < end:
                time.sleep(0.01)
        return True
