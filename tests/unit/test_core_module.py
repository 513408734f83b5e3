"""The compiled module: what it exports, and that `_core.pyi` describes it."""

from __future__ import annotations

import ast
import inspect
import shutil
import subprocess
import sys
from enum import IntEnum
from pathlib import Path

import pytest

import amqtt
from amqtt import _core

STUB = Path(amqtt.__file__).parent / "_core.pyi"


def stub_body() -> list[ast.stmt]:
    body = ast.parse(STUB.read_text(encoding="utf-8")).body
    return [node for node in body if not isinstance(node, ast.ImportFrom)]


def stub_classes() -> dict[str, ast.ClassDef]:
    return {node.name: node for node in stub_body() if isinstance(node, ast.ClassDef)}


def stub_functions() -> dict[str, ast.FunctionDef]:
    return {node.name: node for node in stub_body() if isinstance(node, ast.FunctionDef)}


def public_names(thing: object) -> set[str]:
    return {name for name in vars(thing) if not name.startswith("_")}


def methods_of(stub: ast.ClassDef) -> dict[str, ast.FunctionDef]:
    return {node.name: node for node in stub.body if isinstance(node, ast.FunctionDef)}


def is_property(method: ast.FunctionDef) -> bool:
    decorators = method.decorator_list
    return any(isinstance(each, ast.Name) and each.id == "property" for each in decorators)


@pytest.mark.skipif(sys.platform != "linux", reason="reads an ELF symbol table")
def test_module_exports_its_init_function_only() -> None:
    nm = shutil.which("nm")
    assert nm, "nm is missing: install binutils"
    listing = subprocess.run(
        [nm, "-D", "--defined-only", str(_core.__file__)],
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    symbols = {line.split()[-1] for line in listing.splitlines()}
    assert symbols == {"PyInit__core"}


def test_stub_has_the_classes_and_functions_of_the_module() -> None:
    described = stub_classes().keys() | stub_functions().keys()
    assert described == public_names(_core)
    assert len(described) == len(stub_body())


def is_enumeration(name: str) -> bool:
    return issubclass(getattr(_core, name), IntEnum)


ENUMERATIONS = sorted(filter(is_enumeration, stub_classes()))


@pytest.mark.parametrize("name", ENUMERATIONS)
def test_stub_has_the_numbers_of_the_enumeration(name: str) -> None:
    described = {}
    for node in stub_classes()[name].body:
        assert isinstance(node, ast.Assign)
        assert isinstance(node.targets[0], ast.Name)
        described[node.targets[0].id] = ast.literal_eval(node.value)
    assert described == {member.name: member.value for member in getattr(_core, name)}


@pytest.mark.parametrize("name", sorted(set(stub_classes()) - set(ENUMERATIONS)))
def test_stub_has_the_methods_of_the_class(name: str) -> None:
    cls = getattr(_core, name)
    described = {method for method in methods_of(stub_classes()[name]) if method != "__init__"}
    assert described == public_names(cls)


def signature_parameters(doc: str) -> list[str]:
    """Read the parameter names from the first line of a docstring that pybind11 wrote."""
    call = doc.splitlines()[0]
    function = ast.parse(f"def {call}: ...").body[0]
    assert isinstance(function, ast.FunctionDef)
    return parameter_names(function)


def parameter_names(function: ast.FunctionDef) -> list[str]:
    arguments = function.args
    positional = [a.arg for a in arguments.posonlyargs + arguments.args]
    variadic = [arguments.vararg.arg] if arguments.vararg else []
    return positional + variadic + [a.arg for a in arguments.kwonlyargs]


@pytest.mark.parametrize(
    ("name", "method"),
    [
        (name, method)
        for name, stub in stub_classes().items()
        for method, node in methods_of(stub).items()
        if not is_property(node)
    ],
)
def test_stub_has_the_parameters_of_the_method(name: str, method: str) -> None:
    doc = inspect.getdoc(getattr(getattr(_core, name), method))
    assert doc
    described = parameter_names(methods_of(stub_classes()[name])[method])
    assert signature_parameters(doc)[1:] == described[1:]  # without self


@pytest.mark.parametrize("name", sorted(stub_functions()))
def test_stub_has_the_parameters_of_the_function(name: str) -> None:
    doc = inspect.getdoc(getattr(_core, name))
    assert doc
    assert signature_parameters(doc) == parameter_names(stub_functions()[name])
