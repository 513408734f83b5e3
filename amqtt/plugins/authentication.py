"""Plugins that decide who may connect."""

from __future__ import annotations

import asyncio
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from amqtt.contexts import BaseContext
from amqtt.plugins._passwords import PasswordHasher
from amqtt.plugins.base import BaseAuthPlugin

if TYPE_CHECKING:
    from amqtt.session import Session

__all__ = [
    "AnonymousAuthPlugin",
    "DeprecatedSHA512CryptHasher",
    "FileAuthPlugin",
    "PasswordFileError",
]

_SHA512_CRYPT = "$6$"


class PasswordFileError(Exception):
    """Report a password file that cannot be read."""


class AnonymousAuthPlugin(BaseAuthPlugin):
    """Admit everyone, or everyone who names a user; passwords are not looked at.

    In a broker the engine does the work of this class, though not of a subclass.
    """

    @dataclass
    class Config:
        """The options.

        Attributes:
            allow_anonymous: admit clients that name no user.

        """

        allow_anonymous: bool = True

    @property
    def allows_anonymous(self) -> bool:
        """Whether clients that name no user are admitted."""
        return bool(self._get_config_option("allow-anonymous", True))

    async def authenticate(self, *, session: Session) -> bool:
        """Admit the client, if it names a user or need not."""
        if not await super().authenticate(session=session):
            return False
        if self.allows_anonymous:
            session.is_anonymous = not session.username
            return True
        return bool(session.username)


class FileAuthPlugin(BaseAuthPlugin):
    """Admit the users of a file who know their password.

    The file has a line `user:hash` for each user; empty lines and lines that start with `#` are
    left out. It is read again when it has changed. Hashes are those of Argon2, bcrypt and
    SHA-512 crypt; they are checked in threads, for that takes long on purpose.
    """

    @dataclass
    class Config:
        """The options.

        Attributes:
            password_file: path of the file; None means that nobody is admitted.

        """

        password_file: str | Path | None = None

    def __init__(self, context: BaseContext) -> None:
        """Read the file.

        Raises:
            PasswordFileError: it cannot be read.

        """
        super().__init__(context)
        self.pwd_hasher = PasswordHasher()
        self._users: dict[str, str] = {}
        self._read_state: tuple[int, int, int] | None = None
        path = self._get_config_option("password-file")
        self._path = Path(path) if path else None
        if self._path is None:
            context.logger.warning("Configuration parameter 'password-file' not found")
            return
        self._read_file(self._path)

    def is_hash_supported(self, hash_str: str) -> bool:
        """Tell whether a hash is one that can be checked."""
        return self.pwd_hasher.supports(hash_str)

    def _read_file(self, path: Path) -> None:
        try:
            status = path.stat()
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            msg = f"Password file '{path}' cannot be read: {error}"
            raise PasswordFileError(msg) from error
        self._read_state = status.st_mtime_ns, status.st_size, status.st_ino
        self._users = self._parse(path, text)
        self.context.logger.info("%d users read from '%s'", len(self._users), path)

    def _parse(self, path: Path, text: str) -> dict[str, str]:
        users = {}
        for number, line in enumerate(text.splitlines(), 1):
            entry = line.strip()
            if not entry or entry.startswith("#"):
                continue
            user, colon, hash_str = entry.partition(":")
            user, hash_str = user.strip(), hash_str.strip()
            if not colon:
                self.context.logger.warning("%s:%d: no ':' in the line, left out", path, number)
                continue
            if not self.is_hash_supported(hash_str):
                self.context.logger.warning(
                    "%s:%d: the hash of user '%s' is of no known kind, the user is refused",
                    path,
                    number,
                    user,
                )
            if hash_str.startswith(_SHA512_CRYPT):
                _warn_of_sha512()
            users[user] = hash_str
        return users

    def _read_changes(self) -> None:
        path = self._path
        if path is None:
            return
        try:
            status = path.stat()
            if (status.st_mtime_ns, status.st_size, status.st_ino) != self._read_state:
                self._read_file(path)
        except (OSError, PasswordFileError) as error:
            # What was read before goes on to hold while somebody replaces the file.
            self.context.logger.error("Password file '%s' is not read again: %s", path, error)

    async def authenticate(self, *, session: Session) -> bool | None:
        """Check the password of a client that names a user."""
        if not await super().authenticate(session=session):
            return False
        if not session.username:
            return None
        self._read_changes()
        expected = self._users.get(session.username)
        if expected is None:
            self.context.logger.debug("User '%s' is not in the password file", session.username)
            return False
        if not self.is_hash_supported(expected):
            return False
        if expected.startswith(_SHA512_CRYPT):
            _warn_of_sha512()
        password: Any = session.password or ""
        return await asyncio.to_thread(self.pwd_hasher.verify, password, expected)


class DeprecatedSHA512CryptHasher:
    """Check hashes of SHA-512 crypt; new ones are not made."""

    name = "sha512_crypt"

    def identify(self, hash: str | bytes) -> bool:  # noqa: A002  # the name in aMQTT
        """Tell whether a hash is one of SHA-512 crypt."""
        text = hash.decode(errors="replace") if isinstance(hash, bytes) else hash
        return text.startswith(_SHA512_CRYPT)

    def hash(self, password: str | bytes, *, salt: bytes | None = None) -> str:
        """Refuse to make a hash.

        Raises:
            NotImplementedError: always.

        """
        msg = "SHA-512 crypt is deprecated, make a hash of Argon2 instead"
        raise NotImplementedError(msg)

    def verify(self, password: str | bytes, hash: str | bytes) -> bool:  # noqa: A002
        """Tell whether a password belongs to a hash."""
        _warn_of_sha512()
        text = hash.decode(errors="replace") if isinstance(hash, bytes) else hash
        return PasswordHasher().verify(password, text)

    def check_needs_rehash(self, hash: str | bytes) -> bool:  # noqa: A002, ARG002
        """Tell that the hash should be replaced by one of another kind."""
        return True


def _warn_of_sha512() -> None:
    warnings.warn(
        "SHA-512 crypt password hashes are deprecated, use Argon2", DeprecationWarning, stacklevel=3
    )
