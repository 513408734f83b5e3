"""The layer rules of docs/topics/design.md, read from the includes and imports themselves."""

from __future__ import annotations

import ast
import re
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CPP = ROOT / "cpp"
PYTHON = ROOT / "amqtt"

# What each folder of cpp/ may include of the others.
ALLOWED = {
    "base": set(),
    "codec": {"base"},
    "topic": {"base"},
    "storage": {"base"},
    "session": {"base", "codec", "topic", "storage"},
    "protocol": {"base", "codec", "session"},
    "broker": {"base", "codec", "topic", "storage", "session", "protocol"},
    "policy": {"base", "codec", "topic", "session", "protocol", "broker"},
    "bridge": {"base", "codec", "storage"},
    "net": {"base", "bridge"},
    "tls": {"base", "codec", "net"},
    "websocket": {"base", "codec", "bridge", "net"},
    "server": {"base", "broker", "net", "tls", "websocket"},
    "client": {"base", "bridge", "protocol", "net", "tls", "websocket"},
    "engine": {"base", "broker", "policy", "bridge", "net", "server", "client"},
    "bindings": {
        "base", "codec", "storage", "broker", "policy", "bridge", "tls", "engine",
    },
}  # fmt: skip

# The layers that know neither I/O nor threads nor clocks.
PURE = ("base", "codec", "topic", "storage", "session", "protocol", "broker", "policy")
# Those that use Asio, Beast and OpenSSL.
WITH_IO = ("net", "tls", "websocket", "server", "client", "engine")
NOT_PURE = re.compile(
    r"#include <(boost/asio|boost/beast|openssl|Python\.h|pybind11|mutex|shared_mutex|thread|"
    r"condition_variable|future|sys/(?!mman\.h)|unistd\.h|fcntl\.h|pthread\.h)"
    r"|(steady_clock|system_clock|high_resolution_clock)::now|\bclock_gettime\b|\btime\(nullptr\)"
)
ASIO = re.compile(r"#include <(boost/asio|boost/beast|openssl)")
PYBIND = re.compile(r"#include <(pybind11|Python\.h)")
INCLUDE = re.compile(r'#include "([a-z_]+)/')

SOURCES = sorted(p for p in CPP.rglob("*") if p.suffix in (".hpp", ".cpp"))


def layer_of(path: Path) -> str:
    return path.relative_to(CPP).parts[0]


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(CPP)))
def test_includes_follow_the_layers(path: Path) -> None:
    layer = layer_of(path)
    text = path.read_text(encoding="utf-8")
    foreign = set(INCLUDE.findall(text)) - ALLOWED[layer] - {layer}
    assert not foreign, f"{layer}/ must not include {sorted(foreign)}"
    if layer in PURE:
        assert not NOT_PURE.search(text), f"{layer}/ is free of I/O, threads and clocks"
    if layer not in WITH_IO:
        assert not ASIO.search(text), f"only {', '.join(WITH_IO)} include Asio, Beast and OpenSSL"
    if layer != "bindings":
        assert not PYBIND.search(text), "only bindings/ includes pybind11"


def test_every_folder_has_a_rule_and_a_target() -> None:
    folders = {p.name for p in CPP.iterdir() if p.is_dir()}
    assert folders == set(ALLOWED)
    for folder in folders - {"bindings"}:
        cmake = (CPP / folder / "CMakeLists.txt").read_text(encoding="utf-8")
        assert f"amqtt_add_layer({folder}" in cmake


def linked_layers(folder: str) -> set[str]:
    cmake = (CPP / folder / "CMakeLists.txt").read_text(encoding="utf-8")
    return set(re.findall(r"\bamqtt_([a-z]+)\b", cmake)) - {"add", folder}


@pytest.mark.parametrize("folder", sorted(set(ALLOWED) - {"bindings"}))
def test_link_graph_follows_the_layers(folder: str) -> None:
    assert linked_layers(folder) <= ALLOWED[folder]


MOST_LINES = 450
# Those that are longer, until they are cut: their length now.
LONGER = {"cpp/broker/broker.hpp": 515}


