"""Access control lists in the files of mosquitto."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Flag
from typing import TYPE_CHECKING, NamedTuple

from amqtt._config.lines import numbered_lines, read_text, split_word
from amqtt.topics import TopicMatcher

if TYPE_CHECKING:
    import logging
    from pathlib import Path

_WILDCARDS = "+#"
# What a name must not have that takes the place of one level of a topic.
_STRUCTURE = "+#/"


class AclFileError(Exception):
    """Report a file with access control lists that cannot be used."""


class Access(Flag):
    """What an entry allows; nothing means that it forbids."""

    NONE = 0
    READ = 1
    WRITE = 2


_ACCESS = {
    "read": Access.READ,
    "write": Access.WRITE,
    "readwrite": Access.READ | Access.WRITE,
    "deny": Access.NONE,
}


class Entry(NamedTuple):
    """A line of the file: what it allows, on which topics."""

    access: Access
    filter: str


@dataclass
class AccessLists:
    """What a file says.

    Attributes:
        by_user: the entries of each user; those of None are for clients without user name.
        patterns: entries for everyone, in which `%u` and `%c` stand for user name and client id.

    """

    by_user: dict[str | None, list[Entry]] = field(default_factory=dict)
    patterns: list[Entry] = field(default_factory=list)

    def allows(self, access: Access, topic: str, user: str | None, client_id: str) -> bool:
        """Tell whether a client may do something with a topic.

        Entries that forbid come first. As with mosquitto, the patterns allow nothing to a client
        whose user name or client id `is_unusable`. A pattern that begins with the name allows no
        topic that begins with `$`.

        Args:
            access: what it wants to do.
            topic: name of the topic.
            user: its user name.
            client_id: its client id.

        Returns:
            Whether it may.

        """
        verdict = _decide(self.by_user.get(user, ()), access, topic)
        if verdict is not None or not self.patterns:
            return bool(verdict)
        if is_unusable(user) or is_unusable(client_id):
            return False
        filled = [
            Entry(each.access, _fill(each.filter, user, client_id))
            for each in self.patterns
            if (user or "%u" not in each.filter)
            and not (topic.startswith("$") and each.filter.startswith(("%u", "%c")))
        ]
        return bool(_decide(filled, access, topic))


def is_unusable(name: str | None) -> bool:
    """Tell whether a name would reach beyond its place in a pattern."""
    return name is not None and any(character in _STRUCTURE for character in name)


def _decide(entries: list[Entry] | tuple[()], access: Access, topic: str) -> bool | None:
    matching = [
        each.access for each in entries if TopicMatcher.is_topic_allowed(topic, each.filter)
    ]
    if Access.NONE in matching:
        return False
    return True if any(access & each for each in matching) else None


def _fill(pattern: str, user: str | None, client_id: str) -> str:
    """Put in user name and client id, each at once: neither may bring a placeholder of its own."""
    levels = pattern.split("%c")
    return client_id.join(each.replace("%u", user or "") for each in levels)


def parse(text: str, name: str) -> AccessLists:
    """Read access control lists.

    Args:
        text: the content of a file.
        name: path of the file, for errors.

    Returns:
        What it says.

    Raises:
        AclFileError: a line is wrong; the error names it.

    """
    lists = AccessLists()
    user: str | None = None
    for number, line in numbered_lines(text):
        keyword, rest = split_word(line)
        try:
            if keyword == "user":
                user = _named(rest, "user name")
            elif keyword == "topic":
                lists.by_user.setdefault(user, []).append(_entry(rest))
            elif keyword == "pattern":
                lists.patterns.append(_entry(rest))
            else:
                msg = f"expected 'topic', 'pattern' or 'user', found {keyword!r}"
                raise ValueError(msg)
        except ValueError as error:
            msg = f"{name}, line {number}: {error}"
            raise AclFileError(msg) from error
    return lists


def _named(text: str, what: str) -> str:
    if not text:
        msg = f"the {what} is missing"
        raise ValueError(msg)
    return text


def _entry(text: str) -> Entry:
    word, rest = split_word(_named(text, "topic"))
    # Without an access in front a topic has no white space, of whatever kind: "deny" and a no-break
    # space would make of a rule that forbids one that allows.
    if not rest and len(word.split()) == 1:
        return Entry(Access.READ | Access.WRITE, _checked(word))
    if word not in _ACCESS:
        msg = f"expected {', '.join(_ACCESS)} before the topic, found {word!r}"
        raise ValueError(msg)
    return Entry(_ACCESS[word], _checked(rest))


def _checked(topic_filter: str) -> str:
    levels = topic_filter.split("/")
    for at, level in enumerate(levels):
        is_whole = len(level) == 1 and (level == "+" or at == len(levels) - 1)
        if not is_whole and any(character in _WILDCARDS for character in level):
            msg = f"{topic_filter!r} is not a valid topic filter: {level!r} has a wildcard"
            raise ValueError(msg)
    return topic_filter


class AclFile:
    """Hold the access control lists of a file, and read it again when it has changed.

    Args:
        path: the file.
        logger: where it is said that the file was read.

    Raises:
        AclFileError: the file cannot be read, or a line is wrong.

    """

    def __init__(self, path: Path, logger: logging.Logger) -> None:
        """Read the file."""
        self._path = path
        self._logger = logger
        self._read_state: tuple[int, int, int] | None = None
        self.lists = self._read()

    def _read(self) -> AccessLists:
        try:
            status = self._path.stat()
            # Before the content is looked at: wrong content is not tried again until it changes.
            self._read_state = status.st_mtime_ns, status.st_size, status.st_ino
            text = read_text(self._path)
        except (OSError, UnicodeDecodeError) as error:
            msg = f"{self._path} cannot be read: {error}"
            raise AclFileError(msg) from error
        lists = parse(text, str(self._path))
        self._logger.info("access control lists read from '%s'", self._path)
        return lists

    def read_changes(self) -> bool:
        """Read the file again if it has changed; what it said holds on while that fails.

        Returns:
            Whether other lists hold now.

        """
        try:
            status = self._path.stat()
            if (status.st_mtime_ns, status.st_size, status.st_ino) == self._read_state:
                return False
            self.lists = self._read()
        except FileNotFoundError:
            # Editors put a new file in its place, which takes a moment.
            if self._read_state is not None:
                self._logger.error("%s is gone; what it said holds on", self._path)
            self._read_state = None
            return False
        except (OSError, AclFileError) as error:
            self._logger.error("what the file said before holds on: %s", error)
            return False
        return True
