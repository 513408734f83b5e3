from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, IntEnum
from pathlib import Path
from typing import Any

import dacite
import pytest

from amqtt._config.hydrate import (
    ConfigChoiceError,
    ConfigKeyError,
    ConfigMissingError,
    ConfigTypeError,
    ConfigValueError,
    describe_type,
    describe_value,
    hydrate,
)


class Colour(Enum):
    RED = "red"
    DARK_BLUE = "dark-blue"


class Level(IntEnum):
    LOW = 1
    HIGH = 2


@dataclass
class Inner:
    size: int
    wide_name: str = "x"

    def __post_init__(self) -> None:
        if self.size < 0:
            raise ConfigValueError("size", "expected more")
        if self.size == 0:
            raise ValueError("zero")
        if self.size == 1:
            raise FileNotFoundError("one")


@dataclass
class Outer:
    inner: Inner | None = None
    by_name: dict[str, Inner] = field(default_factory=dict)
    colour: Colour = Colour.RED
    level: Level | None = None
    place: str | Path | None = None
    rules: list[Inner] = field(default_factory=list)
    free: dict[str, Any] | None = None
    table: dict[str, list[str]] | None = None
    tables: dict[str, dict[str, list[int]]] = field(default_factory=dict)
    either: dict[str, int] | list[str | dict[str, int]] | None = None


def test_values() -> None:
    data = {"inner": {"size": 3}, "by-name": {"a-b": {"size": 4, "wide-name": "y"}}}
    result = hydrate(Outer, data)
    assert result.inner == Inner(3)
    assert result.by_name == {"a-b": Inner(4, "y")}
    assert data == {"inner": {"size": 3}, "by-name": {"a-b": {"size": 4, "wide-name": "y"}}}


def test_instances_are_kept() -> None:
    inner = Inner(5)
    assert hydrate(Inner, inner) is inner
    assert hydrate(Outer, {"inner": inner, "by_name": {"a": inner}}).by_name["a"] is inner


def test_keys_of_free_mappings_are_kept() -> None:
    assert hydrate(Outer, {"free": {"a-b": 1}}).free == {"a-b": 1}


@pytest.mark.parametrize("text", ["dark-blue", "DARK_BLUE", "Dark-Blue", "dark_blue"])
def test_enumeration_from_text(text: str) -> None:
    assert hydrate(Outer, {"colour": text}).colour is Colour.DARK_BLUE


@pytest.mark.parametrize("value", [2, "2", "high", Level.HIGH])
def test_enumeration_of_numbers(value: Any) -> None:
    assert hydrate(Outer, {"level": value}).level is Level.HIGH


def test_enumeration_may_be_null() -> None:
    assert hydrate(Outer, {"level": None}).level is None