@pytest.mark.parametrize(
    "path",
    sorted([*SOURCES, *PYTHON.rglob("*.py")]),
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_files_can_be_read_at_once(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").count("\n")
    assert lines <= LONGER.get(str(path.relative_to(ROOT)), MOST_LINES)


def name_of(path: Path) -> str:
    parts = path.relative_to(PYTHON.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path for path in sorted(PYTHON.rglob("*.py"))}
CORE = "amqtt._core"

# The layers of amqtt/, bottom up. A module may import from its own layer and those below, also for
# annotations only. What is not named here belongs to the package that it is in.
LAYERS = (
    ("", "_core"),
    ("_compat", "errors", "events", "logs", "adapters"),
    ("_engine",),
    ("topics", "codecs_amqtt"),
    ("_config",),
    ("contexts", "utils", "client_authentication"),
    ("mqtt",),
    ("session",),
    ("plugins",),
    ("_broker", "_client"),
    ("broker", "client", "mqtt.protocol"),
    ("contrib", "scripts"),
)
LAYER = {
    f"amqtt.{name}".rstrip("."): number for number, names in enumerate(LAYERS) for name in names
}
# Packages of one layer that do not know each other.
APART = {"amqtt._broker": "amqtt._client", "amqtt._client": "amqtt._broker"}

# Imports that go up, and why.
UPWARD = {
    # An old public name: type checkers find the class, which is loaded when somebody asks for it.
    ("amqtt.plugins.persistence", "amqtt.contrib.persistence"),
}

CORE_USERS = {"amqtt._broker.dispatch", "amqtt.broker"}  # and amqtt/_engine/

# What contrib/ uses is public, but for what stands in for the interpreter's own.
CONTRIB_MAY_IMPORT = {"amqtt._compat", "amqtt._compat.StrEnum", "amqtt._compat.wait_for"}


def imported_names(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "imports are absolute"
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


def module_with(name: str) -> str:
    """Return the module that an imported name is, or is in."""
    if name in MODULES or name == CORE:
        return name
    return name.rpartition(".")[0]


def imported_modules(path: Path) -> set[str]:
    modules = {module_with(name) for name in imported_names(path)}
    return {module for module in modules if module == "amqtt" or module.startswith("amqtt.")}


def room_of(module: str) -> str:
    """Return the module or package of `LAYERS` that a module belongs to."""
    room = module
    while room not in LAYER:
        room = room.rpartition(".")[0]
    assert room != "amqtt" or module == "amqtt", f"{module} is in no layer"
    return room


def test_private_modules_are_in_packages() -> None:
    assert {path.name for path in PYTHON.glob("_*.py")} == {"__init__.py", "_compat.py"}


IMPORTS = {name: imported_modules(path) for name, path in MODULES.items()}


def is_upward(module: str, other: str) -> bool:
    room, foreign = room_of(module), room_of(other)
    return LAYER[foreign] > LAYER[room] or APART.get(room) == foreign


@pytest.mark.parametrize("module", MODULES)
def test_imports_follow_the_layers(module: str) -> None:
    upward = {other for other in IMPORTS[module] if is_upward(module, other)}
    upward -= {other for one, other in UPWARD if one == module}
    assert not upward, f"{module} must not import {sorted(upward)}"


def test_exceptions_of_the_layers_are_needed() -> None:
    for module, other in UPWARD:
        assert other in IMPORTS[module]
        assert is_upward(module, other)


def test_imports_make_no_circle() -> None:
    tuple(TopologicalSorter(IMPORTS).static_order())  # raises CycleError, which names the circle


@pytest.mark.parametrize("module", MODULES)
def test_only_the_facades_know_the_engine(module: str) -> None:
    if room_of(module) != "amqtt._engine":
        assert (CORE in IMPORTS[module]) == (module in CORE_USERS)
    if room_of(module) == "amqtt.contrib":
        names = imported_names(MODULES[module])
        outside = {
            name
            for name in names | {module_with(name) for name in names}
            if name.startswith("amqtt") and not name.startswith("amqtt.contrib")
        }
        private = {name for name in outside if "._" in name} - CONTRIB_MAY_IMPORT
        assert not private, "contrib/ uses public modules only"
