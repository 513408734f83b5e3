"""Runs many scripts: ``./dev model [COUNT [SEED]]``, ``./dev model FILE``."""

import argparse
import random
import sys
import time
from pathlib import Path

from model.actions import parse
from model.driver import Driver
from model.generator import LENGTH, Generator
from model.runner import explain, run


def main() -> int:
    """Return 1 if a script failed."""
    parser = argparse.ArgumentParser(prog="./dev model", description=__doc__)
    parser.add_argument("what", nargs="?", default="10000", help="number of scripts, or a file")
    parser.add_argument("seed", nargs="?", type=int, help="of the first script; default: random")
    parser.add_argument(
        "--durable", action="store_true", help="restart a durable broker now and then"
    )
    arguments = parser.parse_args()
    with Driver() as driver:
        if Path(arguments.what).is_file():
            problem = run(driver, parse(Path(arguments.what).read_text(encoding="utf-8")))
            print(problem or "as the model says")
            return int(problem is not None)
        count = int(arguments.what)
        first = random.randrange(10**9) if arguments.seed is None else arguments.seed
        print(f"{count} scripts from seed {first} on", flush=True)
        begun = time.monotonic()
        for seed in range(first, first + count):
            script = Generator(seed, durable=arguments.durable).script(LENGTH)
            if run(driver, script) is not None:
                print(f"seed {seed} fails {explain(driver, script)}")
                return 1
        print(f"no difference, in {time.monotonic() - begun:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
