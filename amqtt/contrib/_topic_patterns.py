"""Filters that rights are granted for, and whether one covers what a client asks for."""

from __future__ import annotations

from amqtt.topics import topic_filter_problem

USER = "%u"
CLIENT = "%c"


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
    if topic_filter_problem(granted, strict=True) is not None:
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
