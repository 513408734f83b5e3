"""A name of older versions."""

from __future__ import annotations

import warnings

from amqtt.contexts import BaseContext
from amqtt.plugins.base import BasePlugin


class SQLitePlugin(BasePlugin[BaseContext]):
    """Do nothing; sessions are kept by `amqtt.contrib.persistence.SessionDBPlugin`."""

    def __init__(self, context: BaseContext) -> None:
        """Warn that the plugin does nothing."""
        super().__init__(context)
        warnings.warn(
            "SQLitePlugin does nothing, use amqtt.contrib.persistence.SessionDBPlugin",
            DeprecationWarning,
            stacklevel=2,
        )
