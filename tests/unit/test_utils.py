from __future__ import annotations

import importlib
import logging
import re
import sys
from pathlib import Path
from types import ModuleType
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
