"""Make dataclasses from mappings, with errors that a person can act on.

dacite does the work, one level at a time, so that every error knows the whole path of its key.
"""

from __future__ import annotations

import dataclasses
import difflib
import types
from collections.abc import Iterable, Mapping
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

import dacite

T = TypeVar("T")

_LONGEST_SHOWN = 60

_TYPE_NAMES: dict[Any, str] = {
    type(None): "null",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    bytes: "bytes",
    Path: "a path",
    Any: "any value",
}


class ConfigKeyError(dacite.UnexpectedDataError):
    """Report keys that the configuration does not know, each with the nearest one it knows.

    Args:
        keys: the unknown keys, as they are spelt in the configuration.
        path: where they stand, in dotted form; empty at the top.
        known: the keys that are known there.

    """

    def __init__(self, keys: Iterable[Any], path: str, known: Iterable[str]) -> None:
        """Remember the keys and where they stand."""
        unknown = list(keys)
        super().__init__(keys={str(key) for key in unknown})
        self.path = path
        self._text = "; ".join(self._describe(key, path, sorted(known)) for key in unknown)

    @staticmethod
    def _describe(key: Any, path: str, known: list[str]) -> str:
        name = str(key).replace("-", "_").lower()
        nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
        hint = f"did you mean '{nearest[0]}'?" if nearest else f"known are: {', '.join(known)}"
        if not known:
            hint = "there are none here"
        return f"{_join(path, key)}: unknown key, {hint}"

    def __str__(self) -> str:
        """Name each key by its path."""
        return self._text


class ConfigTypeError(dacite.UnionMatchError):
    """Report a value of the wrong type.

    Args:
        path: dotted path of the key.
        expected: the type that the value should have.
        value: what was found.

    """

    def __init__(self, path: str, expected: Any, value: Any) -> None:
        """Remember the key, the type and the value."""
        super().__init__(field_type=expected, value=value, field_path=path)

    def __str__(self) -> str:
        """Say what was expected and what was found."""
        expected, found = describe_type(self.field_type), describe_value(self.value)
        return f"{self.field_path}: expected {expected}, found {found}"


class ConfigChoiceError(ConfigTypeError, ValueError):
    """Report a text that is not one of the choices of an enumeration."""


class ConfigMissingError(dacite.MissingValueError):
    """Report a key that is required and absent.

    Args:
        path: dotted path of the key.
        expected: the type that the value should have.

    """

    def __init__(self, path: str, expected: Any) -> None:
        """Remember the key and the type."""
        super().__init__(path)
        self.expected = expected

    def __str__(self) -> str:
        """Say what is missing."""
        return f"{self.field_path}: missing, expected {describe_type(self.expected)}"


class ConfigValueError(ValueError):
    """Report a value of the right type that is out of range.

    Args:
        path: dotted path of the key.
        problem: what was expected, and what was found.

    """

    def __init__(self, path: str, problem: str) -> None:
        """Remember the key and the problem."""
        super().__init__(path, problem)
        self.path = path
        self.problem = problem

    def __str__(self) -> str:
        """Name the key and the problem."""
        return f"{self.path}: {self.problem}"


def describe_type(hint: Any) -> str:
    """Name a type as a writer of YAML knows it.

    Args:
        hint: a type, or a union of types.

    Returns:
        A phrase such as `a whole number or null`.

    """
    if _is_union(hint):
        members = list(get_args(hint))
        if float in members and int in members:
            members.remove(int)
        return " or ".join(dict.fromkeys(describe_type(member) for member in members))
    if hint in _TYPE_NAMES:
        return _TYPE_NAMES[hint]
    origin = get_origin(hint) or hint
    if isinstance(origin, type):
        if issubclass(origin, Enum):
            return "one of " + ", ".join(str(member.value) for member in origin)
        if dataclasses.is_dataclass(origin) or issubclass(origin, Mapping):
            return "a mapping"
        if issubclass(origin, list | tuple | set | frozenset):
            return "a list"
    return getattr(hint, "__name__", str(hint))


def describe_value(value: Any) -> str:
    """Show a value as it stands in YAML.

    Args:
        value: a value from a configuration.

    Returns:
        A phrase such as `the text 'on'`; long values are cut.

    """
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, list | tuple | set | frozenset):
        return "a list"
    shown = repr(value)
    if len(shown) > _LONGEST_SHOWN:
        shown = shown[: _LONGEST_SHOWN - 3] + "..."
    if isinstance(value, str):
        return f"the text {shown}"
    if isinstance(value, int | float):
        return f"the number {shown}"
    return f"{type(value).__name__} {shown}"


