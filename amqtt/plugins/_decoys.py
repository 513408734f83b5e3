"""What is checked for users that do not exist, so that they cannot be told from those that do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

V = TypeVar("V")


class Decoys(Generic[V]):
    """Choose for each unknown name what is kept of some user, always of the same kind.

    What differs in the time of a check, or in what a client is told, is a kind. The choice depends
    on a secret that is made of what is kept of the users. It is the same after a restart, and
    seldom another after users have been added.

    Args:
        kind_of: returns the kind of what is kept of a user; None excludes it.

    """

    def __init__(self, kind_of: Callable[[V], str | None]) -> None:
        """Make no choice yet."""
        self._kind_of = kind_of
        self._users: Mapping[str, V] | None = None
        self._by_kind: list[V] = []
        self._secret = b""

    def choose(self, users: Mapping[str, V], name: str) -> tuple[bytes, V | None]:
        """Choose for an unknown name.

        Args:
            users: what is kept, by user; another object when it has changed.
            name: the name.

        Returns:
            32 bytes that depend on the name, which nobody can tell in advance; and what is kept of
            a user, None when there is no user of any kind.

        """
        if users is not self._users:
            self._look_at(users)
        import hmac  # a broker without password files gets along without

        digest = hmac.digest(self._secret, name.encode(errors="replace"), "sha256")
        if not self._by_kind:
            return digest, None
        return digest, self._by_kind[int.from_bytes(digest[:8], "big") % len(self._by_kind)]

    def _look_at(self, users: Mapping[str, V]) -> None:
        import hashlib
        import secrets

        self._users = users
        kinds: dict[str, V] = {}
        least = b""
        for value in users.values():
            kind = self._kind_of(value)
            if kind is None:
                continue
            kinds.setdefault(kind, value)
            digest = hashlib.sha256(repr(value).encode()).digest()
            least = min(least or digest, digest)
        self._by_kind = [kinds[kind] for kind in sorted(kinds)]
        self._secret = least or secrets.token_bytes(32)
