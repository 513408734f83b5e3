"""The file that keeps the state of a client: an SQLite database."""

from __future__ import annotations

import json
import os
import random
import sqlite3
import threading
import time
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from amqtt.errors import SessionFileError
from amqtt.logs import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from amqtt._client.subscriptions import EngineFilter

    # A statement of _STATEMENTS and its values.
    Change = tuple[str, tuple[Any, ...]]

# "aMQc", in SQLite's header: says that the file is of this kind.
_APPLICATION = 0x614D5163
_VERSION = 1
# Seconds to wait for another process to let go of the file, as one that is about to end.
_PATIENCE = 2.0
# Seconds between two attempts, at random: two that try at once are not to do so again and again.
_PAUSE = 0.002, 0.02
# To close a file ends all locks of the process on it. So a file that is there is not opened to be
# made, and nobody locks one that somebody is making.
_one_at_a_time = threading.Lock()

_TABLES = """
CREATE TABLE client (client_id TEXT NOT NULL);
CREATE TABLE sent (
    number INTEGER PRIMARY KEY,
    packet_id INTEGER NOT NULL UNIQUE,
    pubrec INTEGER,
    topic TEXT NOT NULL,
    payload BLOB NOT NULL,
    qos INTEGER NOT NULL,
    retain INTEGER NOT NULL,
    properties BLOB NOT NULL
);
CREATE TABLE received (packet_id INTEGER PRIMARY KEY);
CREATE TABLE subscriptions (
    filter TEXT PRIMARY KEY,
    options TEXT NOT NULL,
    properties TEXT
);
"""
_STATEMENTS = {
    "added": "INSERT INTO sent (packet_id, topic, payload, qos, retain, properties)"
    " VALUES (?, ?, ?, ?, ?, ?)",
    # The content is the server's business now.
    "pubrec": "UPDATE sent SET pubrec = ?, payload = x'', properties = x'' WHERE packet_id = ?",
    "done": "DELETE FROM sent WHERE packet_id = ?",
    "received": "INSERT OR IGNORE INTO received VALUES (?)",
    "released": "DELETE FROM received WHERE packet_id = ?",
    "nothing_received": "DELETE FROM received",
    "nothing": "DELETE FROM sent",
    "subscribed": "REPLACE INTO subscriptions VALUES (?, ?, ?)",
    "unsubscribed": "DELETE FROM subscriptions WHERE filter = ?",
    "nothing_subscribed": "DELETE FROM subscriptions",
}


@dataclass
class StoredState:
    """What a file held when it was read.

    Attributes:
        messages: packet identifier, code of PUBREC or None, topic, payload, QoS, retain flag and
            encoded properties of each message that is not acknowledged, in the order of sending.
        received: packet identifiers of QoS 2 messages that the server has not released.
        subscriptions: what was subscribed to, with the properties.

    """

    messages: list[tuple[int, int | None, str, bytes, int, bool, bytes]] = field(
        default_factory=list
    )
    received: list[int] = field(default_factory=list)
    subscriptions: list[tuple[EngineFilter, dict[str, Any] | None]] = field(default_factory=list)


