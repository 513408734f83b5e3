"""Password hashes of several schemes, and the threads that make and check them."""

from __future__ import annotations

import asyncio
import hmac
import os
import secrets
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

from amqtt.contrib.auth_db.hasher import DEPRECATED_SCHEMES, SCHEMES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

T = TypeVar("T")

# Added to the priority number of hashing threads: many logins at once must not delay traffic.
_NICENESS = 10
# Of hashes, of which one is kept each.
_MOST_KINDS = 16


class HashSchemes:
    """Make hashes of the first of some schemes and check those of all of them.

    Safe to use from several threads.

    Args:
        schemes: names of `SCHEMES`; None means Argon2 and bcrypt. When the first one is
            deprecated, Argon2 goes before it.

    Raises:
        ValueError: a scheme is unknown, or there is none.

    """

    def __init__(self, schemes: Sequence[str] | None = None) -> None:
        """Make the hashers."""
        names = list(("argon2", "bcrypt") if schemes is None else schemes)
        unknown = [name for name in names if name not in SCHEMES]
        if unknown or not names:
            msg = f"unknown hash schemes {unknown}: there are {', '.join(SCHEMES)}"
            raise ValueError(msg)
        deprecated = [name for name in names if name in DEPRECATED_SCHEMES]
        if deprecated:
            warnings.warn(
                f"The hash schemes {', '.join(deprecated)} are deprecated; their hashes are"
                " replaced by new ones when users log in",
                DeprecationWarning,
                stacklevel=3,
            )
        if names[0] in DEPRECATED_SCHEMES:
            names = ["argon2", *(name for name in names if name != "argon2")]
        self.hashers: list[Any] = [SCHEMES[name]() for name in names]
        # A stored hash of each kind that was checked: of unknown users one of these is checked.
        self._samples: dict[str, str] = {}
        self._secret = secrets.token_bytes(32)
        self._lock = threading.Lock()

    def hash(self, password: str | bytes) -> str:
        """Make a hash of the first scheme."""
        made: str = self.hashers[0].hash(password)
        return made

    def knows(self, hash_str: str | bytes) -> bool:
        """Tell whether a hash is of one of the schemes."""
        return any(each.identify(hash_str) for each in self.hashers)

    def verify(self, password: str | bytes, hash_str: str | bytes) -> bool:
        """Tell whether a password belongs to a hash; false when the hash is of no scheme."""
        return any(
            each.verify(password, hash_str) for each in self.hashers if each.identify(hash_str)
        )

    def verify_and_update(
        self, password: str | bytes, hash_str: str | bytes
    ) -> tuple[bool, str | None]:
        """Check a password and make a new hash when the stored one is outdated.

        Args:
            password: the password.
            hash_str: the stored hash.

        Returns:
            Whether the password is right; and what the hash should be replaced by, or None.

        """
        self._take_sample(hash_str)
        if not self.verify(password, hash_str):
            return False, None
        first = self.hashers[0]
        if first.identify(hash_str) and not first.check_needs_rehash(hash_str):
            return True, None
        try:
            return True, self.hash(password)
        except ValueError:  # too long for bcrypt, which still may take it as it was
            return True, None

    def verify_nobody(self, password: str | bytes, name: str = "") -> None:
        """Take the time of a check, so that unknown users do not show by another one.

        Args:
            password: the password.
            name: the name of the user: for the same name the check is of the same kind, one of
                those that known users have.

        """
        with self._lock:
            if not self._samples:
                made = self.hash(secrets.token_urlsafe())
                self._samples[_kind_of(made)] = made
            samples = [self._samples[kind] for kind in sorted(self._samples)]
        digest = hmac.digest(self._secret, name.encode(errors="replace"), "sha256")
        self.verify(password, samples[int.from_bytes(digest[:8], "big") % len(samples)])

    def _take_sample(self, hash_str: str | bytes) -> None:
        text = hash_str.decode(errors="replace") if isinstance(hash_str, bytes) else hash_str
        kind = _kind_of(text)
        if kind in self._samples or not self.knows(text):
            return
        with self._lock:
            if len(self._samples) < _MOST_KINDS:
                self._samples[kind] = text


def _kind_of(hash_str: str) -> str:
    """Return what the time of a check depends on: the scheme with its parameters."""
    # Bcrypt has no sign between salt and sum.
    return hash_str[:7] if hash_str.startswith("$2") else hash_str.rsplit("$", 2)[0]


class HashingThreads:
    """Run what takes the processor for long in threads of low priority, as many as processors.

    The threads are made when they are needed; `close` ends them.
    """

    def __init__(self) -> None:
        """Make no thread yet."""
        self._pool: ThreadPoolExecutor | None = None

    async def run(self, call: Callable[..., T], *args: Any) -> T:
        """Call a function in a thread; a cancelled call that has not begun does not run."""
        if self._pool is None:
            self._pool = ThreadPoolExecutor(
                os.cpu_count() or 1, "amqtt-hashing", initializer=_lower_priority
            )
        return await asyncio.get_running_loop().run_in_executor(self._pool, call, *args)

    def close(self) -> None:
        """End the threads; what has begun is finished, what has not is cancelled."""
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait=False, cancel_futures=True)


def _lower_priority() -> None:
    # Only Linux has priorities of threads; Argon2's own threads inherit that of their maker.
    if hasattr(os, "setpriority") and os.uname().sysname == "Linux":
        thread = threading.get_native_id()
        os.setpriority(os.PRIO_PROCESS, thread, os.getpriority(os.PRIO_PROCESS, thread) + _NICENESS)
