from __future__ import annotations

import importlib
import logging
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import Mock

import pytest
import yaml

from amqtt import utils
from amqtt.session import Session


def test_client_message_prefers_the_session() -> None:
    session = Session()
    session.client_id = "lamp"
    assert utils.format_client_message(session, "127.0.0.1", 1) == "(client id=lamp)"


@pytest.mark.parametrize(
    ("address", "port", "text"),
    [
        ("127.0.0.1", 1883, "(client @=127.0.0.1:1883)"),
        ("127.0.0.1", None, "(unknown client)"),
        (None, 1883, "(unknown client)"),
        (None, None, "(unknown client)"),
    ],
)
def test_client_message_without_session(address: str | None, port: int | None, text: str) -> None:
    assert utils.format_client_message(address=address, port=port) == text


def test_client_ids_are_random() -> None:
    ids = {utils.gen_client_id() for _ in range(100)}
    assert len(ids) == 100
    assert all(re.fullmatch(r"amqtt/[A-Za-z0-9]{16}", each) for each in ids)


def test_yaml_is_read_as_utf8(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_bytes("name: Käse\nports: [1, 2]\n".encode())
    expected = {"name": "Käse", "ports": [1, 2]}
    assert utils.read_yaml_config(file) == expected
    assert utils.read_yaml_config(str(file)) == expected


def test_yaml_error_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "broken.yaml"
    file.write_text("a: [1, 2\nb: }")
    with caplog.at_level(logging.ERROR, logger="amqtt.utils"):
        assert utils.read_yaml_config(file) is None
    assert str(file) in caplog.text
    with pytest.raises(yaml.YAMLError):
        utils.load_yaml_config(file)


@pytest.mark.parametrize(
    ("text", "key", "line", "first"),
    [
        ("plugins: {a.B: }\nother: 1\nplugins: {c.D: }\n", "plugins", 3, 1),
        ("a:\n  b:\n    - c: 1\n      'c': 2\n", "c", 4, 3),
        ("1: a\n0x1: b\n", "0x1", 2, 1),
        ("a: {b: &x {c: 1},\n  d: {<<: *x, e: 1,\n  e: 2}}\n", "e", 3, 2),
    ],
)
def test_a_key_given_twice(text: str, key: str, line: int, first: int, tmp_path: Path) -> None:
    file = tmp_path / "twice.yaml"
    file.write_text(text)
    with pytest.raises(yaml.YAMLError) as caught:
        utils.load_yaml_config(file)
    error: Any = caught.value
    assert error.problem == f"the key '{key}' is given twice, the first time in line {first}"
    assert error.problem_mark.line + 1 == line
    assert utils.read_yaml_config(file) is None


def test_keys_that_are_merged_in(tmp_path: Path) -> None:
    file = tmp_path / "merged.yaml"
    file.write_text(
        "outer: {inner: &inner {<<: &base {ssl: off, bind: here}, ssl: on}}\n"
        "other: {<<: *inner, bind: there}\n"
        "both: {<<: [*inner, *base], more: 1}\n"
        "again: *inner\n"
    )
    assert utils.load_yaml_config(file) == {
        "outer": {"inner": {"ssl": True, "bind": "here"}},
        "other": {"ssl": True, "bind": "there"},
        "both": {"ssl": True, "bind": "here", "more": 1},
        "again": {"ssl": True, "bind": "here"},
    }


@pytest.mark.parametrize("tag", ["python/tuple [1]", "python/object/apply:os.getpid []"])
def test_yaml_makes_no_objects_of_python(tag: str, tmp_path: Path) -> None:
    file = tmp_path / "tags.yaml"
    file.write_text(f"a: !!{tag}\n")
    with pytest.raises(yaml.YAMLError):
        utils.load_yaml_config(file)


@pytest.mark.parametrize("name", ["alice", "Dörte Groß", "a:b", "a/b", "名前", "#1"])
def test_user_names(name: str) -> None:
    assert utils.user_name_problem(name) is None


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("", "it is empty"),
        ("a\0", "it has the character U+0000"),
        ("a\nb", "it has the character U+000A"),
        ("a\x85root", "it has the character U+0085"),
        ("a\u2028root", "it has the character U+2028"),
        ("root\u00a0", "it has the character U+00A0"),
        ("a\udcff", "it has the character U+DCFF"),
        ("root ", "it begins or ends with a space"),
    ],
)
def test_names_that_no_user_should_get(name: str, problem: str) -> None:
    assert utils.user_name_problem(name) == problem


def test_empty_yaml_is_none(tmp_path: Path) -> None:
    file = tmp_path / "empty.yaml"
    file.touch()
    assert utils.read_yaml_config(file) is None


def test_missing_yaml_raises(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=re.escape("missing.yaml")):
        utils.read_yaml_config(tmp_path / "missing.yaml")


def test_cached_import_gives_module_or_attribute() -> None:
    assert utils.cached_import("amqtt.session") is sys.modules["amqtt.session"]
    assert utils.cached_import("amqtt.session", "Session") is Session


def test_cached_import_imports_what_is_not_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "module_for_import_test.py").write_text("answer = 42\n")
    monkeypatch.syspath_prepend(tmp_path)
    try:
        assert utils.cached_import("module_for_import_test", "answer") == 42
    finally:
        sys.modules.pop("module_for_import_test", None)


def test_cached_import_waits_for_a_module_in_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    unfinished = ModuleType("unfinished")
    unfinished.__spec__ = Mock(_initializing=True)
    monkeypatch.setitem(sys.modules, "unfinished", unfinished)
    finished = ModuleType("unfinished")
    import_module = Mock(return_value=finished)
    monkeypatch.setattr(importlib, "import_module", import_module)
    assert utils.cached_import("unfinished") is finished
    import_module.assert_called_once_with("unfinished")


def test_import_string() -> None:
    assert utils.import_string("amqtt.session.Session") is Session


@pytest.mark.parametrize(
    "path", ["nodots", "", ".Session", "no_such_package.Name", "amqtt.no_such_module.Name"]
)
def test_import_string_of_nothing(path: str) -> None:
    with pytest.raises(ImportError):
        utils.import_string(path)


def test_import_string_names_the_missing_attribute() -> None:
    with pytest.raises(ImportError, match=r"'amqtt\.session' has no attribute 'Nothing'"):
        utils.import_string("amqtt.session.Nothing")
