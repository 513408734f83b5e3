"""SCRAM (RFC 5802, RFC 7677) as a method of MQTT 5.0's enhanced authentication.

The broker does not learn the passwords, neither from its file nor from the clients, and the clients
learn that the broker knows theirs. `python -m amqtt.plugins.scram USER` makes a line of the file.
"""

from __future__ import annotations

import argparse
import base64
import binascii
import getpass
import hashlib
import logging
import secrets
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from scramp import ScramException, ScramMechanism  # type: ignore[import-untyped]

from amqtt.contexts import BaseContext
from amqtt.plugins._decoys import Decoys
from amqtt.plugins._user_file import UserFile
from amqtt.plugins.base import Decision
from amqtt.plugins.enhanced_authentication import (
    Accepted,
    AuthenticationStep,
    BaseEnhancedAuthPlugin,
    Challenge,
)
from amqtt.utils import user_name_problem

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from amqtt.session import Session

__all__ = ["ScramAuthPlugin", "make_verifier"]

METHODS = ("SCRAM-SHA-256", "SCRAM-SHA-512")
_ITERATIONS = 4096
_SALT_SIZE = 16


class _Verifier(NamedTuple):
    """What a server keeps of a password (section 3 of RFC 5802)."""

    salt: bytes
    stored_key: bytes
    server_key: bytes
    iterations: int


def make_verifier(password: str, method: str = METHODS[0], iterations: int = _ITERATIONS) -> str:
    """Make of a password what the file holds for its user.

    Args:
        password: the password.
        method: `SCRAM-SHA-256` or `SCRAM-SHA-512`.
        iterations: how often the password is hashed, at least 4096.

    Returns:
        `method$iterations:salt$StoredKey:ServerKey`, salt and keys in base64; PostgreSQL writes
        its verifiers like that.

    Raises:
        ValueError: the method is unknown, there are too few iterations, or the password has
            characters that SCRAM does not admit.

    """
    if method not in METHODS:
        msg = f"the method is one of {', '.join(METHODS)}, not '{method}'"
        raise ValueError(msg)
    if iterations < _ITERATIONS:
        msg = f"there must be at least {_ITERATIONS} iterations, not {iterations}"
        raise ValueError(msg)
    try:
        salt, stored_key, server_key, count = ScramMechanism(method).make_auth_info(
            password, iteration_count=iterations, salt=secrets.token_bytes(_SALT_SIZE)
        )
    except ScramException as error:
        raise ValueError(str(error)) from error
    in_base64 = [base64.b64encode(each).decode() for each in (salt, stored_key, server_key)]
    return "{}${}:{}${}:{}".format(method, count, *in_base64)


def _parse_verifier(text: str) -> tuple[str, _Verifier]:
    """Take a verifier of `make_verifier` apart.

    Raises:
        ValueError: it is none.

    """
    try:
        method, numbers, keys = text.split("$")
        iterations, salt = numbers.split(":")
        stored_key, server_key = keys.split(":")
        verifier = _Verifier(
            base64.b64decode(salt, validate=True),
            base64.b64decode(stored_key, validate=True),
            base64.b64decode(server_key, validate=True),
            int(iterations),
        )
    except (ValueError, binascii.Error) as error:
        msg = "not of the form method$iterations:salt$StoredKey:ServerKey"
        raise ValueError(msg) from error
    if method not in METHODS or {len(verifier.stored_key), len(verifier.server_key)} != {
        _key_size(method)
    }:
        msg = f"not a verifier of {' or '.join(METHODS)}"
        raise ValueError(msg)
    return method, verifier


def _key_size(method: str) -> int:
    return int(method.rpartition("-")[2]) // 8


def _kind_within(method: str) -> Callable[[tuple[str, _Verifier]], str | None]:
    """Return what tells the kinds of verifiers of a method apart: all that a client is told."""

    def kind_of(kept: tuple[str, _Verifier]) -> str | None:
        return f"{len(kept[1].salt)} {kept[1].iterations}" if kept[0] == method else None

    return kind_of


