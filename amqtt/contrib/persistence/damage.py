"""Find damage in SQLite files, and put them aside."""

from __future__ import annotations

import sqlite3
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def problem_of(file: Path, busy_timeout: float) -> str | None:
    """Say what is wrong with a SQLite file; None: nothing."""
    connection = sqlite3.connect(file, timeout=busy_timeout)
    try:
        found = [row[0] for row in connection.execute("PRAGMA quick_check(1)")]
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError as error:
        return str(error)
    finally:
        connection.close()
    return None if found == ["ok"] else str(found[0]).splitlines()[0]


def set_aside(file: Path) -> Path:
    """Rename a SQLite file and what belongs to it; return its new name."""
    stamp = time.strftime("%Y%m%d-%H%M%S")
    aside = file.with_name(f"{file.name}.corrupt-{stamp}")
    for suffix in ("", "-wal", "-shm"):
        part = file.with_name(file.name + suffix)
        if part.exists():
            part.rename(aside.with_name(aside.name + suffix))
    return aside