@pytest.mark.parametrize(
    ("data", "error", "text"),
    [
        (
            {"inner": {"size": 2, "wide-nam": 1}},
            ConfigKeyError,
            "inner.wide-nam: unknown key, did you mean 'wide_name'?",
        ),
        (
            {"by_name": {"first": {"zzz": 1}}},
            ConfigKeyError,
            "by_name.first.zzz: unknown key, known are: size, wide_name",
        ),
        (
            {"by_name": {"first": {"size": "2"}}},
            ConfigTypeError,
            "by_name.first.size: expected a whole number, found the text '2'",
        ),
        (
            {"by_name": {"first": None}},
            ConfigTypeError,
            "by_name.first: expected a mapping, found null",
        ),
        ({"by_name": [1]}, ConfigTypeError, "by_name: expected a mapping, found a list"),
        ({"inner": {}}, ConfigMissingError, "inner.size: missing, expected a whole number"),
        (
            {"place": 5},
            ConfigTypeError,
            "place: expected text or a path or null, found the number 5",
        ),
        (
            {"colour": "green"},
            ConfigChoiceError,
            "colour: expected one of red, dark-blue, found the text 'green'",
        ),
        (
            {"colour": 5},
            ConfigTypeError,
            "colour: expected one of red, dark-blue, found the number 5",
        ),
        ({"level": True}, ConfigTypeError, "level: expected one of 1, 2, found true"),
        ({"inner": {"size": -1}}, ConfigValueError, "inner.size: expected more"),
        ({"inner": {"size": 0}}, ValueError, "inner: zero"),
        ({"inner": {"size": 1}}, FileNotFoundError, "inner: one"),
        (
            {"table": {"a": "x/#"}},
            ConfigTypeError,
            "table.a: expected a list, found the text 'x/#'",
        ),
        ({"table": {"a": None}}, ConfigTypeError, "table.a: expected a list, found null"),
        (
            {"table": {"a": ["x", 1]}},
            ConfigTypeError,
            "table.a.1: expected text, found the number 1",
        ),
        (
            {"table": {5: ["x"]}},
            ConfigValueError,
            "table: expected text for each key, found the number 5; put it in quotes",
        ),
        (
            {"tables": {"a": {"b": [True]}}},
            ConfigTypeError,
            "tables.a.b.0: expected a whole number, found true",
        ),
        (
            {"free": {True: 1}},
            ConfigValueError,
            "free: expected text for each key, found true; put it in quotes",
        ),
        (
            {"either": {"a": "b"}},
            ConfigTypeError,
            "either.a: expected a whole number, found the text 'b'",
        ),
        (
            {"either": ["a", {"b": None}]},
            ConfigTypeError,
            "either.1.b: expected a whole number, found null",
        ),
        (
            {"either": ["a", 1]},
            ConfigTypeError,
            "either.1: expected text or a mapping, found the number 1",
        ),
        (
            {"either": "a"},
            ConfigTypeError,
            "either: expected a mapping or a list or null, found the text 'a'",
        ),
        ([], ConfigTypeError, "configuration: expected a mapping, found a list"),
        (
            {"by_name": {}, "by-name": {}},
            ConfigValueError,
            "by_name: given twice, with '-' and with '_'",
        ),
    ],
)
def test_errors(data: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error) as caught:
        hydrate(Outer, data)
    assert str(caught.value) == text


def test_tables() -> None:
    data = {"table": {"a": ["x"], "b": []}, "tables": {"a": {"b": [1]}}, "either": [{"a": 1}, "b"]}
    made = hydrate(Outer, data)
    assert (made.table, made.tables, made.either) == tuple(data.values())
    assert hydrate(Outer, {"either": {"a": 1}}).either == {"a": 1}


def test_error_of_a_nested_list_is_a_dacite_error() -> None:
    with pytest.raises(dacite.WrongTypeError, match="rules"):
        hydrate(Outer, {"rules": [{"size": "big"}]})


def test_all_unknown_keys_are_named() -> None:
    with pytest.raises(ConfigKeyError) as caught:
        hydrate(Inner, {"siz": 1, 5: 2}, "top")
    assert "top.siz: unknown key, did you mean 'size'?" in str(caught.value)
    assert "top.5: unknown key" in str(caught.value)
    assert caught.value.keys == {"siz", "5"}


@pytest.mark.parametrize(
    ("error", "base"),
    [
        (ConfigKeyError, dacite.UnexpectedDataError),
        (ConfigTypeError, dacite.WrongTypeError),
        (ConfigTypeError, dacite.UnionMatchError),
        (ConfigMissingError, dacite.MissingValueError),
        (ConfigChoiceError, ValueError),
        (ConfigChoiceError, dacite.DaciteError),
        (ConfigValueError, ValueError),
    ],
)
def test_error_classes(error: type[Exception], base: type[Exception]) -> None:
    assert issubclass(error, base)


def test_unresolvable_annotation_is_reported() -> None:
    cls: Any = dataclass(type("Broken", (), {"__annotations__": {"a": "NoSuchName"}}))
    with pytest.raises(dacite.ForwardReferenceError):
        hydrate(cls, {"a": 1})


@pytest.mark.parametrize(
    ("hint", "text"),
    [
        (int | float, "a number"),
        (bytes, "bytes"),
        (list[int], "a list"),
        (dict[str, int] | None, "a mapping or null"),
        (Inner, "a mapping"),
        (Any, "any value"),
        (complex, "complex"),
    ],
)
def test_describe_type(hint: Any, text: str) -> None:
    assert describe_type(hint) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "true"),
        (1.5, "the number 1.5"),
        ({}, "a mapping"),
        ((), "a list"),
        (b"x", "bytes b'x'"),
        ("y" * 100, f"the text '{'y' * 56}..."),
    ],
)
def test_describe_value(value: Any, text: str) -> None:
    assert describe_value(value) == text
