"""The plugins that `plugins.py` measures: the least that a plugin can do."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from amqtt.plugins.base import BasePlugin, BaseTopicPlugin


class _Counting(BasePlugin[Any]):
    """Count calls, and tell in the end how many there were."""

    @dataclass
    class Config:
        """The options.

        Attributes:
            report: the file that gets the number of calls.

        """

        report: str

    calls = 0

    async def close(self) -> None:
        """Write the number of calls."""
        Path(self.context.config.report).write_text(str(self.calls))


class CountingPlugin(_Counting):
    """Count the messages that the broker takes."""

    async def on_broker_message_received(self, **_: Any) -> None:
        """Count."""
        self.calls += 1


class AskedPlugin(_Counting, BaseTopicPlugin):
    """Allow everything, and be asked each time."""

    async def topic_filtering(self, **_: Any) -> bool | None:
        """Count, and allow."""
        self.calls += 1
        return True


class WaitingPlugin(AskedPlugin):
    """The same with an `await` in it, as a plugin has that asks somebody else."""

    async def topic_filtering(self, **_: Any) -> bool | None:
        """Count, and allow."""
        return await self._allowed()

    async def _allowed(self) -> bool:
        self.calls += 1
        return True


class RememberedPlugin(AskedPlugin):
    """Allow everything, with verdicts that hold for a minute."""

    verdict_ttl = 60
