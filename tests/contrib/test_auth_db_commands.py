"""The commands user_mgr and topic_mgr."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import io
import json
import logging
import os
import pty
import select
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import pytest
from support.databases import DatabaseServer
from support.process import free_port

from amqtt.contrib.auth_db.managers import UserManager

USER_MGR = "amqtt.scripts.manage_users"
TOPIC_MGR = "amqtt.scripts.manage_topics"
LIMIT = 30.0


class Result(NamedTuple):
    """How a command has ended."""

    returncode: int
    stdout: str
    stderr: str


def run(module: str, *arguments: str, cwd: Path, answers: str = "") -> Result:
    """Run a command in this process, which takes a tenth of the time of another one."""
    root = logging.getLogger()
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stdout(io.StringIO()) as stdout,
        contextlib.redirect_stderr(io.StringIO()) as stderr,
    ):
        patch.chdir(cwd)
        patch.setenv("COLUMNS", "100")
        patch.setattr(sys, "argv", ["command", *arguments])
        patch.setattr(sys, "stdin", io.StringIO(answers))
        patch.setattr(root, "handlers", [])  # so that the command sets up its own
        with pytest.raises(SystemExit) as ended:
            importlib.import_module(module).main()
    code = ended.value.code
    return Result(code if isinstance(code, int) else 0, stdout.getvalue(), stderr.getvalue())


class Files:
    """Runs the commands on a file `auth.db`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def users(self, *arguments: str, answers: str = "") -> Result:
        return run(USER_MGR, "-d", "sqlite", *arguments, cwd=self.folder, answers=answers)

    def topics(self, *arguments: str) -> Result:
        return run(TOPIC_MGR, "-d", "sqlite", *arguments, cwd=self.folder)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    found = Files(tmp_path)
    assert found.users("sync").returncode == 0
    return found


def test_users(files: Files) -> None:
    assert "No client authentications exist." in files.users("list").stderr
    added = files.users("add", "-c", "bob", answers=" secret \n")
    assert added.returncode == 0
    assert "Success: created 'bob' with password hash: $argon2id$" in added.stderr
    assert "secret" not in added.stdout + added.stderr
    again = files.users("add", "-c", "bob", answers="secret\n")
    assert again.returncode == 1
    assert "could not execute command: user 'bob' already exists" in again.stderr
    assert files.users("list").stderr.startswith("'bob' with password hash: $argon2id$")
    assert json.loads(files.users("list", "--json").stdout) == [
        {"username": "bob", "scheme": "argon2id"}
    ]
    table = files.users("list", "--table").stdout
    assert "username" in table
    assert "bob" in table
    changed = files.users("pwd", "-c", "bob", answers="new\n")
    assert "Success: client 'bob' password updated." in changed.stderr
    kept = files.users("rm", "-c", "bob", answers="n\n")
    assert kept.returncode == 0
    assert "Please confirm the removal of 'bob'?" in kept.stderr
    removed = files.users("rm", "-c", "bob", answers="y\n")
    assert removed.returncode == 0
    assert "Success: 'bob' was removed." in removed.stderr
    assert json.loads(files.users("list", "--json").stdout) == []


@pytest.mark.parametrize("name", ["eve\nroot", "eve\u2028root", "root\u00a0", " root"])
def test_names_that_look_like_others(name: str, files: Files) -> None:
    """They are refused; those of before do not forge lines, and can be removed."""
    for refused in (
        files.users("add", "-c", name, answers="secret\n"),
        files.topics("add", "-c", name, "-a", "publish", "a"),
    ):
        assert refused.returncode == 1
        assert "cannot be the name of a user" in refused.stderr
    with contextlib.closing(sqlite3.connect(files.folder / "auth.db")) as database:
        columns = "username, password_hash, publish_acl, subscribe_acl, receive_acl"
        database.execute(
            f"INSERT INTO user_auth ({columns}) VALUES (?, 'x', '[]', '[]', '[]')", (name,)
        )
        database.commit()
    lines = files.users("list").stderr.split("\n")
    assert len(lines) == 2
    assert "\u2028" not in lines[0]
    table = files.users("list", "--table").stdout
    assert "\u2028" not in table
    assert len(table.splitlines()) == 5
    assert json.loads(files.users("list", "--json").stdout)[0]["username"] == name
    assert files.users("rm", "-c", name, answers="y\n").returncode == 0


