"""Filters that rights are granted for, and whether one covers what a client asks for."""

from __future__ import annotations

USER = "%u"
CLIENT = "%c"

_MAX_SIZE = 65535


def filter_problem(text: str) -> str | None:
    """Say why a text is no topic filter.

    Args:
        text: the text.

    Returns:
        What is wrong with it; None when it is a topic filter (3.1.1: MQTT-4.7.1-2, 4.7.1-3,
        4.7.3-1 to 4.7.3-3).

    """
    if not text:
        return "it is empty"
    if "\0" in text:
        return "it has a null character"
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        return "it cannot be written as UTF-8"
    if size > _MAX_SIZE:
        return f"it is longer than {_MAX_SIZE:,} bytes"
    levels = text.split("/")
    if any(len(level) > 1 and ("+" in level or "#" in level) for level in levels):
        return "a wildcard must be alone in its level"
    if "#" in levels[:-1]:
        return "'#' must be the last level"
    return None


def covers(
    granted: str, asked: str, *, username: str | None = None, client_id: str | None = None
) -> bool:
    """Tell whether a granted filter covers a topic name or the whole of another filter.

    A level of the granted filter that is `%u` or `%c` stands for the user name or the client
    identifier. It is compared with one level of what is asked, so a name that holds a wildcard
    or a slash gains nothing: it equals no level.

    Args:
        granted: the granted filter; one that is malformed covers nothing.
        asked: a topic name or a topic filter.
        username: what `%u` stands for; None and the empty text stand for nothing.
        client_id: what `%c` stands for, likewise.

    Returns:
        Whether everything that matches `asked` matches `granted`. Wildcards and placeholders at
        the start of the granted filter cover nothing that starts with `$` (3.1.1: MQTT-4.7.2-1).

    """
    if filter_problem(granted) is not None:
        return False
    if asked.startswith("$") and granted.startswith(("+", "#", USER, CLIENT)):
        return False
    values = {USER: username, CLIENT: client_id}
    levels = asked.split("/")
    for index, level in enumerate(granted.split("/")):
        if level == "#":
            return True
        if index == len(levels):
            return False  # what follows in the granted filter is more than was asked for
        if not _level_covers(level, levels[index], values):
            return False
    return len(levels) == index + 1


def _level_covers(granted: str, asked: str, values: dict[str, str | None]) -> bool:
    if granted == "+":
        return asked != "#"
    if granted not in values:
        return granted == asked
    value = values[granted]
    # An asked wildcard stands for any value, also for other users'.
    return bool(value) and value == asked and asked not in ("+", "#")
