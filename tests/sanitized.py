"""Run tests of life cycles and transports on an engine that was built with AddressSanitizer.

    python tests/sanitized.py build/asan

Fails when a test fails, when the sanitizers report an error, or when memory is leaked that the
engine allocated. What the interpreter itself does not free at exit is not looked at.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
TESTS = [
    "tests/integration/test_lifecycle.py",
    "tests/integration/test_transports.py",
    "tests/integration/test_transport_tls.py",
    "tests/integration/test_transport_websocket.py",
]

# Types, functions and strings that pybind11 registers for the life of the interpreter.
_REGISTRATION = re.compile(r"PyInit__core|pybind11::(class_|cpp_function|module_|detail::get_)")
_BLOCK = re.compile(r"^(?:Direct|Indirect) leak of .*?(?=\n\n|\Z)", re.MULTILINE | re.DOTALL)


def package_with(engine: Path, folder: Path) -> None:
    """Make a package in `folder` of our Python sources and the given engine."""
    package = folder / "amqtt"
    package.mkdir()
    for source in (ROOT / "amqtt").iterdir():
        if source.suffix != ".so":
            (package / source.name).symlink_to(source)
    (package / engine.name).symlink_to(engine)


def compiler_library(name: str) -> str:
    """Return the path of a run-time library of the compiler."""
    answer = subprocess.run(
        ["g++", f"-print-file-name={name}"], check=True, capture_output=True, text=True
    )
    return answer.stdout.strip()


def problems_in(report: str) -> list[str]:
    """Return what in a report of the sanitizers is the engine's fault."""
    if "ERROR: LeakSanitizer" not in report:
        return [report]
    leaks = [block for block in _BLOCK.findall(report) if "/_core." in block]
    return [block for block in leaks if not _REGISTRATION.search(block)]


def main(build: Path) -> int:
    """Run the tests on the engine in `build`; return the exit status."""
    engine = next((build / "cpp" / "bindings").glob("_core*.so")).resolve()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        package_with(engine, folder)
        path = [str(folder), sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(dict.fromkeys(path)),
            "PYTHONMALLOC": "malloc",
            "AMQTT_TEST_START_LIMIT": "120",  # a broker starts slowly
            # libstdc++ too: ASan looks for it before the engine is loaded.
            "LD_PRELOAD": f"{compiler_library('libasan.so')} {compiler_library('libstdc++.so')}",
            # The slow unwinder sees whose call of OpenSSL it was.
            "ASAN_OPTIONS": "detect_leaks=1:exitcode=0:fast_unwind_on_malloc=0:"
            f"malloc_context_size=20:log_path={folder / 'asan'}",
            "UBSAN_OPTIONS": f"print_stacktrace=1:log_path={folder / 'asan'}",
        }
        # -S: without it the editable installation would come before PYTHONPATH.
        tests = subprocess.run(
            [
                *(sys.executable, "-S", "-m", "pytest", "-q", "-p", "no:cacheprovider"),
                *("--rootdir", str(ROOT), "-c", str(ROOT / "pyproject.toml")),
                # A test of how much memory a process holds says nothing under ASan.
                *("-k", "not pings_and_does_not_read"),
                *(str(ROOT / test) for test in TESTS),
            ],
            # Not ROOT: what is in the working directory would be imported first.
            cwd=folder,
            env=environment,
            check=False,
        )
        reports = [path.read_text(errors="replace") for path in folder.glob("asan.*")]
    problems = [problem for report in reports for problem in problems_in(report)]
    for problem in problems:
        print(problem, file=sys.stderr)
    print(f"{len(reports)} sanitizer reports, {len(problems)} problems of the engine")
    return tests.returncode or bool(problems)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
