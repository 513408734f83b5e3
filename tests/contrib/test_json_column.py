"""The package `amqtt.contrib` and its column type."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass

import pytest
from sqlalchemy import Column, Integer, MetaData, Table, create_engine, insert, select, text

import amqtt.contrib
from amqtt.contrib import DataClassListJSON


@dataclass
class Point:
    x: int
    y: str = "y"


POINTS = Table(
    "points", MetaData(), Column("id", Integer), Column("them", DataClassListJSON(Point))
)


def test_importing_the_package_imports_no_third_party_package() -> None:
    program = (
        "import sys; before = set(sys.modules); import amqtt.contrib;"
        "assert not {'sqlalchemy', 'aiohttp', 'cryptography'} & (set(sys.modules) - before)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="NoSuchName"):
        _ = amqtt.contrib.NoSuchName


def test_instances_are_stored_as_objects_and_come_back_as_instances() -> None:
    engine = create_engine("sqlite://")
    with engine.begin() as connection:
        POINTS.metadata.create_all(connection)
        values = [{"id": 1, "them": [Point(1), {"x": 2, "y": "z"}]}, {"id": 2, "them": []}]
        connection.execute(insert(POINTS), [*values, {"id": 3, "them": None}])
        stored = connection.execute(text("SELECT them FROM points ORDER BY id")).scalars().all()
        assert stored == ['[{"x": 1, "y": "y"}, {"x": 2, "y": "z"}]', "[]", None]
        loaded = connection.execute(select(POINTS.c.them).order_by(POINTS.c.id)).scalars().all()
        assert loaded == [[Point(1), Point(2, "z")], [], None]
    engine.dispose()


@pytest.mark.parametrize("wrong", [int, Point(1), None])
def test_what_is_no_dataclass_is_refused(wrong: object) -> None:
    with pytest.raises(TypeError, match="no dataclass"):
        DataClassListJSON(wrong)  # type: ignore[type-var,arg-type]