def test_passwords_are_those_that_were_asked_for(files: Files) -> None:
    files.users("add", "-c", "bob", answers=" secret \n")
    manager = UserManager(f"sqlite+aiosqlite:///{files.folder}/auth.db")
    assert asyncio.run(manager.verify_user_auth_password("bob", "secret"))
    files.users("pwd", "-c", "bob", answers="new\n")
    assert asyncio.run(manager.verify_user_auth_password("bob", "new"))


@pytest.mark.parametrize("command", ["add", "pwd"])
def test_a_password_must_not_be_empty(files: Files, command: str) -> None:
    result = files.users(command, "-c", "bob", answers="  \n")
    assert result.returncode == 1
    assert "Error: client password cannot be empty." in result.stderr


def test_users_that_are_not_there(files: Files) -> None:
    removed = files.users("rm", "-c", "eve", answers="y\n")
    assert removed.returncode == 1
    assert "Error: client 'eve' does not exist." in removed.stderr
    changed = files.users("pwd", "-c", "eve", answers="new\n")
    assert changed.returncode == 1
    assert "could not execute command: user 'eve' does not exist" in changed.stderr


def test_topics(files: Files) -> None:
    assert "No client authorizations exist." in files.topics("list").stderr
    added = files.topics("add", "-c", "bob", "-a", "publish", "home/%u/#")
    assert added.returncode == 0
    assert "Success: topic 'home/%u/#' added to publish for 'bob'" in added.stderr
    assert files.topics("add", "-c", "bob", "-a", "receive", "[red]a").returncode == 0
    again = files.topics("add", "-c", "bob", "-a", "publish", "home/%u/#")
    assert again.returncode == 1
    assert "Topic 'home/%u/#' already exists for 'publish'." in again.stderr
    assert files.topics("list").stderr == (
        "'bob':\n\tpublish: [home/%u/#], subscribe: [], receive: [[red]a]\n\n"
    )
    assert json.loads(files.topics("list", "--json").stdout) == [
        {"username": "bob", "publish": ["home/%u/#"], "subscribe": [], "receive": ["[red]a"]}
    ]
    assert "[red]a" in files.topics("list", "--table").stdout
    removed = files.topics("rm", "-c", "bob", "-a", "publish", "home/%u/#")
    assert removed.returncode == 0
    assert "Success: removed topic 'home/%u/#' from publish for 'bob'" in removed.stderr


def test_topics_that_are_wrong_or_not_there(files: Files) -> None:
    wrong = files.topics("add", "-c", "bob", "-a", "subscribe", "a/#/b")
    assert wrong.returncode == 1
    assert "'a/#/b' is no topic filter: '#' must be the last level" in wrong.stderr
    system = files.topics("add", "-c", "bob", "-a", "publish", "$SYS/x")
    assert system.returncode == 1
    assert json.loads(files.topics("list", "--json").stdout) == []  # nobody was added
    unknown = files.topics("rm", "-c", "bob", "-a", "publish", "a")
    assert unknown.returncode == 1
    assert "client 'bob' doesn't exist." in unknown.stderr
    files.topics("add", "-c", "bob", "-a", "publish", "a")
    other = files.topics("rm", "-c", "bob", "-a", "publish", "b")
    assert other.returncode == 1
    assert "Error: topic 'b' not in the publish allow list for bob." in other.stderr


@pytest.mark.parametrize("module", [USER_MGR, TOPIC_MGR])
def test_databases_that_are_not_there(module: str, tmp_path: Path) -> None:
    missing = run(module, "-d", "sqlite", "-f", "none.db", "list", cwd=tmp_path)
    assert missing.returncode == 1
    assert "SQLite option could not find 'none.db'" in missing.stderr
    assert not (tmp_path / "none.db").exists()
    nameless = run(module, "-d", "postgresql", "list", cwd=tmp_path)
    assert nameless.returncode == 1
    assert "DB access requires a username be provided." in nameless.stderr
    (tmp_path / "empty.db").touch()
    empty = run(module, "-d", "sqlite", "-f", "empty.db", "list", cwd=tmp_path)
    assert empty.returncode == 1
    assert "no such table" in empty.stderr
    assert "has 'sync' made its tables?" in empty.stderr
    assert "Traceback" not in missing.stderr + nameless.stderr + empty.stderr


