"""Names of older versions: `SessionDBPlugin` is that of `amqtt.contrib.persistence`."""

from __future__ import annotations

import importlib
import warnings
from typing import TYPE_CHECKING, Any

from amqtt.contexts import BaseContext
from amqtt.plugins.base import BasePlugin

if TYPE_CHECKING:
    from amqtt.contrib.persistence import SessionDBPlugin as SessionDBPlugin


def __getattr__(name: str) -> Any:
    # Imported when it is used: it needs SQLAlchemy.
    if name == "SessionDBPlugin":
        return importlib.import_module("amqtt.contrib.persistence").SessionDBPlugin
    msg = f"module '{__name__}' has no attribute '{name}'"
    raise AttributeError(msg)


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