class SessionStore:
    """Keep the state of one client in a file; all methods block, and are for one thread at a time.

    Args:
        path: of the file, which is made when it is not there.
        client_id: whose state it is.

    Raises:
        SessionFileError: the file cannot be opened, is in use, is damaged, or is something else's.

    """

    def __init__(self, path: Path, client_id: str) -> None:
        """Open the file, and keep others from opening it."""
        self.path = path
        self._database = self._locked()
        try:
            self._prepare(client_id)
        except sqlite3.Error as error:
            self._database.close()
            raise self._explained(error) from error
        except BaseException:
            self._database.close()
            raise

    def _make(self) -> None:
        try:
            if not self.path.is_file():
                # Messages are nobody else's business.
                os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))
        except OSError as error:
            msg = f"The session file '{self.path}' cannot be opened: {error.strerror}"
            raise SessionFileError(msg) from error

    def _locked(self) -> sqlite3.Connection:
        """Open the file once nobody else has it open.

        SQLite's own waiting would not do: it keeps the lock for reading meanwhile, for which two
        that open the file at once would wait in vain.
        """
        deadline = time.monotonic() + _PATIENCE
        while True:
            try:
                with _one_at_a_time:
                    self._make()
                    return _open_locked(self.path)
            except sqlite3.Error as error:
                if not _is_locked(error) or time.monotonic() > deadline:
                    raise self._explained(error) from error
            time.sleep(random.uniform(*_PAUSE))

    def _prepare(self, client_id: str) -> None:
        run = self._database.execute
        application = run("PRAGMA application_id").fetchone()[0]
        is_new = not run("SELECT 1 FROM sqlite_master").fetchone()
        if application != _APPLICATION and not is_new:
            msg = f"'{self.path}' is a database of something else: name another session_file"
            raise SessionFileError(msg)
        if not is_new:
            self._check(client_id)
        run("PRAGMA journal_mode = WAL")
        run("PRAGMA synchronous = FULL")
        if is_new:
            run("BEGIN")
            for statement in _TABLES.split(";"):
                run(statement)
            run("INSERT INTO client VALUES (?)", (client_id,))
            run(f"PRAGMA application_id = {_APPLICATION}")
            run(f"PRAGMA user_version = {_VERSION}")
            run("COMMIT")

    def _check(self, client_id: str) -> None:
        run = self._database.execute
        version = run("PRAGMA user_version").fetchone()[0]
        if version != _VERSION:
            msg = (
                f"The session file '{self.path}' has version {version}, this version of amqtt "
                f"reads {_VERSION} only: name another session_file"
            )
            raise SessionFileError(msg)
        problem = run("PRAGMA quick_check(1)").fetchone()[0]
        if problem != "ok":
            raise sqlite3.DatabaseError(problem)
        owner = run("SELECT client_id FROM client").fetchone()[0]
        if owner != client_id:
            msg = (
                f"The session file '{self.path}' is that of client '{printable(owner)}', not "
                f"'{printable(client_id)}': "
                f"each client needs its own"
            )
            raise SessionFileError(msg)

    def _explained(self, error: sqlite3.Error) -> SessionFileError:
        if _is_locked(error):
            return SessionFileError(f"The session file '{self.path}' is in use by another client")
        if isinstance(error, sqlite3.OperationalError):
            return SessionFileError(f"The session file '{self.path}' cannot be used: {error}")
        return SessionFileError(
            f"'{self.path}' is damaged, or no session file ({error}): move it away to begin anew"
        )

    def load(self) -> StoredState:
        """Read everything.

        Raises:
            SessionFileError: the file is damaged.

        """
        run = self._database.execute
        try:
            messages = run(
                "SELECT packet_id, pubrec, topic, payload, qos, retain, properties FROM sent"
                " ORDER BY number"
            ).fetchall()
            received = [row[0] for row in run("SELECT packet_id FROM received")]
            made = run("SELECT filter, options, properties FROM subscriptions").fetchall()
        except sqlite3.Error as error:
            raise self._explained(error) from error
        subscriptions = [
            ((topic_filter, tuple(json.loads(options))), json.loads(properties or "null"))
            for topic_filter, options, properties in made
        ]
        return StoredState(
            [(*row[:5], bool(row[5]), row[6]) for row in messages], received, subscriptions
        )

    def clear(self) -> None:
        """Forget everything: a new session begins.

        Raises:
            SessionFileError: the file cannot be written.

        """
        try:
            self.write([("nothing", ()), ("nothing_received", ()), ("nothing_subscribed", ())])
        except sqlite3.Error as error:
            raise self._explained(error) from error

    def write(self, changes: Sequence[Change]) -> None:
        """Make changes, in their order; all or none.

        Args:
            changes: pairs of the name of a change and its values.

        Raises:
            sqlite3.Error: they could not be written.

        """
        run = self._database
        run.execute("BEGIN")
        try:
            for name, group in groupby(changes, itemgetter(0)):
                run.executemany(_STATEMENTS[name], map(itemgetter(1), group))
        except BaseException:
            run.execute("ROLLBACK")
            raise
        run.execute("COMMIT")

    def close(self) -> None:
        """Close the file, so that others may open it."""
        self._database.close()


def _open_locked(path: Path) -> sqlite3.Connection:
    database = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
    try:
        database.execute("PRAGMA locking_mode = EXCLUSIVE")
        # Takes the lock, which stays until the file is closed or the process ends.
        database.execute("BEGIN EXCLUSIVE")
        database.execute("COMMIT")
    except BaseException:
        database.close()
        raise
    return database


def _is_locked(error: sqlite3.Error) -> bool:
    return "locked" in str(error)


def subscription_changes(
    filters: Iterable[EngineFilter], properties: dict[str, Any] | None
) -> list[Change]:
    """Return what writes down subscriptions that were made."""
    text = None if properties is None else json.dumps(properties)
    return [
        ("subscribed", (topic_filter, json.dumps(options), text))
        for topic_filter, options in filters
    ]