class ScramAuthPlugin(BaseEnhancedAuthPlugin):
    """Authenticate the users of a file by SCRAM-SHA-256 or SCRAM-SHA-512.

    The file has a line `user:verifier` for each user, see `make_verifier`; empty lines and lines
    that start with `#` are left out. It is read again when it has changed. Channel binding is not
    offered.
    """

    authentication_methods = METHODS

    @dataclass
    class Config:
        """The options.

        Attributes:
            password_file: path of the file.

        """

        password_file: str | Path

    def __init__(self, context: BaseContext) -> None:
        """Read the file.

        Raises:
            PasswordFileError: it cannot be read.

        """
        super().__init__(context)
        self._file = UserFile(Path(self.config.password_file), context.logger, _parse_verifier)
        # Unknown users get salt and iterations too, always the same, so that they do not look
        # unknown.
        self._decoys = {method: Decoys(_kind_within(method)) for method in METHODS}

    def _verifier_of(self, user: str, method: str) -> _Verifier:
        found = self._file.users.get(user)
        if found is not None and found[0] == method:
            return found[1]
        digest, like = self._decoys[method].choose(self._file.users, user)
        salt_size, iterations = _SALT_SIZE, _ITERATIONS
        if like is not None:
            salt_size, iterations = len(like[1].salt), like[1].iterations
        salt = hashlib.shake_256(digest).digest(salt_size)
        size = _key_size(method)
        return _Verifier(salt, secrets.token_bytes(size), secrets.token_bytes(size), iterations)

    async def reload(self) -> None:
        """Read the file again if it has changed."""
        self._file.read_changes()

    async def still_allowed(self, *, session: Session) -> bool | None:
        """Refuse a user who is not in the file any more; a new password is not looked at."""
        self._file.read_changes()
        return None if session.username in self._file.users else False

    async def authenticate_step(
        self, *, step: AuthenticationStep
    ) -> Challenge | Accepted | Decision | bool:
        """Take the client's messages, in their order, and answer with the server's."""
        if step.is_first and not step.data:
            return Challenge()  # the client waits to be asked
        try:
            return self._answer(step, step.data.decode())
        except (ScramException, UnicodeDecodeError) as error:
            client_id = step.session.client_id
            self.peer_log.log(
                logging.INFO, "failed authentications", client_id,
                "Client '%s' failed to authenticate itself by %s: %s",
                client_id, step.method, error,
            )  # fmt: skip
            return False

    def _answer(self, step: AuthenticationStep, message: str) -> Challenge | Accepted | bool:
        server = step.state.get("server")
        if server is None:
            self._file.read_changes()
            server = step.state["server"] = self._new_server(step)
            server.set_client_first(message)
            return Challenge(server.get_server_first().encode())
        server.set_client_final(message)
        user: str = step.state["user"]
        if step.is_repeated and user != step.session.username:
            client_id = step.session.client_id
            self.peer_log.log(
                logging.INFO, "clients that tried to become other users", client_id,
                "Client '%s' of user '%s' may not become user '%s'",
                client_id, step.session.username, user,
            )  # fmt: skip
            return False
        return Accepted(username=user, data=server.get_server_final().encode())

    def _new_server(self, step: AuthenticationStep) -> Any:
        def verifier_of(user: str) -> _Verifier:
            step.state["user"] = user
            return self._verifier_of(user, step.method)

        return ScramMechanism(step.method).make_server(verifier_of)


def main(arguments: Sequence[str] | None = None) -> None:
    """Ask for a password and print the line of a user."""
    parser = argparse.ArgumentParser(
        prog="python -m amqtt.plugins.scram",
        description="Print the line of a user for the file of ScramAuthPlugin.",
    )
    parser.add_argument("user")
    parser.add_argument("--method", choices=METHODS, default=METHODS[0])
    parser.add_argument("--iterations", type=int, default=_ITERATIONS)
    given = parser.parse_args(arguments)
    if ":" in given.user or given.user.startswith("#"):
        parser.error("the name of a user has no ':' and does not begin with '#'")
    if (problem := user_name_problem(given.user)) is not None:
        parser.error(f"{given.user!r} cannot be the name of a user: {problem}")
    if sys.stdin is None or sys.stdout is None:  # closed by whoever has started the command
        parser.error("the standard input and the standard output must be open")
    interactive = sys.stdin.isatty()
    password = getpass.getpass() if interactive else sys.stdin.readline().rstrip("\n")
    try:
        verifier = make_verifier(password, given.method, given.iterations)
    except ValueError as error:
        parser.error(str(error))
    sys.stdout.write(f"{given.user}:{verifier}\n")


if __name__ == "__main__":
    main()
