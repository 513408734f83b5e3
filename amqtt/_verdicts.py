"""What comes of the opinions of several plugins."""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING, Any, NamedTuple

from amqtt.plugins.base import Decision

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from amqtt.plugins.manager import PluginManager

NOT_AUTHORIZED = 0x87
_LONGEST_REASON = 65_535
# A verdict that holds longer than this holds for ever, as far as anybody will notice.
_LONGEST_TTL = 1e9


class Verdict(NamedTuple):
    """What was decided.

    Attributes:
        allowed: whether the client may.
        code: the reason code of the refusal.
        reason: a text for the client; empty means none.

    """

    allowed: bool
    code: int = NOT_AUTHORIZED
    reason: str = ""

    @classmethod
    def refusal(cls) -> Verdict:
        """Return a refusal without a reason."""
        return cls(False)


def combine(
    manager: PluginManager[Any], results: Mapping[Any, Any], *, native_allows: bool = False
) -> Verdict:
    """Make one verdict of what several plugins say.

    Args:
        manager: where it is logged what is wrong with a result.
        results: what each plugin says; None is no opinion.
        native_allows: whether a plugin in the engine is in favour.

    Returns:
        Leave, when somebody is in favour and nobody is against; the first refusal otherwise.

    """
    allowed = native_allows
    for plugin, result in results.items():
        if result is True:  # spares the rest for what is said most often
            allowed = True
            continue
        if result is None:
            continue
        try:
            in_favour = bool(result)
        except Exception:
            name = type(plugin).__name__
            manager.peer_log.log(
                logging.ERROR, "unusable results of plugins", name,
                "Plugin '%s' has returned what is neither true nor false", name, exc_info=True,
            )  # fmt: skip
            in_favour = False
        if not in_favour:
            return _refusal_of(result)
        allowed = True
    return _ALLOWED if allowed else Verdict.refusal()


_ALLOWED = Verdict(True)


def _refusal_of(result: Any) -> Verdict:
    if not isinstance(result, Decision):
        return Verdict.refusal()
    code = NOT_AUTHORIZED if result.reason_code is None else result.reason_code
    reason = (result.reason_string or "").replace("\0", "")
    return Verdict(
        False, code, reason.encode(errors="replace")[:_LONGEST_REASON].decode(errors="ignore")
    )


def verdict_ttl(plugins: Iterable[Any]) -> float:
    """Return for how long a verdict of these plugins together holds, in seconds."""
    ttl = math.inf
    for plugin in plugins:
        declared = getattr(plugin, "verdict_ttl", 0)
        if type(declared) is int and declared == 0:
            return 0.0
        is_number = isinstance(declared, int | float) and not math.isnan(declared)
        ttl = min(ttl, max(0.0, float(declared)) if is_number else 0.0)
    return min(ttl, _LONGEST_TTL) if ttl != math.inf else 0.0
