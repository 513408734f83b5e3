"""Plugins that decide who may connect."""

from __future__ import annotations

import asyncio
import logging
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from amqtt.contexts import BaseContext
from amqtt.plugins._decoys import Decoys
from amqtt.plugins._passwords import PasswordHasher, is_of_mosquitto, kind_of_hash
from amqtt.plugins._user_file import PasswordFileError, UserFile
from amqtt.plugins.base import BaseAuthPlugin, Decision
from amqtt.plugins.login_queue import TOO_MANY_LOGINS, LoginQueue, TooManyLoginsError

if TYPE_CHECKING:
    from amqtt.session import Session

__all__ = [
    "AnonymousAuthPlugin",
    "DeprecatedSHA512CryptHasher",
    "FileAuthPlugin",
    "PasswordFileError",
]

_SHA512_CRYPT = "$6$"


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
    SHA-512 crypt, and those of mosquitto_passwd, whose files may be used as they are; they are
    checked in threads, for that takes long on purpose, a few at a time and in turn, see
    `LoginQueue`. The name of an unknown user takes as long as that of a known one.
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
        self._queue = LoginQueue(self.peer_log)
        self._decoys = Decoys(kind_of_hash)
        path = self._get_config_option("password-file")
        self._file: UserFile[str] | None = None
        if not path:
            context.logger.warning("Configuration parameter 'password-file' not found")
            return
        self._file = UserFile(Path(path), context.logger, self._check_hash)

    def is_hash_supported(self, hash_str: str) -> bool:
        """Tell whether a hash is one that can be checked."""
        return self.pwd_hasher.supports(hash_str)

    def _check_hash(self, hash_str: str) -> str:
        if not self.is_hash_supported(hash_str):
            msg = "the hash is of no known kind"
            raise ValueError(msg)
        if _is_sha512_crypt(hash_str):
            _warn_of_sha512()
        return hash_str

    async def authenticate(self, *, session: Session) -> bool | Decision | None:
        """Check the password of a client that names a user.

        Returns:
            Whether it is right; None without a user name, `TOO_MANY_LOGINS` when too many wait.

        """
        if not await super().authenticate(session=session):
            return False
        if not session.username:
            return None
        if self._file is None:
            return False
        try:
            async with self._queue.turn(session):
                return await self._check_password(self._file, session.username, session.password)
        except TooManyLoginsError:
            return TOO_MANY_LOGINS

    async def reload(self) -> None:
        """Read the file again if it has changed."""
        if self._file is not None:
            self._file.read_changes()

    async def still_allowed(self, *, session: Session) -> bool | None:
        """Refuse a user who is not in the file any more; a new password is not looked at."""
        if not session.username or self._file is None:
            return None
        self._file.read_changes()
        return None if session.username in self._file.users else False

    async def _check_password(self, file: UserFile[str], user: str, password: Any) -> bool:
        file.read_changes()
        expected = file.users.get(user)
        if expected is None:
            self.peer_log.log(
                logging.DEBUG, "unknown users", user,
                "User '%s' is not in the password file", user,
            )  # fmt: skip
            _, decoy = self._decoys.choose(file.users, user)
            if decoy is not None:
                await asyncio.to_thread(self.pwd_hasher.verify, password or "", decoy)
            return False
        if _is_sha512_crypt(expected):
            _warn_of_sha512()
        right: bool = await asyncio.to_thread(self.pwd_hasher.verify, password or "", expected)
        self.peer_log.log(
            logging.DEBUG, "checked passwords", user,
            "User '%s' is %s", user, "admitted" if right else "refused: wrong password",
        )  # fmt: skip
        return right


class DeprecatedSHA512CryptHasher:
    """Check hashes of SHA-512 crypt; new ones are not made."""

    name = "sha512_crypt"

    def identify(self, hash: str | bytes) -> bool:  # the name in aMQTT
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

    def verify(self, password: str | bytes, hash: str | bytes) -> bool:
        """Tell whether a password belongs to a hash."""
        _warn_of_sha512()
        text = hash.decode(errors="replace") if isinstance(hash, bytes) else hash
        return PasswordHasher().verify(password, text)

    def check_needs_rehash(self, hash: str | bytes) -> bool:  # noqa: ARG002
        """Tell that the hash should be replaced by one of another kind."""
        return True


def _is_sha512_crypt(hash_str: str) -> bool:
    return hash_str.startswith(_SHA512_CRYPT) and not is_of_mosquitto(hash_str)


def _warn_of_sha512() -> None:
    warnings.warn(
        "SHA-512 crypt password hashes are deprecated, use Argon2", DeprecationWarning, stacklevel=3
    )
