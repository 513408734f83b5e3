"""What covers what, and the kinds of hashes."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from passlib.hash import pbkdf2_sha256, scrypt
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.schema import CreateTable

from amqtt.contrib.auth_db._hashing import HashingThreads, HashSchemes
from amqtt.contrib.auth_db.hasher import (
    Argon2Hasher,
    BcryptHasher,
    LegacyPasslibPBKDF2Hasher,
    LegacyPasslibScryptHasher,
)
from amqtt.contrib.auth_db.models import AllowedTopic, Base, PasswordHasher, UserAuth


@pytest.fixture(autouse=True)
def _default_hasher() -> Iterator[None]:
    yield
    PasswordHasher._instance = None


@pytest.mark.parametrize(
    ("granted", "asked", "expected"),
    [
        ("a/b", "a/b", True),
        ("a/b", "a", False),
        ("a", "a/b", False),
        ("a/#", "a", True),
        ("a/#", "a/b/c", True),
        ("a/#", "a/#", True),
        ("a/#", "a/+/c", True),
        ("a/+", "a/b", True),
        ("a/+", "a/+", True),
        ("a/+", "a/#", False),  # that is more than one level
        ("a/+", "a", False),
        ("a/+/#", "a/b", True),
        ("a/+/#", "a/#", False),
        ("a/b", "a/+", False),
        ("#", "a/b", True),
        ("#", "#", True),
        ("+", "#", False),
        ("#", "$SYS/x", False),
        ("+/x", "$SYS/x", False),
        ("$SYS/#", "$SYS/x", True),
        ("a/#/b", "a/x/b", False),  # malformed
        ("a+", "a+", False),
        ("/", "/", True),
        ("a//b", "a//b", True),
    ],
)
def test_what_a_filter_covers(granted: str, asked: str, expected: bool) -> None:
    allowed = AllowedTopic(granted)
    assert (asked in allowed) is expected
    assert (asked == allowed) is expected
    assert (asked in [AllowedTopic("elsewhere"), allowed]) is expected


@pytest.mark.parametrize("name", ["a/b", "+", "#", "$SYS", "a/#"])
@pytest.mark.parametrize("place", ["%u", "%c"])
def test_a_name_reaches_no_topic_of_others(name: str, place: str) -> None:
    names = {
        "username": "other",
        "client_id": "other",
        {"%u": "username"}.get(place, "client_id"): name,
    }
    allowed = AllowedTopic(f"{place}/#"), AllowedTopic(f"x/{place}/#")
    for topic in ("a/b", "a/b/c", "a/#", "+/c", "#", "$SYS/x"):
        assert not allowed[0].matches(topic, **names), topic
        assert not allowed[1].matches(f"x/{topic}", **names) or (name, topic) == ("$SYS", "$SYS/x")


@pytest.mark.parametrize(
    ("granted", "asked", "user", "client", "expected"),
    [
        ("%u/x", "bob/x", "bob", "c", True),
        ("%u/x", "eve/x", "bob", "c", False),
        ("%c/#", "c/x/y", "bob", "c", True),
        ("%u/%c", "bob/c", "bob", "c", True),
        ("%u/x", "+/x", "+", "c", False),
        ("%u/x", "eve/x", "+", "c", False),
        ("%u", "#", "#", "c", False),
        ("%u/x", "eve/x", "#", "c", False),
        ("a/%u", "a/b/c", "b/c", "c", False),  # a slash would reach below
        ("%u/x", "+/x", "bob", "c", False),  # everybody's, not only one's own
        ("%u/x", "/x", "", "c", False),
        ("%u/x", "/x", None, "c", False),
        ("%u/x", "%u/x", "bob", "c", False),
        ("%u/x", "%u/x", "%u", "c", True),
        ("%c", "%u", "bob", "%u", True),  # what a name holds is no placeholder
        ("%u", "bob", "%c", "bob", False),
        ("x%u", "xbob", "bob", "c", False),  # not the whole level
        ("%u", "$bob", "$bob", "c", False),  # topics with $ are the server's
    ],
)
def test_placeholders_are_compared_as_whole_levels(
    granted: str, asked: str, user: str | None, client: str, expected: bool
) -> None:
    assert AllowedTopic(granted).matches(asked, username=user, client_id=client) is expected


def test_allowed_topics_compare_by_their_filters() -> None:
    assert AllowedTopic("a/#") == AllowedTopic("a/#")
    assert AllowedTopic("a/#") != AllowedTopic("a/b")
    assert AllowedTopic("a") in AllowedTopic("a")
    assert repr([AllowedTopic("a/#")]) == "[a/#]"
    with pytest.raises(AttributeError, match="not int"):
        _ = AllowedTopic("a") == 1


@pytest.mark.parametrize("dialect", [sqlite, postgresql, mysql])
def test_the_tables_can_be_made(dialect: object) -> None:
    for table in Base.metadata.sorted_tables:
        ddl = str(CreateTable(table).compile(dialect=dialect.dialect()))  # type: ignore[attr-defined]
        assert "VARCHAR(255)" in ddl if dialect is mysql else "username VARCHAR NOT NULL" in ddl


# Salts whose base64 has both of the characters that the alphabets write differently.
SALT = b"\xfb\xef\xbe\xfb\xef\xbe\xff\xff\xff\xff\xff\xff\xfb\xef\xbe\xff"


@pytest.mark.parametrize("password", ["secret", "pässwörd", "x" * 200])
def test_hashes_of_older_versions_are_checked(password: str) -> None:
    for n in range(6):  # sums, too, have any characters
        salt = SALT[n:] + bytes([n])
        made = pbkdf2_sha256.using(salt=salt, rounds=1000).hash(password)
        assert LegacyPasslibPBKDF2Hasher().verify(password, made), made
        assert LegacyPasslibPBKDF2Hasher().verify(password.encode(), made.encode())
        assert not LegacyPasslibPBKDF2Hasher().verify(password + "x", made)
    made = scrypt.using(salt=SALT, rounds=8).hash(password)
    assert LegacyPasslibScryptHasher().verify(password, made), made
    assert not LegacyPasslibScryptHasher().verify("x", made)


@pytest.mark.parametrize(
    ("hasher", "damaged"),
    [
        (LegacyPasslibPBKDF2Hasher(), "$pbkdf2-sha256$0$c2FsdA$c3Vt"),
        (LegacyPasslibPBKDF2Hasher(), "$pbkdf2-sha256$99999999$c2FsdA$c3Vt"),
        (LegacyPasslibPBKDF2Hasher(), "$pbkdf2-sha256$1000$****$c3Vt"),
        (LegacyPasslibPBKDF2Hasher(), "$pbkdf2-sha256$1000$c2FsdA$"),
        (LegacyPasslibScryptHasher(), "$scrypt$ln=60,r=8,p=1$c2FsdA$c3Vt"),
        (LegacyPasslibScryptHasher(), "$scrypt$ln=0,r=0,p=0$c2FsdA$c3Vt"),
        (LegacyPasslibScryptHasher(), "$scrypt$ln=8,r=8,p=1$c2FsdA$*"),
        (Argon2Hasher(), "$argon2id$nonsense"),
        (BcryptHasher(), "$2b$nonsense"),
    ],
)
def test_a_damaged_hash_belongs_to_no_password(hasher: object, damaged: str) -> None:
    assert hasher.identify(damaged)  # type: ignore[attr-defined]
    assert hasher.verify("", damaged) is False  # type: ignore[attr-defined]


@pytest.mark.parametrize("hasher", [LegacyPasslibPBKDF2Hasher(), LegacyPasslibScryptHasher()])
def test_hashes_of_older_versions_are_not_made(
    hasher: LegacyPasslibPBKDF2Hasher | LegacyPasslibScryptHasher,
) -> None:
    with pytest.raises(NotImplementedError, match="Argon2"):
        hasher.hash("x")
    assert hasher.check_needs_rehash("x")


def test_bcrypt_refuses_to_leave_a_part_out() -> None:
    hasher = BcryptHasher()
    with pytest.raises(ValueError, match="at most 72 bytes, not 73"):
        hasher.hash("x" * 73)
    made = hasher.hash("x" * 72)
    assert hasher.verify("x" * 72, made)
    assert not hasher.check_needs_rehash(made)
    assert hasher.check_needs_rehash(made.replace("$12$", "$10$"))


def test_the_first_scheme_makes_hashes_and_the_others_are_replaced() -> None:
    schemes = HashSchemes(["bcrypt", "argon2"])
    made = schemes.hash("secret")
    assert made.startswith("$2b$12$")
    assert schemes.verify_and_update("secret", made) == (True, None)
    right, new = schemes.verify_and_update("secret", Argon2Hasher().hash("secret"))
    assert right
    assert new is not None
    assert new.startswith("$2b$")
    assert HashSchemes(["argon2"]).verify("secret", made) is False


def test_unknown_schemes_are_refused() -> None:
    for wrong in (["md5"], []):
        with pytest.raises(ValueError, match="there are argon2, bcrypt"):
            HashSchemes(wrong)


def test_the_hasher_is_one_for_the_process_and_can_be_told_its_schemes() -> None:
    hasher = PasswordHasher()
    assert PasswordHasher() is hasher
    assert hasher.crypt_context is hasher
    assert hasher.hash("x").startswith("$argon2id$")
    assert PasswordHasher(schemes=["bcrypt"]) is hasher
    user = UserAuth(username="bob")
    user.password = "x"
    assert user._password_hash.startswith("$2b$")
    assert user.verify_password("x")
    with pytest.raises(AttributeError, match="cannot be read"):
        _ = user.password
    assert PasswordHasher(hashers=[Argon2Hasher()]).hash("x").startswith("$argon2id$")
    with pytest.raises(ValueError, match="not both"):
        PasswordHasher(hashers=[Argon2Hasher()], schemes=["argon2"])


def test_swapped_arguments_are_known_but_not_where_clients_send_them() -> None:
    hasher = PasswordHasher()
    made = hasher.hash("!")
    assert hasher.verify("!", made)
    assert hasher.verify(made, "!")
    disabled = UserAuth(username="bob")
    disabled._password_hash = "!"
    assert not disabled.verify_password(made)
    assert HashSchemes().verify_and_update(made, "!") == (False, None)


async def test_hashing_threads_do_not_take_the_processor_from_others() -> None:
    import os

    threads = HashingThreads()
    try:
        ours = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
        theirs = await threads.run(
            lambda: os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
        )
        assert theirs > ours or theirs == 19
    finally:
        threads.close()
