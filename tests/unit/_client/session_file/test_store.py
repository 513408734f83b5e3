from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from amqtt._client.session_file.store import SessionStore, subscription_changes
from amqtt.contexts import ClientConfig
from amqtt.errors import ClientError, SessionFileError

MESSAGE = (7, "a/b", b"\x00payload", 1, True, b"\x01\x02")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "session"


@pytest.fixture
def store(path: Path) -> Iterator[SessionStore]:
    opened = SessionStore(path, "me")
    yield opened
    opened.close()


def reopened(store: SessionStore) -> SessionStore:
    store.close()
    return SessionStore(store.path, "me")


def test_a_new_file_is_empty_and_private(store: SessionStore, path: Path) -> None:
    state = store.load()
    assert (state.messages, state.received, state.subscriptions) == ([], [], [])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_what_was_written_is_there_again(store: SessionStore) -> None:
    store.write([
        ("added", MESSAGE),
        ("added", (3, "c", b"", 2, False, b"")),
        ("added", (4, "d", b"gone", 2, False, b"p")),
        ("received", (9,)),
        ("received", (2,)),
        ("pubrec", (0x10, 4)),
        ("released", (9,)),
        *subscription_changes([("x/#", (1, True, False, 2))], {"user_property": [("k", "v")]}),
        *subscription_changes([("y", (0, False, False, 0)), ("z", (2, False, False, 0))], None),
        ("unsubscribed", ("y",)),
    ])  # fmt: skip
    state = reopened(store).load()
    assert state.messages == [
        (7, None, "a/b", b"\x00payload", 1, True, b"\x01\x02"),
        (3, None, "c", b"", 2, False, b""),
        (4, 0x10, "d", b"", 2, False, b""),
    ]
    assert state.received == [2]
    assert state.subscriptions == [
        (("x/#", (1, True, False, 2)), {"user_property": [["k", "v"]]}),
        (("z", (2, False, False, 0)), None),
    ]


def test_an_identifier_is_used_again_in_one_batch(store: SessionStore) -> None:
    store.write([("added", MESSAGE), ("done", (7,)), ("added", (7, "new", b"", 1, False, b""))])
    assert [row[2] for row in store.load().messages] == ["new"]


def test_a_batch_is_written_whole_or_not_at_all(store: SessionStore) -> None:
    with pytest.raises(sqlite3.Error):
        store.write([("received", (1,)), ("added", MESSAGE), ("added", MESSAGE)])
    state = store.load()
    assert (state.messages, state.received) == ([], [])
    store.write([("received", (1,))])
    assert store.load().received == [1]


def test_clear(store: SessionStore) -> None:
    store.write([("added", MESSAGE), ("received", (1,))])
    store.write(subscription_changes([("x", (1, False, False, 0))], None))
    store.clear()
    state = reopened(store).load()
    assert (state.messages, state.received, state.subscriptions) == ([], [], [])


# -- files that are refused


@pytest.mark.usefixtures("store")
def test_a_file_in_use(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("amqtt._client.session_file.store._PATIENCE", 0.01)
    with pytest.raises(SessionFileError, match=f"'{path}' is in use by another client"):
        SessionStore(path, "me")


def test_two_that_open_a_file_at_once_come_one_after_the_other(tmp_path: Path) -> None:
    def use(number: int) -> None:
        together.wait(10)
        SessionStore(tmp_path / str(number // 4), "me").close()

    together = threading.Barrier(3)
    with ThreadPoolExecutor(3) as threads:
        list(threads.map(use, [number for number in range(20) for _ in range(3)]))


def is_locked_for_others(path: Path) -> bool:
    other = f"import sqlite3; sqlite3.connect({str(path)!r}, timeout=0).execute('BEGIN EXCLUSIVE')"
    ended = subprocess.run([sys.executable, "-c", other], capture_output=True, check=False)
    return b"database is locked" in ended.stderr


@pytest.mark.usefixtures("store")
def test_one_that_may_not_use_a_file_leaves_its_lock(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Locks are those of a process, and gone when it closes the file once."""
    monkeypatch.setattr("amqtt._client.session_file.store._PATIENCE", 0.01)
    with pytest.raises(SessionFileError, match="in use"):
        SessionStore(path, "me")
    assert is_locked_for_others(path)


def test_one_that_makes_a_file_leaves_the_lock_of_another(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other comes between the making and the closing of the file, if it can."""
    monkeypatch.setattr("amqtt._client.session_file.store._PATIENCE", 0.01)
    opened: list[SessionStore] = []

    def use() -> None:
        with contextlib.suppress(SessionFileError):  # one of the two
            opened.append(SessionStore(path, "me"))

    def close(descriptor: int) -> None:
        monkeypatch.undo()
        threads[1].start()
        threads[1].join(0.5)
        os.close(descriptor)

    threads = [threading.Thread(target=use) for _ in range(2)]
    monkeypatch.setattr("amqtt._client.session_file.store.os.close", close)
    threads[0].start()
    threads[0].join()
    threads[1].join()
    assert len(opened) == 1
    assert is_locked_for_others(path)
    opened[0].close()


def test_the_file_of_another_client(store: SessionStore, path: Path) -> None:
    store.close()
    with pytest.raises(SessionFileError, match="is that of client 'me', not 'you'"):
        SessionStore(path, "you")
    SessionStore(path, "me").close()  # it was let go of


def test_another_database(path: Path) -> None:
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE notes (text)")
    other.close()
    before = path.read_bytes()
    with pytest.raises(SessionFileError, match="is a database of something else"):
        SessionStore(path, "me")
    assert path.read_bytes() == before


def test_another_file(path: Path) -> None:
    path.write_text("my diary\n" * 100)
    with pytest.raises(SessionFileError, match="is damaged, or no session file"):
        SessionStore(path, "me")
    assert path.read_text() == "my diary\n" * 100


def test_a_damaged_file(store: SessionStore, path: Path) -> None:
    for number in range(1, 2000):
        store.write([("added", (number, "topic", b"x" * 100, 1, False, b""))])
    store.close()
    content = bytearray(path.read_bytes())
    for page in range(4096, len(content), 4096):
        content[page + 100 : page + 2000] = b"\xff" * 1900
    path.write_bytes(content)
    with pytest.raises(SessionFileError, match="is damaged, or no session file"):
        SessionStore(path, "me")


def test_a_file_of_a_later_version(store: SessionStore, path: Path) -> None:
    store.close()
    other = sqlite3.connect(path)
    other.execute("PRAGMA user_version = 99")
    other.close()
    with pytest.raises(SessionFileError, match="has version 99"):
        SessionStore(path, "me")


def test_a_place_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SessionFileError, match="cannot be opened: No such file or directory"):
        SessionStore(tmp_path / "no" / "session", "me")
    with pytest.raises(SessionFileError, match="cannot be opened: Is a directory"):
        SessionStore(tmp_path, "me")
    assert issubclass(SessionFileError, ClientError)


# -- the configuration


def test_the_configuration() -> None:
    given = {"session_file": "s.db", "cleansession": False}
    assert ClientConfig.from_dict(given).session_file == Path("s.db")
    expiry = {"protocol_version": 5, "connect_properties": {"session_expiry_interval": 60}}
    assert ClientConfig.from_dict({**given, **expiry}).session_file == Path("s.db")
    with pytest.raises(ValueError, match="session_file: needs cleansession: false"):
        ClientConfig.from_dict({"session_file": "s.db"})
    with pytest.raises(ValueError, match="session_file: needs a session_expiry_interval"):
        ClientConfig.from_dict({**given, "protocol_version": 5})
