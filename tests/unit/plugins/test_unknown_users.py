"""A user name that nobody has cannot be told from one that somebody has."""

from __future__ import annotations

import base64
import logging
from pathlib import Path
from typing import Any

import bcrypt
import pytest
from argon2 import PasswordHasher as Argon2Hasher

from amqtt.contexts import BaseContext
from amqtt.contrib.auth_db._hashing import HashSchemes
from amqtt.plugins._passwords import PasswordHasher, kind_of_hash
from amqtt.plugins.authentication import FileAuthPlugin
from amqtt.plugins.enhanced_authentication import AuthenticationStep, Challenge
from amqtt.plugins.scram import METHODS, ScramAuthPlugin, make_verifier
from amqtt.session import Session

CHEAP = Argon2Hasher(time_cost=1, memory_cost=64, parallelism=1).hash("secret")
DEARER = Argon2Hasher(time_cost=2, memory_cost=64, parallelism=1).hash("secret")
BCRYPT = bcrypt.hashpw(b"secret", bcrypt.gensalt(4)).decode()
OF_MOSQUITTO = "$7$101$c2FsdA==$" + base64.b64encode(b"x" * 64).decode()


def context(config: Any) -> BaseContext:
    made = BaseContext()
    made.logger = logging.getLogger("test.plugin")
    made.config = config
    return made


class RecordingHasher(PasswordHasher):
    def __init__(self) -> None:
        self.checked: list[str] = []

    def verify(self, password: str | bytes, hash_str: str) -> bool:
        self.checked.append(hash_str)
        return super().verify(password, hash_str)


async def checked_for(plugin: FileAuthPlugin, user: str) -> list[str]:
    """Return the hashes that are checked for a user, who has to be refused."""
    session = Session()
    session.client_id, session.username, session.password = "c", user, "secret"
    plugin.pwd_hasher = hasher = RecordingHasher()
    assert await plugin.authenticate(session=session) is False
    return hasher.checked


@pytest.mark.parametrize("kept", [CHEAP, BCRYPT, OF_MOSQUITTO])
async def test_a_password_is_checked_in_the_way_of_the_file(tmp_path: Path, kept: str) -> None:
    path = tmp_path / "users"
    path.write_text(f"bob:{kept}\n")
    plugin = FileAuthPlugin(context(FileAuthPlugin.Config(path)))
    assert await checked_for(plugin, "eve") == [kept]


async def test_each_kind_of_the_file_stands_for_some_names_for_ever(tmp_path: Path) -> None:
    path = tmp_path / "users"
    lines = [f"{n}:{kept}" for n, kept in enumerate((CHEAP, DEARER, BCRYPT, OF_MOSQUITTO))]
    path.write_text("\n".join(lines))
    names = [f"nobody{n}" for n in range(40)]
    found = []
    for _ in range(2):  # also when the broker starts again
        plugin = FileAuthPlugin(context(FileAuthPlugin.Config(path)))
        hashes = [await checked_for(plugin, name) for name in names]
        assert all(len(each) == 1 for each in hashes)
        found.append([kind_of_hash(each[0]) for each in hashes])
    assert found[0] == found[1]
    assert len(set(found[0])) == 4


async def test_a_file_without_users_gives_nothing_away(tmp_path: Path) -> None:
    path = tmp_path / "users"
    path.write_text("")
    plugin = FileAuthPlugin(context(FileAuthPlugin.Config(path)))
    assert await checked_for(plugin, "eve") == []


def test_the_kinds_of_hashes() -> None:
    assert len({kind_of_hash(each) for each in (CHEAP, DEARER, BCRYPT, OF_MOSQUITTO)}) == 4
    others = bcrypt.hashpw(b"other", bcrypt.gensalt(4)).decode(), OF_MOSQUITTO.replace("c2F", "d2F")
    assert [kind_of_hash(each) for each in others] == [
        kind_of_hash(each) for each in (BCRYPT, OF_MOSQUITTO)
    ]
    # Mosquitto's first kind is one round of SHA-512; that of crypt takes thousands.
    assert kind_of_hash("$6$abc$" + OF_MOSQUITTO[-88:]) != kind_of_hash("$6$abc$" + "x" * 86)


def test_a_database_has_the_kinds_that_were_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    schemes = HashSchemes(["bcrypt", "argon2"])
    checked: list[str] = []
    verify = schemes.verify
    monkeypatch.setattr(
        schemes, "verify", lambda password, kept: checked.append(kept) or verify(password, kept)
    )
    monkeypatch.setattr(schemes, "hash", lambda _: BCRYPT)
    schemes.verify_nobody("secret", "eve")
    assert checked == [BCRYPT], "nothing was seen: the scheme of new hashes"
    for kept in (CHEAP, "of no kind"):
        schemes.verify_and_update("wrong", kept)
    checked.clear()
    for n in range(20):
        schemes.verify_nobody("secret", f"nobody{n}")
    assert set(checked) == {BCRYPT, CHEAP}
    again = list(checked)
    checked.clear()
    for n in range(20):
        schemes.verify_nobody("secret", f"nobody{n}")
    assert checked == again


# -- SCRAM


async def first_of_server(plugin: ScramAuthPlugin, user: str, method: str) -> tuple[int, int, str]:
    """Return iterations, size of the salt, and the salt that a user is told."""
    step = AuthenticationStep(method, f"n,,n={user},r=abcdefgh".encode(), Session())
    answer = await plugin.authenticate_step(step=step)
    assert isinstance(answer, Challenge)
    told = dict(part.split("=", 1) for part in answer.data.decode().split(","))
    return int(told["i"]), len(base64.b64decode(told["s"])), told["s"]


@pytest.mark.parametrize("method", METHODS)
async def test_scram_tells_unknown_users_what_it_tells_known_ones(
    tmp_path: Path, method: str
) -> None:
    path = tmp_path / "users"
    path.write_text(f"bob:{make_verifier('secret', METHODS[0], 10_000)}\n")
    plugin = ScramAuthPlugin(context(ScramAuthPlugin.Config(path)))
    told = await first_of_server(plugin, "eve", method)
    assert told[:2] == ((10_000, 16) if method == METHODS[0] else (4096, 16))
    restarted = ScramAuthPlugin(context(ScramAuthPlugin.Config(path)))
    if method == METHODS[0]:
        assert await first_of_server(restarted, "eve", method) == told
        known = await first_of_server(plugin, "bob", method)
        assert await first_of_server(restarted, "bob", method) == known
    else:
        # Nobody has such a verifier: all are told alike.
        assert (await first_of_server(plugin, "bob", method))[:2] == told[:2]
    assert (await first_of_server(plugin, "mallory", method))[2] != told[2]
