"""What comes of the opinions of several plugins."""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING, Any, NamedTuple

from amqtt.plugins.base import Decision
from amqtt.plugins.manager import PluginManager

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

NOT_AUTHORIZED = 0x87
_LEAST_REFUSAL = 0x80
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

    Only `True` and a `Decision` whose `allow` is `True` are in favour. A value of another type is
    a refusal, whether Python takes it for true or not, and is logged.

    Args:
        manager: where it is logged what is wrong with a result.
        results: what each plugin says; None is no opinion.
        native_allows: whether a plugin in the engine is in favour.

    Returns:
        Leave, when somebody is in favour and nobody is against; the first refusal otherwise.

    """
    allowed = native_allows
    for plugin, result in results.items():
        if result is True:
            allowed = True
        elif result is False:
            return Verdict.refusal()
        elif isinstance(result, Decision):
            if result.allow is not True:
                if result.allow is not False:
                    report_wrong_type(manager, plugin, result.allow, "Decision.allow")
                return _refusal_of(result)
            allowed = True
        elif result is not None:
            report_wrong_type(manager, plugin, result, "a verdict")
            return Verdict.refusal()
    return _ALLOWED if allowed else Verdict.refusal()


_ALLOWED = Verdict(True)


def report_wrong_type(manager: PluginManager[Any], plugin: Any, value: object, where: str) -> None:
    """Log that a plugin has decided with a value of a wrong type, which refuses the client.

    Args:
        manager: the plugins.
        plugin: the plugin.
        value: what it has returned; only its type is logged.
        where: what the value stands for.

    """
    name = type(plugin).__name__
    manager.peer_log.log(
        logging.ERROR,
        "unusable results of plugins",
        name,
        "Plugin '%s' has returned a value of the type '%s' as %s, which is neither true nor false"
        " and refuses the client; only True, False, None and Decision are verdicts",
        name,
        type(value).__name__,
        where,
    )


def _refusal_of(decision: Decision) -> Verdict:
    code, reason = decision.reason_code, decision.reason_string
    if type(code) is not int or not _LEAST_REFUSAL <= code <= 0xFF:  # a subclass may not check it
        code = NOT_AUTHORIZED
    if not isinstance(reason, str):
        return Verdict(False, code)
    cut = reason.replace("\0", "").encode(errors="replace")[:_LONGEST_REASON]
    return Verdict(False, code, cut.decode(errors="ignore"))


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
