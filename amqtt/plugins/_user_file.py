"""Files with a line `user:something` for each user, which are read again when they change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

from amqtt._config.lines import BLANKS, numbered_lines, read_text

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable
    from pathlib import Path

V = TypeVar("V")


class PasswordFileError(Exception):
    """Report a password file that cannot be read."""


class UserFile(Generic[V]):
    """Hold what a file says of its users.

    Empty lines and lines that start with `#` are left out; so are wrong ones, with a warning.
    Of several lines for a user the last one holds, with a warning. Spaces and tabs around a name
    do not belong to it, all other characters do.

    Args:
        path: the file.
        logger: where it is said what was read, and what is wrong.
        parse: makes a value of what stands behind the colon; raises `ValueError` if it is wrong.

    Raises:
        PasswordFileError: the file cannot be read.

    """

    def __init__(self, path: Path, logger: logging.Logger, parse: Callable[[str], V]) -> None:
        """Read the file."""
        self._path = path
        self._logger = logger
        self._parse = parse
        self.users: dict[str, V] = {}
        self._read_state: tuple[int, int, int] | None = None
        self._read()

    def _read(self) -> None:
        try:
            status = self._path.stat()
            text = read_text(self._path)
        except (OSError, UnicodeDecodeError) as error:
            msg = f"Password file '{self._path}' cannot be read: {error}"
            raise PasswordFileError(msg) from error
        self._read_state = status.st_mtime_ns, status.st_size, status.st_ino
        self.users = self._parse_lines(text)
        self._logger.info("%d users read from '%s'", len(self.users), self._path)

    def _parse_lines(self, text: str) -> dict[str, V]:
        users: dict[str, V] = {}
        for number, line in numbered_lines(text):
            name, colon, rest = line.partition(":")
            if not colon:
                self._logger.warning("%s:%d: no ':' in the line, left out", self._path, number)
                continue
            user = name.rstrip(BLANKS)
            if user in users:
                self._logger.warning(
                    "%s:%d: user %r has a line before, which is left out", self._path, number, user
                )
            try:
                users[user] = self._parse(rest.lstrip(BLANKS))
            except ValueError as error:
                self._logger.warning(
                    "%s:%d: user %r is refused: %s", self._path, number, user, error
                )
                users.pop(user, None)
        return users

    def read_changes(self) -> None:
        """Read the file again if it has changed; what it said holds on while that fails."""
        try:
            status = self._path.stat()
            if (status.st_mtime_ns, status.st_size, status.st_ino) != self._read_state:
                self._read()
        except (OSError, PasswordFileError) as error:
            self._logger.error("Password file '%s' is not read again: %s", self._path, error)
