"""A database column that holds a list of dataclass instances."""

from __future__ import annotations

import dataclasses
from typing import Any, TypeVar

from sqlalchemy import JSON
from sqlalchemy.types import TypeDecorator

T = TypeVar("T")


class DataClassListJSON(TypeDecorator[list[Any]]):
    """Store a list of instances of a dataclass as a JSON array of objects; None is NULL.

    Args:
        dataclass_type: the dataclass; its fields are the keys of the objects.

    Raises:
        TypeError: it is no dataclass.

    """

    impl = JSON
    cache_ok = True

    def __init__(self, dataclass_type: type[T]) -> None:
        """Remember the dataclass."""
        if not (isinstance(dataclass_type, type) and dataclasses.is_dataclass(dataclass_type)):
            msg = f"{dataclass_type!r} is no dataclass"
            raise TypeError(msg)
        super().__init__(none_as_null=True)  # else None would be stored as the JSON text "null"
        self.dataclass_type = dataclass_type

    def process_bind_param(self, value: list[Any] | None, dialect: Any) -> list[Any] | None:  # noqa: ARG002
        """Make objects of instances; what is an object already stays as it is."""
        if value is None:
            return None
        return [item if isinstance(item, dict) else dataclasses.asdict(item) for item in value]

    def process_result_value(self, value: list[Any] | None, dialect: Any) -> list[Any] | None:  # noqa: ARG002
        """Make instances of objects."""
        if value is None:
            return None
        return [self.dataclass_type(**item) for item in value]

    def process_literal_param(self, value: Any, dialect: Any) -> Any:
        """Treat a value that is written into the statement like one that is bound."""
        return self.process_bind_param(value, dialect)

    @property
    def python_type(self) -> type:
        """The type of the values."""
        return list