@pytest.mark.parametrize("module", [USER_MGR, TOPIC_MGR])
def test_a_file_that_cannot_be_made_is_an_error_without_a_traceback(
    module: str, tmp_path: Path
) -> None:
    result = run(module, "-d", "sqlite", "-f", "no/folder/auth.db", "sync", cwd=tmp_path)
    assert result.returncode == 1
    assert "unable to open database file" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("module", [USER_MGR, TOPIC_MGR])
@pytest.mark.parametrize("kind", ["postgresql", "mysql", "mariadb"])
def test_a_server_that_is_not_there(module: str, kind: str, tmp_path: Path) -> None:
    options = ("-d", kind, "-u", "x", "-h", "127.0.0.1", "-p", str(free_port()))
    result = run(module, *options, "list", cwd=tmp_path, answers="\n")
    assert result.returncode == 1
    assert "Error: the database cannot be used" in result.stderr
    assert "Traceback" not in result.stderr
    unanswered = run(module, *options, "list", cwd=tmp_path)
    assert unanswered.returncode == 1  # the password of the database is asked for
    assert "Enter the db password (press enter for none)" in unanswered.stderr


@pytest.mark.parametrize(
    ("module", "arguments"),
    [
        (USER_MGR, ("add",)), (USER_MGR, ("rm",)), (USER_MGR, ("pwd",)), (USER_MGR, ("fly",)),
        (USER_MGR, ("list", "--yaml")), (TOPIC_MGR, ("add", "-c", "bob", "a")),
        (TOPIC_MGR, ("add", "-c", "bob", "-a", "fly", "a")),
        (TOPIC_MGR, ("add", "-c", "bob", "-a", "publish")),
        (TOPIC_MGR, ("rm", "-a", "publish", "a")), (TOPIC_MGR, ("rm", "-c", "bob", "a")),
    ],
)  # fmt: skip
def test_wrong_options_end_with_status_2(
    files: Files, module: str, arguments: tuple[str, ...]
) -> None:
    result = run(module, "-d", "sqlite", *arguments, cwd=files.folder)
    assert result.returncode == 2
    assert "Usage:" in result.stderr
    assert run(module, "-d", "oracle", "list", cwd=files.folder).returncode == 2


@pytest.mark.parametrize("module", [USER_MGR, TOPIC_MGR])
def test_without_arguments_the_usage_is_shown(module: str, tmp_path: Path) -> None:
    result = run(module, cwd=tmp_path)
    assert result.returncode == 2
    assert "Usage:" in result.stdout + result.stderr
    assert run(module, "list", cwd=tmp_path).returncode == 2  # --db is needed


def test_a_missing_extra_is_named(tmp_path: Path) -> None:
    (tmp_path / "sqlalchemy.py").write_text(
        "raise ModuleNotFoundError(\"No module named 'sqlalchemy'\", name='sqlalchemy')\n"
    )
    for module in (USER_MGR, TOPIC_MGR):
        result = subprocess.run(
            [sys.executable, "-m", module, "list"],  # -m puts the folder first
            cwd=tmp_path, capture_output=True, text=True, timeout=LIMIT,
        )  # fmt: skip
        assert result.returncode == 1
        assert "optional 'contrib' library is missing (sqlalchemy)" in result.stderr
        assert "pip install amqtt[contrib]" in result.stderr


def test_a_server(server: DatabaseServer, tmp_path: Path) -> None:
    url = server.new_database()
    kind = "postgresql" if url.startswith("postgresql") else "mariadb"
    user = "tester" if kind == "postgresql" else "root"
    options = (
        "-d", kind, "-u", user, "-h", "127.0.0.1", "-p", str(server.port),
        "-n", url.rpartition("/")[2],
    )  # fmt: skip
    assert run(TOPIC_MGR, *options, "sync", cwd=tmp_path, answers="\n").returncode == 0
    added = run(USER_MGR, *options, "add", "-c", "bob", cwd=tmp_path, answers="\nsecret\n")
    assert added.returncode == 0, added.stderr
    listed = run(USER_MGR, *options, "list", "--json", cwd=tmp_path, answers="\n")
    assert json.loads(listed.stdout) == [{"username": "bob", "scheme": "argon2id"}]


