"""URLs of databases in the options of plugins."""

from __future__ import annotations

import pytest
from sqlalchemy.exc import NoSuchModuleError
from support.embedded import config_of

from amqtt.broker import Broker
from amqtt.contrib._database_url import asynchronous_url
from amqtt.errors import PluginInitError


@pytest.mark.parametrize(
    ("given", "instead"),
    [
        ("postgresql", "postgresql+asyncpg"),
        ("postgres", "postgresql+asyncpg"),
        ("postgresql+psycopg2", "postgresql+asyncpg"),
        ("mysql", "mysql+aiomysql"),
        ("mysql+pymysql", "mysql+aiomysql"),
        ("mariadb", "mysql+aiomysql"),
        ("sqlite", "sqlite+aiosqlite"),
    ],
)
def test_the_driver_that_is_meant(given: str, instead: str) -> None:
    with pytest.raises(ValueError, match="is not an asynchronous driver") as caught:
        asynchronous_url(f"{given}://user:secret@host/name")
    assert str(caught.value) == (
        f"'{given}' is not an asynchronous driver: write '{instead}://...' instead of"
        f" '{given}://...'"
    )


def test_other_databases() -> None:
    with pytest.raises(ValueError, match=r"'oracle' is not an .* take sqlite\+aiosqlite or post"):
        asynchronous_url("oracle://user:secret@host/name")
    with pytest.raises(NoSuchModuleError):
        asynchronous_url("nonsense://host/name")
    assert asynchronous_url("sqlite+aiosqlite:///file").database == "file"


@pytest.mark.parametrize(
    "plugin",
    [
        "amqtt.contrib.persistence.SessionDBPlugin",
        "amqtt.contrib.auth_db.UserAuthDBPlugin",
        "amqtt.contrib.auth_db.TopicAuthDBPlugin",
    ],
)
async def test_plugins(plugin: str) -> None:
    with pytest.raises(PluginInitError) as caught:
        Broker(config_of({plugin: {"connection": "postgresql://user:secret@host/name"}}))
    assert "write 'postgresql+asyncpg://...'" in str(caught.value.__cause__)
