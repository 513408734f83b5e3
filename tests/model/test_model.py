"""The broker core does what the model of the standard says, whatever clients do."""

import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from model.actions import parse
from model.driver import Driver, driver_path
from model.generator import LENGTH, Generator
from model.packets import split
from model.runner import explain, run

REGRESSIONS = sorted((Path(__file__).parent / "regressions").glob("*.txt"))
FIXED = 500
FRESH = 200  # scripts that are new each time


@pytest.fixture(scope="module")
def driver() -> Iterator[Driver]:
    """Start the process with the broker core."""
    if not driver_path().exists():
        reason = f"not tested: {driver_path()} is not built; ./dev build builds it"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    with Driver() as started:
        yield started


def check(driver: Driver, seeds: range, *, durable: bool = False) -> None:
    """Fail with the shortest script of the first seed whose script fails."""
    for seed in seeds:
        script = Generator(seed, durable=durable).script(LENGTH)
        if run(driver, script) is not None:
            pytest.fail(f"seed {seed} fails {explain(driver, script)}")


@pytest.mark.parametrize("path", REGRESSIONS, ids=lambda path: path.stem)
def test_scripts_that_failed_once(path: Path, driver: Driver) -> None:
    assert run(driver, parse(path.read_text(encoding="utf-8"))) is None


def test_the_same_scripts_every_time(driver: Driver) -> None:
    check(driver, range(FIXED))


def test_scripts_that_are_new(driver: Driver) -> None:
    first = random.randrange(1_000_000, 1_000_000_000)
    print(f"seeds {first} to {first + FRESH - 1}")
    check(driver, range(first, first + FRESH))


def test_a_broker_that_is_restarted(driver: Driver) -> None:
    """Whatever has happened, clients that come back notice nothing."""
    check(driver, range(FIXED), durable=True)
    first = random.randrange(1_000_000, 1_000_000_000)
    print(f"seeds {first} to {first + FRESH - 1}")
    check(driver, range(first, first + FRESH), durable=True)


def test_a_script_is_read_as_it_was_written() -> None:
    script = Generator(1).script(LENGTH)
    assert parse(str(script)) == script


# -- what a model is good for: it notices


class Tampering:
    """Hands on what the broker does, but for the packets that a test changes.

    ``change`` is given each PUBLISH and returns what is to be seen in place of it.
    """

    def __init__(self, driver: Driver, change: Callable[[bytes], bytes]) -> None:
        self._driver = driver
        self._change = change

    def reset(self, settings: dict[str, int]) -> None:
        self._driver.reset(settings)

    def command(self, *words: str) -> list[tuple[str, bytes | None]]:
        seen = self._driver.command(*words)
        return [(name, data and b"".join(map(self._tamper, split(data)))) for name, data in seen]

    def _tamper(self, packet: bytes) -> bytes:
        return self._change(packet) if packet[0] >> 4 == 3 else packet


def with_bits(packet: bytes, mask: int, when: int = 0) -> bytes:
    """Turn bits of the first byte over, if those of ``when`` are set."""
    return bytes([packet[0] ^ mask]) + packet[1:] if packet[0] & when == when else packet


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda _: b"", id="lost"),
        pytest.param(lambda p: p + p, id="twice"),
        pytest.param(lambda p: with_bits(p, 0x01), id="retain"),
        pytest.param(lambda p: with_bits(p, 0x08, when=0x02), id="dup"),
        pytest.param(lambda p: with_bits(p, 0x06, when=0x02), id="qos"),
        pytest.param(lambda p: p[:-1] + b"?", id="payload"),
    ],
)
def test_wrong_publish_packets_are_noticed(
    driver: Driver, change: Callable[[bytes], bytes]
) -> None:
    """No change of a PUBLISH goes unnoticed in a handful of scripts."""
    tampering = Tampering(driver, change)
    assert any(run(tampering, Generator(seed).script(LENGTH)) for seed in range(5))