class Terminal:
    """A command on a terminal of its own."""

    def __init__(self, *command: str, cwd: Path) -> None:
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            # Whoever runs the tests in the background has it ignored.
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            os.chdir(cwd)
            os.execv(command[0], command)
        self.shown = ""

    def expect(self, text: str) -> None:
        deadline = time.monotonic() + LIMIT
        while text not in self.shown:
            ready, _, _ = select.select([self.terminal], [], [], deadline - time.monotonic())
            assert ready, self.shown
            try:
                self.shown += os.read(self.terminal, 4096).decode(errors="replace")
            except OSError:  # the command has ended
                assert text in self.shown, self.shown
        self.before, self.shown = self.shown.split(text, 1)

    def answer(self, text: str) -> None:
        os.write(self.terminal, text.encode() + b"\n")

    def status(self) -> int:
        _, status = os.waitpid(self.pid, 0)
        os.close(self.terminal)
        return os.waitstatus_to_exitcode(status)


def test_on_a_terminal_passwords_are_asked_for_twice_and_not_shown(files: Files) -> None:
    terminal = Terminal(
        sys.executable, "-m", USER_MGR, "-d", "sqlite", "add", "-c", "bob", cwd=files.folder
    )
    shown = ""
    for prompt, answer in (
        ("Enter the client's password", "s3cret"),
        ("Repeat for confirmation", "slip"),
        ("do not match", None),
        ("Enter the client's password", "s3cret"),
        ("Repeat for confirmation", "s3cret"),
        ("Success: created 'bob'", None),
    ):
        terminal.expect(prompt)
        shown += terminal.before
        if answer is not None:
            terminal.expect(": ")  # the space comes when nothing is shown any more
            terminal.answer(answer)
    assert terminal.status() == 0
    assert "s3cret" not in shown
    assert "slip" not in shown


def user_mgr_on_a_terminal(folder: Path, *arguments: str) -> Terminal:
    return Terminal(sys.executable, "-m", USER_MGR, "-d", "sqlite", *arguments, cwd=folder)


def test_on_a_terminal_users_are_a_table(files: Files) -> None:
    files.users("add", "-c", "bob", answers="secret\n")
    files.topics("add", "-c", "bob", "-a", "publish", "home/%u/#")
    terminal = user_mgr_on_a_terminal(files.folder, "list")
    terminal.expect("username")
    terminal.expect("bob")
    terminal.expect("argon2id")
    assert terminal.status() == 0
    terminal = Terminal(
        sys.executable, "-m", TOPIC_MGR, "-d", "sqlite", "list", cwd=files.folder
    )  # fmt: skip
    for text in ("publish", "subscribe", "receive", "bob", "home/%u/#"):
        terminal.expect(text)
    assert terminal.status() == 0


def test_on_a_terminal_passwords_are_changed_and_users_removed(files: Files) -> None:
    files.users("add", "-c", "bob", answers="secret\n")
    terminal = user_mgr_on_a_terminal(files.folder, "pwd", "-c", "bob")
    for prompt in ("Enter the client's new password", "Repeat for confirmation"):
        terminal.expect(prompt)
        terminal.expect(": ")
        terminal.answer("changed")
    terminal.expect("password updated")
    assert "changed" not in terminal.before
    assert terminal.status() == 0
    manager = UserManager(f"sqlite+aiosqlite:///{files.folder}/auth.db")
    assert asyncio.run(manager.verify_user_auth_password("bob", "changed"))
    for answer, rest in (("n", "bob"), ("y", None)):
        terminal = user_mgr_on_a_terminal(files.folder, "rm", "-c", "bob")
        terminal.expect("Please confirm the removal of 'bob'?")
        terminal.expect(": ")
        terminal.answer(answer)
        assert terminal.status() == 0
        found = asyncio.run(manager.get_user_auth("bob"))
        assert (found.username if found else None) == rest


def test_on_a_terminal_giving_up_changes_nothing(files: Files) -> None:
    for key in ("\x03", "\x04"):  # Ctrl-C, Ctrl-D
        terminal = user_mgr_on_a_terminal(files.folder, "add", "-c", "bob")
        terminal.expect("Enter the client's password")
        terminal.expect(": ")
        os.write(terminal.terminal, key.encode())
        terminal.expect("Aborted")
        assert terminal.status() == 1
    assert json.loads(files.users("list", "--json").stdout) == []
