"""Files with a line for each user."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from amqtt.plugins._user_file import UserFile


def users(folder: Path, text: str) -> dict[str, str]:
    file = folder / "users"
    file.write_bytes(text.encode())
    return UserFile(file, logging.getLogger("test.users"), str).users


@pytest.mark.parametrize("character", "\r\v\f\x1c\x1d\x1e\x85\u2028\u2029")
def test_a_name_brings_no_line_of_its_own(character: str, tmp_path: Path) -> None:
    name = f"eve{character}root"
    assert users(tmp_path, f"root:right\n{name}:stolen\n") == {"root": "right", name: "stolen"}


@pytest.mark.parametrize("character", "\v\f\x1c\x85\u00a0\u2003\u2028\u3000")
def test_a_name_is_not_another_one(character: str, tmp_path: Path) -> None:
    text = f"root:right\nroot{character}:end\n{character}root:start\n"
    expected = {"root": "right", f"root{character}": "end", f"{character}root": "start"}
    assert users(tmp_path, text) == expected


def test_blanks_and_line_ends_of_editors(tmp_path: Path) -> None:
    text = "# comment\r\n\r\n  alice :\tone \r\nbob:two:three"
    assert users(tmp_path, text) == {"alice": "one", "bob": "two:three"}


def test_a_user_that_is_given_twice(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert users(tmp_path, "a:1\nb:2\na:3\n") == {"a": "3", "b": "2"}
    assert caplog.messages == [f"{tmp_path}/users:3: user 'a' has a line before, which is left out"]
