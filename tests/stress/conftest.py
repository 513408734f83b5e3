"""Fixtures of the tests of abuse."""

import sys

import pytest
from support.process import broker_kind


@pytest.fixture(autouse=True)
def _measurable() -> None:
    """Skip where the broker's memory cannot be measured, or the bounds are not ours to keep."""
    if sys.platform != "linux":
        pytest.skip("memory and CPU time of the broker are read from /proc")
    if broker_kind() != "amqtt":
        pytest.skip("the bounds are those of our broker")
