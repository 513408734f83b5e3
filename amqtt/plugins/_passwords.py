"""Check passwords against hashes of several kinds."""

from __future__ import annotations

import importlib
import logging
from typing import Any

logger = logging.getLogger(__name__)

# The library of each kind of hash, by how its hashes begin.
_LIBRARIES = {
    "$argon2id$": "argon2",
    "$argon2i$": "argon2",
    "$argon2d$": "argon2",
    "$2a$": "bcrypt",
    "$2b$": "bcrypt",
    "$2y$": "bcrypt",
    "$6$": "passlib.hash",
}


class PasswordHasher:
    """Check passwords by Argon2, bcrypt and SHA-512 crypt; safe to use from several threads."""

    @staticmethod
    def supports(hash_str: str) -> bool:
        """Tell whether a hash is of a kind that can be checked."""
        return hash_str.startswith(tuple(_LIBRARIES))

    def verify(self, password: str | bytes, hash_str: str) -> bool:
        """Tell whether a password belongs to a hash.

        Args:
            password: the password; text stands for its UTF-8 bytes.
            hash_str: the hash, with its parameters in front.

        Returns:
            False also when the hash is damaged or of an unknown kind.

        Raises:
            ImportError: the library for this kind of hash is not installed.

        """
        library = next(
            (name for start, name in _LIBRARIES.items() if hash_str.startswith(start)), ""
        )
        if not library:
            return False
        secret = password.encode() if isinstance(password, str) else bytes(password)
        module = importlib.import_module(library)
        if library == "argon2":
            return _verify_argon2(module, secret, hash_str)
        try:
            if library == "bcrypt":
                return bool(module.checkpw(secret[:_BCRYPT_MOST], hash_str.encode()))
            return bool(module.sha512_crypt.verify(secret, hash_str))
        except (ValueError, TypeError) as error:
            logger.warning("A password hash is damaged: %s", error)
            return False


# What bcrypt looks at; newer versions of the library refuse more instead of leaving it out.
_BCRYPT_MOST = 72


def _verify_argon2(argon2: Any, secret: bytes, hash_str: str) -> bool:
    try:
        return bool(argon2.PasswordHasher().verify(hash_str, secret))
    except argon2.exceptions.VerifyMismatchError:
        return False
    except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError) as error:
        logger.warning("A password hash is damaged: %s", error)
        return False
