"""What the verdicts of plugins come to."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from typing import Any

import pytest

from amqtt._broker.decisions import NOT_AUTHORIZED, Verdict, combine, verdict_ttl
from amqtt._broker.exchanges import Exchanges
from amqtt.contexts import BaseContext
from amqtt.plugins.base import Decision
from amqtt.plugins.enhanced_authentication import (
    Accepted,
    AuthenticationStep,
    BaseEnhancedAuthPlugin,
)
from amqtt.plugins.manager import PluginManager
from amqtt.session import Session

ALLOWED = Verdict(True)
REFUSED = Verdict(False)


class Plugin:
    """Stands for a plugin that has decided."""


class WithoutTruth:
    def __bool__(self) -> bool:
        msg = "neither"
        raise ValueError(msg)


@dataclass(frozen=True)
class Careless(Decision):
    """Does not check its reason code."""

    def __post_init__(self) -> None:
        pass


async def manager_of(*plugins: type) -> PluginManager[BaseContext]:
    context = BaseContext()
    context.config = {"plugins": {f"{each.__module__}.{each.__qualname__}": {} for each in plugins}}
    return PluginManager("test.verdicts", context)


async def test_verdicts_as_documented() -> None:
    manager = await manager_of()
    table: list[tuple[list[Any], Verdict]] = [
        ([True], ALLOWED), ([False], REFUSED), ([None], REFUSED), ([], REFUSED),
        ([True, True], ALLOWED), ([True, False], REFUSED), ([True, None], ALLOWED),
        ([False, None], REFUSED), ([None, None], REFUSED), ([Decision(True)], ALLOWED),
        ([True, Decision(False, 0x97, "no")], Verdict(False, 0x97, "no")),
        ([Decision(False)], Verdict(False, NOT_AUTHORIZED)),
    ]  # fmt: skip
    for results, verdict in table:
        assert combine(manager, {Plugin(): each for each in results}) == verdict, results


@pytest.mark.parametrize(
    "value",
    ["yes", "True", "", 1, 0, 1.0, [True], [], (True,), {"allow": True}, object(), WithoutTruth(),
     b"yes", Plugin, NotImplemented, Decision, Decision("yes"), Decision(1), Decision(0)],
    ids=repr,
)  # fmt: skip
async def test_nothing_but_true_admits(value: Any, caplog: pytest.LogCaptureFixture) -> None:
    for native in (False, True):
        manager, plugin = await manager_of(), Plugin()
        caplog.clear()
        assert not combine(manager, {plugin: value}, native_allows=native).allowed
        (record,) = caplog.records
        assert record.levelno == logging.ERROR
        kind = value.allow if isinstance(value, Decision) else value
        assert "'Plugin'" in record.getMessage()
        assert f"'{type(kind).__name__}'" in record.getMessage()
        assert not combine(manager, {Plugin(): True, Plugin(): value}).allowed


async def test_wrong_verdicts_do_not_fill_the_log(caplog: pytest.LogCaptureFixture) -> None:
    manager, plugin = await manager_of(), Plugin()
    for _ in range(1000):
        assert not combine(manager, {plugin: "yes"}).allowed
    assert 1 <= len(caplog.records) <= 10


@pytest.mark.parametrize("code", [0, 1, 2, 0x7F, 256, -1, "0x87", True, None, 135.0])
async def test_a_refusal_has_a_code_of_failure(code: Any) -> None:
    manager = await manager_of()
    assert combine(manager, {Plugin(): Careless(False, code, 7)}) == Verdict(False, NOT_AUTHORIZED)  # type: ignore[arg-type]


class Steps(BaseEnhancedAuthPlugin):
    authentication_methods = ("M",)
    result: Any = None

    async def authenticate_step(self, *, step: AuthenticationStep) -> Any:  # noqa: ARG002
        return self.result


class Registry:
    """Has one session for everybody."""

    def __init__(self) -> None:
        self.session = Session()

    def candidate(self, ticket: int, facts: dict[str, Any]) -> Session:  # noqa: ARG002
        return self.session

    def of_event(self, client_id: str) -> Session:  # noqa: ARG002
        return self.session


@pytest.mark.parametrize("result", ["yes", 1, [1], Accepted(username=5), Accepted(data="x")])  # type: ignore[arg-type]
async def test_enhanced_authentication_accepts_by_type(
    result: Any, caplog: pytest.LogCaptureFixture
) -> None:
    manager = await manager_of(Steps)
    manager.plugins[0].result = result
    exchanges = Exchanges(manager, Registry())  # type: ignore[arg-type]
    step = exchanges.begin_step(1, {}, "c", "M", b"", True, False)
    assert await exchanges.answer(1, step) == exchanges.refusal()
    assert "'Steps'" in caplog.text


async def test_a_late_answer_names_nobody_else() -> None:
    """A user name that a plugin finds is that of its own exchange, which may be over."""
    manager = await manager_of(Steps)
    manager.plugins[0].result = Accepted(username="alice")
    registry = Registry()
    exchanges = Exchanges(manager, registry)  # type: ignore[arg-type]
    exchanges.may_change_user = True
    step = exchanges.begin_step(1, None, "c", "M", b"", True, True)
    exchanges.ended(1)
    await exchanges.answer(1, step)
    assert registry.session.username is None
    step = exchanges.begin_step(2, None, "c", "M", b"", True, True)
    await exchanges.answer(2, step)
    assert registry.session.username == "alice"


def test_how_long_verdicts_hold() -> None:
    class Holding:
        def __init__(self, seconds: Any) -> None:
            self.verdict_ttl = seconds

    assert verdict_ttl([]) == 0
    assert verdict_ttl([Holding(5), Holding(3.0)]) == 3
    assert verdict_ttl([Holding(5), Holding("9")]) == 0
    assert verdict_ttl([Holding(math.nan)]) == 0
    assert verdict_ttl([Holding(math.inf)]) == 0
