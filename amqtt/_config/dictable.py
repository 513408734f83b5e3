"""Configuration classes that can be read like dictionaries, and checks of their values."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar, cast

from amqtt._config.hydrate import ConfigValueError, describe_value
from amqtt._engine.codes import QOS_0, QOS_2

_D = TypeVar("_D", bound="Dictable")


class Dictable:
    """Let a dataclass be read like a dictionary.

    `config["key"]` and `config.get("key")` read an attribute, hyphens standing for underscores;
    `"key" in config` tells whether it is there and not None; iteration gives the values.
    """

    def __getitem__(self, key: str) -> Any:
        """Return the attribute; raise `ValueError` when there is none."""
        return self.get(key)

    def __contains__(self, key: object) -> bool:
        """Tell whether the attribute exists and is not None."""
        return isinstance(key, str) and getattr(self, key.replace("-", "_"), None) is not None

    def __iter__(self) -> Iterator[Any]:
        """Iterate over the values of the fields."""
        for each in dataclasses.fields(cast("Any", self)):
            yield getattr(self, each.name)

    def get(self, name: str, default: Any = None) -> Any:
        """Return an attribute by name.

        Args:
            name: name of the attribute.
            default: what to return when there is no such attribute.

        Returns:
            The value, which may be None.

        Raises:
            ValueError: there is no such attribute and no default.

        """
        attribute = name.replace("-", "_")
        if hasattr(self, attribute):
            return getattr(self, attribute)
        if default is None:
            msg = f"'{name}' is not defined"
            raise ValueError(msg)
        return default

    def copy(self: _D) -> _D:
        """Return a shallow copy, which is validated again."""
        duplicate: _D = dataclasses.replace(cast("Any", self))
        return duplicate


def check_range(config: Dictable, name: str, least: int, most: int | None = None) -> None:
    """Check that an option is a whole number in a range.

    Args:
        config: the configuration that holds the option.
        name: name of the option.
        least: the smallest value.
        most: the largest value; None means no limit.

    Raises:
        ConfigValueError: the value is out of range or no whole number.

    """
    value = config[name]
    if (
        isinstance(value, int)
        and not isinstance(value, bool)
        and least <= value
        and (most is None or value <= most)
    ):
        return
    span = f"from {least} to {most}" if most is not None else f"of at least {least}"
    problem = f"expected a whole number {span}, found {describe_value(value)}"
    raise ConfigValueError(name, problem)


def check_seconds(config: Dictable, name: str) -> None:
    """Check that an option is a number of seconds, 0 or more.

    Args:
        config: the configuration that holds the option.
        name: name of the option.

    Raises:
        ConfigValueError: the value is no finite number, or negative.

    """
    value = config[name]
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not (is_number and value >= 0 and math.isfinite(value)):
        problem = f"expected a number of seconds of at least 0, found {describe_value(value)}"
        raise ConfigValueError(name, problem)


def is_qos(value: Any) -> bool:
    """Tell whether a value is a quality of service."""
    return isinstance(value, int) and not isinstance(value, bool) and QOS_0 <= value <= QOS_2


def plugins_by_path(plugins: Any) -> dict[str, Any] | None:
    """Make one dictionary of a list of plugins.

    Args:
        plugins: a list of paths and of mappings of path to options; later entries win. A
            dictionary and None are returned as they are.

    Returns:
        Options by path.

    Raises:
        ConfigValueError: the list holds something else.

    """
    if plugins is None or isinstance(plugins, dict):
        return plugins
    by_path: dict[str, Any] = {}
    for index, item in enumerate(plugins):
        if isinstance(item, str):
            by_path[item] = {}
        elif isinstance(item, Mapping):
            by_path.update(item)
        else:
            problem = f"expected text or a mapping, found {describe_value(item)}"
            raise ConfigValueError(f"plugins.{index}", problem)
    return by_path
