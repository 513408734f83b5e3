"""Kinds of password hashes: the two that are made, and two of older databases.

The interface of the classes is that of the hashers of `pwdlib`, whose own can take their place.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from typing import Any, Protocol

import argon2
import bcrypt

_BCRYPT_MOST = 72
"""Bytes of a password that bcrypt looks at."""

_BCRYPT_ROUNDS = 12
# What a stored hash may ask for, so that a damaged one does not occupy the machine.
_MOST_PBKDF2_ROUNDS = 10_000_000
_MOST_SCRYPT_MEMORY = 256 * 1024 * 1024


class HasherProtocol(Protocol):
    """Make and check hashes of one kind."""

    @classmethod
    def identify(cls, hash: str | bytes) -> bool:
        """Tell whether a hash is of this kind."""

    def hash(self, password: str | bytes, *, salt: bytes | None = None) -> str:
        """Make a hash."""

    def verify(self, password: str | bytes, hash: str | bytes) -> bool:
        """Tell whether a password belongs to a hash; false for a damaged hash."""

    def check_needs_rehash(self, hash: str | bytes) -> bool:
        """Tell whether the hash should be replaced by a new one."""


def _text(value: str | bytes) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else value


def _bytes(value: str | bytes) -> bytes:
    return value.encode() if isinstance(value, str) else bytes(value)


class Argon2Hasher:
    """Argon2id with the parameters that its library recommends (RFC 9106)."""

    def __init__(self) -> None:
        """Take the parameters of the library."""
        self._hasher = argon2.PasswordHasher()

    @classmethod
    def identify(cls, hash: str | bytes) -> bool:
        """Tell whether a hash is one of Argon2."""
        return _text(hash).startswith(("$argon2id$", "$argon2i$", "$argon2d$"))

    def hash(self, password: str | bytes, *, salt: bytes | None = None) -> str:
        """Make a hash."""
        return self._hasher.hash(password, salt=salt)

    def verify(self, password: str | bytes, hash: str | bytes) -> bool:
        """Tell whether a password belongs to a hash; false for a damaged hash."""
        try:
            return self._hasher.verify(_text(hash), password)
        except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
            return False

    def check_needs_rehash(self, hash: str | bytes) -> bool:
        """Tell whether the hash was made with other parameters."""
        return self._hasher.check_needs_rehash(_text(hash))


class BcryptHasher:
    """Bcrypt with 2^12 rounds."""

    @classmethod
    def identify(cls, hash: str | bytes) -> bool:
        """Tell whether a hash is one of bcrypt."""
        return _text(hash).startswith(("$2a$", "$2b$", "$2y$"))

    def hash(self, password: str | bytes, *, salt: bytes | None = None) -> str:
        """Make a hash.

        Raises:
            ValueError: the password is longer than what bcrypt looks at, 72 bytes.

        """
        secret = _bytes(password)
        if len(secret) > _BCRYPT_MOST:
            msg = f"bcrypt takes passwords of at most {_BCRYPT_MOST} bytes, not {len(secret)}"
            raise ValueError(msg)
        return bcrypt.hashpw(secret, salt or bcrypt.gensalt(_BCRYPT_ROUNDS)).decode()

    def verify(self, password: str | bytes, hash: str | bytes) -> bool:
        """Tell whether a password belongs to a hash; false for a damaged hash."""
        try:
            return bcrypt.checkpw(_bytes(password)[:_BCRYPT_MOST], _bytes(hash))
        except ValueError:
            return False

    def check_needs_rehash(self, hash: str | bytes) -> bool:
        """Tell whether the hash is of an older form or was made with fewer rounds."""
        found = re.match(r"\$2b\$(\d\d)\$", _text(hash))
        return found is None or int(found[1]) < _BCRYPT_ROUNDS


class _LegacyHasher:
    """Check hashes of a kind that is not made any more."""

    def hash(self, password: str | bytes, *, salt: bytes | None = None) -> str:
        """Refuse to make a hash.

        Raises:
            NotImplementedError: always.

        """
        msg = f"hashes of {type(self).__name__} are checked only; make one of Argon2 instead"
        raise NotImplementedError(msg)

    def check_needs_rehash(self, hash: str | bytes) -> bool:  # noqa: ARG002
        """Tell that the hash should be replaced."""
        return True


def _decode(text: str) -> bytes:
    """Decode base64 without its padding."""
    return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)


class LegacyPasslibScryptHasher(_LegacyHasher):
    """Check the scrypt hashes of passlib, `$scrypt$ln=LOG2N,r=R,p=P$SALT$SUM`."""

    _FORM = re.compile(r"\$scrypt\$ln=(\d{1,2}),r=(\d{1,5}),p=(\d{1,5})\$([^$]*)\$([^$]+)")

    @property
    def name(self) -> str:
        """The name of the scheme."""
        return "scrypt"

    @classmethod
    def identify(cls, hash: str | bytes) -> bool:
        """Tell whether a hash is of this kind."""
        return _text(hash).startswith("$scrypt$")

    def verify(self, password: str | bytes, hash: str | bytes) -> bool:
        """Tell whether a password belongs to a hash; false for a damaged hash."""
        parts = self._FORM.fullmatch(_text(hash))
        if parts is None:
            return False
        cost, block, parallel = 1 << int(parts[1]), int(parts[2]), int(parts[3])
        try:
            salt, expected = _decode(parts[4]), _decode(parts[5])
            found = hashlib.scrypt(
                _bytes(password), salt=salt, n=cost, r=block, p=parallel,
                maxmem=_MOST_SCRYPT_MEMORY, dklen=len(expected),
            )  # fmt: skip
        except (ValueError, binascii.Error, OverflowError):
            return False
        return hmac.compare_digest(found, expected)


class LegacyPasslibPBKDF2Hasher(_LegacyHasher):
    """Check the PBKDF2 hashes of passlib, `$pbkdf2-sha256$ROUNDS$SALT$SUM`."""

    _FORM = re.compile(r"\$pbkdf2-sha256\$(\d{1,8})\$([^$]*)\$([^$]+)")

    @property
    def name(self) -> str:
        """The name of the scheme."""
        return "pbkdf2_sha256"

    @classmethod
    def identify(cls, hash: str | bytes) -> bool:
        """Tell whether a hash is of this kind."""
        return _text(hash).startswith("$pbkdf2-sha256$")

    def verify(self, password: str | bytes, hash: str | bytes) -> bool:
        """Tell whether a password belongs to a hash; false for a damaged hash."""
        parts = self._FORM.fullmatch(_text(hash))
        if parts is None or not 0 < int(parts[1]) <= _MOST_PBKDF2_ROUNDS:
            return False
        try:
            # Here passlib writes "." where base64 has "+".
            salt, expected = (_decode(part.replace(".", "+")) for part in parts.groups()[1:])
        except (ValueError, binascii.Error):
            return False
        found = hashlib.pbkdf2_hmac(
            "sha256", _bytes(password), salt, int(parts[1]), dklen=len(expected)
        )
        return hmac.compare_digest(found, expected)


SCHEMES: dict[str, Any] = {
    "argon2": Argon2Hasher,
    "bcrypt": BcryptHasher,
    "pbkdf2_sha256": LegacyPasslibPBKDF2Hasher,
    "scrypt": LegacyPasslibScryptHasher,
}
"""The classes by the names of their schemes."""

DEPRECATED_SCHEMES = ("pbkdf2_sha256", "scrypt")
"""The schemes whose hashes are checked only."""
