"""The layer rules of docs/topics/design.md, read from the includes and imports themselves."""

from __future__ import annotations

import ast
import re
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
    "session": {"base", "codec", "topic"},
    "protocol": {"base", "codec", "session"},
    "broker": {"base", "codec", "topic", "session", "protocol"},
    "policy": {"base", "codec", "topic", "session", "protocol", "broker"},
    "bridge": {"base", "codec"},
    "transport": {
        "base", "codec", "topic", "session", "protocol", "broker", "policy", "bridge",
    },
    "bindings": {"base", "codec", "bridge", "broker", "policy", "transport"},
}  # fmt: skip

# The layers that know neither I/O nor threads nor clocks.
PURE = ("base", "codec", "topic", "session", "protocol", "broker", "policy")
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
    if layer != "transport":
        assert not ASIO.search(text), "only transport/ includes Asio, Beast and OpenSSL"
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


def imported_modules(path: Path) -> set[str]:
    modules = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            modules.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            modules.add(node.module)
            modules.update(f"{node.module}.{alias.name}" for alias in node.names)
    return modules


CORE_USERS = {
    "_engine/bridge.py", "_engine/codec.py", "_broker/dispatch.py", "_broker/listening.py",
    "_broker/messages.py", "_broker/operations.py", "_broker/sessions.py",
    "broker.py", "client.py", "session.py", "contexts.py", "events.py", "errors.py", "adapters.py",
}  # fmt: skip
MODULES = sorted(PYTHON.rglob("*.py"))


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PYTHON)))
def test_only_the_facades_know_the_engine(path: Path) -> None:
    name = str(path.relative_to(PYTHON))
    modules = imported_modules(path)
    if name not in CORE_USERS:
        assert "amqtt._core" not in modules
    if name.startswith("contrib/"):
        outside = {
            m for m in modules if m.startswith("amqtt") and not m.startswith("amqtt.contrib")
        }
        private = {m for m in outside if "._" in m}
        assert not private, "contrib/ uses public modules only"
