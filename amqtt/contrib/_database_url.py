"""URLs of databases, as SQLAlchemy has them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import make_url
from sqlalchemy.exc import NoSuchModuleError

if TYPE_CHECKING:
    from sqlalchemy import URL

_DRIVERS = {
    "sqlite": "sqlite+aiosqlite",
    "postgresql": "postgresql+asyncpg",
    "postgres": "postgresql+asyncpg",  # as libpq and many hosters write it
    "mysql": "mysql+aiomysql",
    "mariadb": "mysql+aiomysql",
}


def asynchronous_url(text: str) -> URL:
    """Read the URL of a database that is used through an asynchronous driver.

    Args:
        text: the URL.

    Returns:
        The same, taken apart.

    Raises:
        ValueError: the driver is not asynchronous; the error names one that is, and not what else
            is in the URL.
        sqlalchemy.exc.ArgumentError: the text is not a URL.
        sqlalchemy.exc.NoSuchModuleError: SQLAlchemy does not know the database.

    """
    url = make_url(text)
    given = url.drivername
    fitting = _DRIVERS.get(given.partition("+")[0])
    try:
        is_asynchronous = url.get_dialect().is_async
    except NoSuchModuleError:
        if fitting is None:
            raise
        is_asynchronous = False
    if not is_asynchronous:
        drivers = " or ".join(dict.fromkeys(_DRIVERS.values()))
        instead = f"write '{fitting}://...'" if fitting else f"take {drivers}"
        msg = f"'{given}' is not an asynchronous driver: {instead} instead of '{given}://...'"
        raise ValueError(msg)
    return url
