"""Contributed plugins, which need third-party packages: `pip install amqtt[contrib]`.

Each module needs only its own packages; importing this package alone needs none.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from amqtt.contrib._json_column import DataClassListJSON as DataClassListJSON

__all__ = ["DataClassListJSON"]


def __getattr__(name: str) -> Any:
    # Imported when it is used: it needs SQLAlchemy, which most plugins here do without.
    if name == "DataClassListJSON":
        return importlib.import_module("amqtt.contrib._json_column").DataClassListJSON
    msg = f"module '{__name__}' has no attribute '{name}'"
    raise AttributeError(msg)
