"""Text files that are read line by line: what ends a line, and what separates its words.

Only a line feed ends a line, and a carriage return before it belongs to the end. Only spaces and
tabs separate words. `str.splitlines`, `str.strip`, `str.split` and text files of Python take many
more characters for that, all of which may be part of a user name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

BLANKS = " \t"
_GAP = re.compile(f"[{BLANKS}]+")


def read_text(path: Path) -> str:
    """Return the content of a file in UTF-8, with the ends of lines as they are.

    Args:
        path: the file.

    Returns:
        The text.

    Raises:
        OSError: the file cannot be read.
        UnicodeDecodeError: the file is not UTF-8.

    """
    return path.read_bytes().decode("utf-8")


def numbered_lines(text: str) -> Iterator[tuple[int, str]]:
    """Return the lines of a text that say something.

    Args:
        text: the content of a file.

    Yields:
        The number of the line, from 1, and the line without blanks around it. Empty lines and
        lines that start with `#` are left out.

    """
    for number, line in enumerate(text.split("\n"), 1):
        content = line.removesuffix("\r").strip(BLANKS)
        if content and not content.startswith("#"):
            yield number, content


def split_word(text: str) -> tuple[str, str]:
    """Split the first word off.

    Args:
        text: a line, or what is left of one, without blanks around it.

    Returns:
        The word and what follows it; the latter is empty when there is only one word.

    """
    word, *rest = _GAP.split(text, maxsplit=1)
    return word, rest[0] if rest else ""
