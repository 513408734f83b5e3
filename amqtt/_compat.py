"""Names that the oldest supported interpreter does not have."""

from __future__ import annotations

import sys

if sys.version_info >= (3, 11):
    from enum import StrEnum
else:
    from enum import Enum

    class StrEnum(str, Enum):
        """An enumeration whose members are their own text."""

        def __str__(self) -> str:
            """Return the value, as formatting does on newer interpreters."""
            return str(self.value)


__all__ = ["StrEnum"]