def hydrate(data_class: type[T], data: Any, path: str = "") -> T:
    """Make a dataclass from a mapping, strictly.

    Hyphens and underscores are the same in a key. A text is accepted for a member of an
    enumeration: its value or its name, in any case. Nothing else is converted.

    Args:
        data_class: the dataclass.
        data: a mapping, or an instance of the dataclass, which is returned.
        path: where the mapping stands in the configuration, for the errors.

    Returns:
        The instance.

    Raises:
        dacite.DaciteError: a key is unknown or missing, or a value has the wrong type.
        ValueError: a value is out of range.
        FileNotFoundError: a file that the configuration names does not exist.

    """
    if isinstance(data, data_class):
        return data
    if not isinstance(data, Mapping):
        raise ConfigTypeError(path or "configuration", data_class, data)
    hints = _type_hints(data_class)
    values = {
        name: _convert(hints.get(name), value, _join(path, name))
        for name, value in _known_keys(data_class, data, path).items()
    }
    try:
        return dacite.from_dict(data_class, values, dacite.Config(strict=True))
    except dacite.MissingValueError as error:
        name = error.field_path or ""
        raise ConfigMissingError(_join(path, name), hints.get(name, Any)) from None
    except dacite.WrongTypeError as error:
        where = _join(path, error.field_path or "")
        raise ConfigTypeError(where, error.field_type, error.value) from None
    except ConfigValueError as error:
        raise ConfigValueError(_join(path, error.path), error.problem) from None
    except (ValueError, FileNotFoundError) as error:
        if path and type(error) in (ValueError, FileNotFoundError) and len(error.args) == 1:
            raise type(error)(f"{path}: {error}") from error
        raise


def _join(path: str, key: Any) -> str:
    return f"{path}.{key}" if path else str(key)


def _is_union(hint: Any) -> bool:
    return get_origin(hint) in (Union, types.UnionType)


def _type_hints(data_class: type) -> dict[str, Any]:
    try:
        return get_type_hints(data_class)
    except NameError:
        return {}  # dacite names the reference that cannot be resolved


def _known_keys(data_class: Any, data: Mapping[Any, Any], path: str) -> dict[str, Any]:
    """Spell the keys as the fields of the dataclass are spelt."""
    known = {field.name for field in dataclasses.fields(data_class)}
    spelling = {key: key if key in known else str(key).replace("-", "_") for key in data}
    unknown = [key for key, name in spelling.items() if name not in known]
    if unknown:
        raise ConfigKeyError(unknown, path, known)
    result: dict[str, Any] = {}
    for key, name in spelling.items():
        if name in result:
            raise ConfigValueError(_join(path, name), "given twice, with '-' and with '_'")
        result[name] = data[key]
    return result


def _convert(hint: Any, value: Any, path: str) -> Any:
    """Make what dacite would not make, or would make or refuse without knowing the path."""
    members = get_args(hint) if _is_union(hint) else (hint,)
    if value is None and type(None) in members:
        return None
    wanted = _member_for(value, [member for member in members if member is not type(None)])
    if wanted is None:
        return value  # a choice of several types is dacite's
    if isinstance(wanted, type) and dataclasses.is_dataclass(wanted):
        return hydrate(wanted, value, path)
    if isinstance(wanted, type) and issubclass(wanted, Enum):
        return _to_member(wanted, value, path)
    if get_origin(wanted) is dict and isinstance(value, Mapping):
        of_key, of_item = get_args(wanted)
        for key in value:
            _check_key(of_key, key, path)
        return {key: _convert_item(of_item, each, _join(path, key)) for key, each in value.items()}
    if get_origin(wanted) is list and isinstance(value, list):
        item = get_args(wanted)[0]
        return [_convert_item(item, each, _join(path, at)) for at, each in enumerate(value)]
    return value


def _member_for(value: Any, members: list[Any]) -> Any:
    """Return which of several types a value is meant to have; None when that is not clear."""
    if len(members) == 1:
        return members[0]
    kind = dict if isinstance(value, Mapping) else list if isinstance(value, list) else None
    fitting = [member for member in members if kind is not None and get_origin(member) is kind]
    return fitting[0] if len(fitting) == 1 else None


def _convert_item(hint: Any, value: Any, path: str) -> Any:
    """Convert an item of a mapping or a list; dacite would not say which one is wrong."""
    made = _convert(hint, value, path)
    members = get_args(hint) if _is_union(hint) else (hint,)
    if not any(_is_of(member, made) for member in members):
        raise ConfigTypeError(path, hint, value)
    return made


def _is_of(hint: Any, value: Any) -> bool:
    """Tell whether a value may be of a type, as far as its items are not looked at."""
    if hint is Any:
        return True
    kind = get_origin(hint) or hint
    if not isinstance(kind, type):
        return True
    if kind is dict:
        return isinstance(value, Mapping)
    return isinstance(value, kind) and (not isinstance(value, bool) or kind is bool)


def _check_key(hint: Any, key: Any, path: str) -> None:
    if not _is_of(hint, key):
        expected, found = describe_type(hint), describe_value(key)
        problem = f"expected {expected} for each key, found {found}"
        if hint is str:
            problem += "; put it in quotes"
        raise ConfigValueError(path, problem)


def _to_member(choices: type[Enum], value: Any, path: str) -> Any:
    if isinstance(value, choices):
        return value
    for member in choices:
        if value == member.value and type(value) is type(member.value):
            return member
    if not isinstance(value, str):
        raise ConfigTypeError(path, choices, value)
    for member in choices:
        if value.lower() in (str(member.value).lower(), member.name.lower()):
            return member
    raise ConfigChoiceError(path, choices, value)
