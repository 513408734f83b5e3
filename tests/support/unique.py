"""Names that no other test uses, so that tests can share one broker."""

import itertools
import os
import string

_DIGITS = string.digits + string.ascii_lowercase
_counter = itertools.count()
_seed = int.from_bytes(os.urandom(3), "big")


def unique_id() -> str:
    """Return eight characters [0-9a-z] that this process has not returned before."""
    number = _seed * 36**3 + next(_counter)
    digits = []
    for _ in range(8):
        number, digit = divmod(number, 36)
        digits.append(_DIGITS[digit])
    return "".join(reversed(digits))
