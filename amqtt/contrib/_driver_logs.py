"""What the drivers of databases log."""

from __future__ import annotations

import logging


def keep_values_out_of_logs() -> None:
    """Silence the driver of SQLite at DEBUG, unless its level was set.

    It logs the values of statements, such as hashes and payloads; `amqtt -d` would switch that on.
    """
    driver = logging.getLogger("aiosqlite")
    if driver.level == logging.NOTSET:
        driver.setLevel(logging.INFO)
