"""Check passwords against hashes of several kinds."""

from __future__ import annotations

import base64
import importlib
import logging
import re
from typing import Any

from amqtt.logs import LogLimiter

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

# The hashes of mosquitto: one round of SHA-512, or PBKDF2 with SHA-512. Salt and sum are in
# base64; the padding of the sum tells them from those of SHA-512 crypt, which has none.
_MOSQUITTO = re.compile(
    r"\$(?:6|7\$(?P<rounds>[1-9]\d{0,8}))\$(?P<salt>[A-Za-z0-9+/]+={0,2})\$"
    r"(?P<sum>[A-Za-z0-9+/]{86}==)"
)


def is_of_mosquitto(hash_str: str) -> bool:
    """Tell whether a hash is one of those in a password file of mosquitto."""
    return _MOSQUITTO.fullmatch(hash_str) is not None


def kind_of_hash(hash_str: str) -> str:
    """Return what the time of a check depends on: the scheme with its parameters."""
    if hash_str.startswith("$2"):
        return hash_str[:7]  # bcrypt has no sign between salt and sum
    origin = "mosquitto" if is_of_mosquitto(hash_str) else ""
    return origin + hash_str.rsplit("$", 2)[0]


class PasswordHasher:
    """Check passwords by Argon2, bcrypt, SHA-512 crypt and the hashes of mosquitto.

    Safe to use from several threads.
    """

    def __init__(self) -> None:
        """Take note of damaged hashes in the log."""
        self._peer_log = LogLimiter(logger)

    @staticmethod
    def supports(hash_str: str) -> bool:
        """Tell whether a hash is of a kind that can be checked."""
        return hash_str.startswith(tuple(_LIBRARIES)) or is_of_mosquitto(hash_str)

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
        secret = password.encode() if isinstance(password, str) else bytes(password)
        try:
            return _verify(secret, hash_str)
        except (ValueError, TypeError) as error:
            self._peer_log.log(
                logging.WARNING, "damaged password hashes", "",
                "A password hash is damaged: %s", error,
            )  # fmt: skip
            return False


def _verify(secret: bytes, hash_str: str) -> bool:
    """Do the work of `PasswordHasher.verify`; a damaged hash raises ValueError or TypeError."""
    of_mosquitto = _MOSQUITTO.fullmatch(hash_str)
    if of_mosquitto:
        return _verify_mosquitto(of_mosquitto, secret)
    library = next((name for start, name in _LIBRARIES.items() if hash_str.startswith(start)), "")
    if not library:
        return False
    module = importlib.import_module(library)
    if library == "argon2":
        return _verify_argon2(module, secret, hash_str)
    if library == "bcrypt":
        return bool(module.checkpw(secret[:_BCRYPT_MOST], hash_str.encode()))
    return bool(module.sha512_crypt.verify(secret, hash_str))


# What bcrypt looks at; newer versions of the library refuse more instead of leaving it out.
_BCRYPT_MOST = 72


def _verify_argon2(argon2: Any, secret: bytes, hash_str: str) -> bool:
    try:
        return bool(argon2.PasswordHasher().verify(hash_str, secret))
    except argon2.exceptions.VerifyMismatchError:
        return False
    except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError) as error:
        raise ValueError(str(error)) from error


def _verify_mosquitto(hash_match: re.Match[str], secret: bytes) -> bool:
    salt, expected = (base64.b64decode(hash_match[part]) for part in ("salt", "sum"))
    import hashlib  # a broker without password files gets along without
    import hmac

    if hash_match["rounds"]:
        found = hashlib.pbkdf2_hmac("sha512", secret, salt, int(hash_match["rounds"]))
    else:
        found = hashlib.sha512(secret + salt).digest()
    return hmac.compare_digest(found, expected)
