"""Files that are read line by line."""

from __future__ import annotations

from pathlib import Path

import pytest

from amqtt._config.lines import numbered_lines, read_text, split_word

# What Python takes for the end of a line, or for white space, and what the formats do not.
SEPARATORS = "\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"
SPACES = "\u00a0\u1680\u2003\u202f\u205f\u3000"


def test_only_line_feeds_end_lines() -> None:
    assert list(numbered_lines("a\r\n\n  # b\n\t c d\t \ne")) == [(1, "a"), (4, "c d"), (5, "e")]
    for character in SEPARATORS:
        assert list(numbered_lines(f"a{character}b\nc")) == [(1, f"a{character}b"), (2, "c")]


@pytest.mark.parametrize("character", SEPARATORS[1:] + SPACES)
def test_only_spaces_and_tabs_are_blanks(character: str) -> None:
    text = f"{character}a{character}b{character}"
    assert list(numbered_lines(f" {text}\t")) == [(1, text)]
    assert split_word(text) == (text, "")


def test_words() -> None:
    assert split_word("a \t b c") == ("a", "b c")
    assert split_word("a") == ("a", "")


def test_the_ends_of_lines_are_as_they_are_in_the_file(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes("a\rb\r\nü".encode())
    assert read_text(file) == "a\rb\r\nü"
    file.write_bytes(b"\xff")
    with pytest.raises(UnicodeDecodeError):
        read_text(file)
