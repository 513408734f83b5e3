"""Database servers of Debian's packages, on free ports and in folders of their own."""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from support.process import free_port

LIMIT = 60.0
KINDS = ("sqlite", "postgresql", "mariadb")


class DatabaseServer:
    """A database server on the loopback interface, run by an unprivileged user.

    Servers refuse to be run by root; they then run as the user that their package has made.
    """

    user = ""
    first = ""
    url_form = ""
    stop_signal = signal.SIGKILL

    def __init__(self) -> None:
        """Make its files and start it."""
        # Not below pytest's folders, which are closed to other users.
        self.folder = Path(tempfile.mkdtemp(prefix="amqtt-db-"))
        self._as: dict[str, Any] = {}
        if os.geteuid() == 0:
            account = pwd.getpwnam(self.user)
            os.chown(self.folder, account.pw_uid, account.pw_gid)
            self._as = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
        self.port = free_port()
        self._databases = 0
        self._process: subprocess.Popen[bytes] | None = None
        try:
            self._initialize()
            self.start()
        except BaseException:
            self.close()
            raise

    def _initialize(self) -> None:
        raise NotImplementedError

    def _command(self) -> list[str]:
        raise NotImplementedError

    def url(self, database: str) -> str:
        """Return the URL of a database."""
        return self.url_form.format(port=self.port, database=database)

    def _run(self, *command: str) -> None:
        result = subprocess.run(
            command, cwd=self.folder, capture_output=True, text=True, timeout=LIMIT, **self._as
        )
        assert result.returncode == 0, result.stdout + result.stderr

    def start(self) -> None:
        """Start it and wait until it serves."""
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                self._command(), cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log,
                stderr=subprocess.STDOUT, **self._as,
            )  # fmt: skip
        deadline = time.monotonic() + LIMIT
        while True:
            try:
                asyncio.run(self.execute("SELECT 1"))
            except Exception:
                if time.monotonic() > deadline or self._process.poll() is not None:
                    log_text = (self.folder / "log").read_text(errors="replace")
                    msg = f"{type(self).__name__} does not start:\n{log_text[-3000:]}"
                    raise AssertionError(msg) from None
                time.sleep(0.05)
            else:
                return

    async def execute(self, statement: str) -> None:
        """Execute a statement outside of a transaction."""
        engine = create_async_engine(self.url(self.first), poolclass=NullPool)
        try:
            async with engine.connect() as connection:
                await connection.execution_options(isolation_level="AUTOCOMMIT")
                await connection.execute(text(statement))
        finally:
            await engine.dispose()

    def new_database(self) -> str:
        """Make an empty database and return its URL."""
        self._databases += 1
        name = f"test{self._databases}"
        asyncio.run(self.execute(f"CREATE DATABASE {name}"))
        return self.url(name)

    def stop(self) -> None:
        """Kill it, as a crash would."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)
            self._process.send_signal(self.stop_signal)
            self._process.wait(LIMIT)
            self._process = None

    def freeze(self) -> None:
        """Let it hang: connections stay open, nothing is answered."""
        self._signal_all(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._signal_all(signal.SIGCONT)

    def _signal_all(self, number: signal.Signals) -> None:
        assert self._process is not None
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        for pid in (self._process.pid, *map(int, children.read_text().split())):
            os.kill(pid, number)

    def close(self) -> None:
        """End it and remove its files."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


class PostgreSQL(DatabaseServer):
    """PostgreSQL."""

    user = "postgres"
    first = "postgres"
    url_form = "postgresql+asyncpg://tester@127.0.0.1:{port}/{database}"
    stop_signal = signal.SIGQUIT  # killed, it would leave its shared memory behind

    def _initialize(self) -> None:
        self._programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"))[-1]
        self._run(
            str(self._programs / "initdb"), "-D", "data", "-U", "tester", "-A", "trust",
            "-E", "UTF8", "--locale=C", "--no-sync",
        )  # fmt: skip

    def _command(self) -> list[str]:
        return [
            str(self._programs / "postgres"), "-D", "data", "-p", str(self.port),
            "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=",
            "-c", "fsync=off",
        ]  # fmt: skip


class MariaDB(DatabaseServer):
    """MariaDB."""

    user = "mysql"
    first = "mysql"
    url_form = "mysql+aiomysql://root@127.0.0.1:{port}/{database}"

    def _initialize(self) -> None:
        # In a folder of its own: a server that starts removes the temporary tables of others.
        self._temporary = self.folder / "tmp"
        self._temporary.mkdir(mode=0o777)
        self._temporary.chmod(0o777)
        self._run(
            "mariadb-install-db", "--no-defaults", f"--datadir={self.folder}/data",
            f"--tmpdir={self._temporary}",
            "--auth-root-authentication-method=normal", "--skip-test-db",
        )  # fmt: skip

    def _command(self) -> list[str]:
        return [
            shutil.which("mariadbd") or "/usr/sbin/mariadbd", "--no-defaults",
            f"--datadir={self.folder}/data", f"--port={self.port}", "--bind-address=127.0.0.1",
            f"--tmpdir={self._temporary}", f"--socket={self.folder}/socket",
            f"--pid-file={self.folder}/pid",
            "--innodb-flush-log-at-trx-commit=2", "--skip-name-resolve",
        ]  # fmt: skip


def missing(kind: str) -> str | None:
    """Return why databases of a kind cannot be tested; None when they can."""
    if kind == "postgresql" and not list(Path("/usr/lib/postgresql").glob("*/bin/initdb")):
        return "not tested: the package postgresql is not installed"
    if kind == "mariadb" and not (shutil.which("mariadbd") or Path("/usr/sbin/mariadbd").exists()):
        return "not tested: the package mariadb-server is not installed"
    return None
