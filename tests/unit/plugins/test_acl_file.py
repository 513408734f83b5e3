"""Access control lists in the files of mosquitto."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from amqtt.contexts import Action, BaseContext
from amqtt.plugins._acl_file import Access, AclFile, AclFileError, parse
from amqtt.plugins.topic_checking import TopicAccessControlListPlugin
from amqtt.session import Session

READ, WRITE = Access.READ, Access.WRITE


def allowed(text: str, topic: str, user: str | None = "u", client_id: str = "c") -> str:
    lists = parse(text, "acl")
    return "".join(
        letter
        for letter, access in (("r", READ), ("w", WRITE))
        if lists.allows(access, topic, user, client_id)
    )


@pytest.mark.parametrize(
    ("text", "topic", "verdict"),
    [
        ("", "a", ""),
        ("user u\ntopic a", "a", "rw"),
        ("user u\ntopic readwrite a", "a", "rw"),
        ("user u\ntopic read a", "a", "r"),
        ("user u\n  topic  write  b ", "b", "w"),
        ("user u\ntopic write a b", "a b", "w"),
        ("user u\r\ntopic read a/#  \r\n", "a", "r"),
        ("user u\ntopic a/+/c", "a/b/c", "rw"),
        ("user u\ntopic #", "$SYS/x", ""),
        ("user u\ntopic #\ntopic deny a/b", "a/b", ""),
        ("user u\ntopic deny a/#\ntopic a/b", "a/b", ""),
        ("user u\ntopic read a\nuser v\ntopic x\nuser u\ntopic write a", "a", "rw"),
        ("# user u\nuser v\ntopic a", "a", ""),
        ("topic a", "a", ""),
        ("pattern read a/%u/%c", "a/u/c", "r"),
        ("user v\npattern a", "a", "rw"),
        ("pattern deny a\nuser u\ntopic read a", "a", "r"),
        ("user u\ntopic deny a\npattern a", "a", ""),
        ("user u\ntopic\tread\ta", "a", "r"),
        ("user\tu\ntopic #\ntopic\tdeny\thome/#", "home/safe", ""),
        ("user u\ntopic \t read \t a b\t", "a b", "r"),
        ("user u\ntopic read a\tb", "a\tb", "r"),
        # Only line feeds end lines.
        ("user u\ntopic read a\u2028topic b", "b", ""),
        ("user u\ntopic read a\u2028topic b", "a\u2028topic b", "r"),
        ("user v\x85user u\ntopic a", "a", ""),
        ("user v\vuser u\ntopic a", "a", ""),
        ("user v\ruser u\ntopic a", "a", ""),
        # Only spaces and tabs are no part of a name.
        ("user u\u00a0\ntopic a", "a", ""),
        ("user u\ntopic read a\u00a0", "a", ""),
    ],
)
def test_entries(text: str, topic: str, verdict: str) -> None:
    assert allowed(text, topic) == verdict


def test_clients_without_user_name() -> None:
    text = "topic read a\npattern read u/%u\npattern read c/%c\nuser u\ntopic b"
    assert allowed(text, "a", user=None) == "r"
    assert allowed(text, "u/", user=None) == ""
    assert allowed(text, "c/c", user=None) == "r"
    assert allowed(text, "a", user="") == ""
    assert allowed(text, "b", user=None) == ""


@pytest.mark.parametrize(
    ("user", "client_id"),
    [("+", "c"), ("u", "#"), ("a+b", "c"), ("a/b", "c"), ("u", "/"), ("u", "a/b")],
)
def test_a_name_with_structure_gains_nothing(user: str, client_id: str) -> None:
    text = f"pattern a/%u\npattern b/%c\npattern read all\nuser {user}\ntopic own"
    for topic in ("a/x", f"a/{user}", "b/x", "all"):
        assert allowed(text, topic, user, client_id) == ""
    assert allowed(text, "own", user, client_id) == "rw"


@pytest.mark.parametrize("pattern", ["pattern %c/#", "pattern %u/#"])
def test_a_name_does_not_reach_the_topics_of_the_server(pattern: str) -> None:
    assert allowed(pattern, "$SYS/broker", user="$SYS", client_id="$SYS") == ""
    assert allowed(pattern, "name/x", user="name", client_id="name") == "rw"
    assert allowed("pattern read $SYS/%c", "$SYS/name", user="u", client_id="name") == "r"


def test_placeholders_in_names_stay_what_they_are() -> None:
    assert allowed("pattern a/%u/%c", "a/%c/x", user="%c", client_id="x") == "rw"
    assert allowed("pattern a/%u/%c", "a/x/%u", user="x", client_id="%u") == "rw"


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("topic", "the topic is missing"),
        ("user", "the user name is missing"),
        ("topics a", "expected 'topic', 'pattern' or 'user', found 'topics'"),
        ("topic reed a", "expected read, write, readwrite, deny before the topic, found 'reed'"),
        ("topic a\tb", "expected read, write, readwrite, deny before the topic, found 'a'"),
        (
            "topic deny\u00a0home/#",
            r"expected read, write, readwrite, deny before the topic, found 'deny\xa0home/#'",
        ),
        ("topic\u2003deny a", r"expected 'topic', 'pattern' or 'user', found 'topic\u2003deny'"),
        ("topic a/b#", "'a/b#' is not a valid topic filter: 'b#' has a wildcard"),
        ("pattern read #/a", "'#/a' is not a valid topic filter: '#' has a wildcard"),
    ],
)
def test_a_wrong_line_is_named(line: str, problem: str) -> None:
    with pytest.raises(AclFileError) as error:
        parse(f"# first\n\n{line}\n", "acl")
    assert str(error.value) == f"acl, line 3: {problem}"


def test_a_carriage_return_in_a_file_ends_no_line(tmp_path: Path) -> None:
    path = tmp_path / "acl"
    path.write_bytes(b"user eve\ruser u\r\ntopic a\r\n")
    lists = AclFile(path, logging.getLogger("test.acl")).lists
    assert lists.allows(READ, "a", "eve\ruser u", "c")
    assert not lists.allows(READ, "a", "u", "c")


def context(path: Path, **tables: object) -> BaseContext:
    made = BaseContext()
    made.logger = logging.getLogger("test.acl")
    made.config = TopicAccessControlListPlugin.Config(acl_file=path, **tables)  # type: ignore[arg-type]
    return made


async def test_plugin(tmp_path: Path) -> None:
    file = tmp_path / "acl"
    file.write_text("user u\ntopic read a\n")
    plugin = TopicAccessControlListPlugin(context(file))
    session = Session()
    session.username, session.client_id = "u", "c"
    verdicts = {
        action: await plugin.topic_filtering(session=session, topic="a", action=action)
        for action in Action
    }
    assert verdicts == {Action.SUBSCRIBE: True, Action.PUBLISH: False, Action.RECEIVE: True}


def test_a_file_or_tables(tmp_path: Path) -> None:
    with pytest.raises(AclFileError, match="cannot be read"):
        TopicAccessControlListPlugin(context(tmp_path / "none"))
    file = tmp_path / "acl"
    file.write_text("topic a")
    with pytest.raises(ValueError, match="one or the other"):
        TopicAccessControlListPlugin(context(file, publish_acl={"u": ["a"]}))


def test_a_change_is_read_and_a_mistake_is_not(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "acl"
    path.write_text("topic a")
    file = AclFile(path, logging.getLogger("test.acl"))
    assert not file.read_changes()
    path.write_bytes(b"topic longer\r\n")
    assert file.read_changes()
    assert file.lists.allows(READ, "longer", None, "c")
    path.write_text("mistake and more")
    assert not file.read_changes()
    assert not file.read_changes()
    assert caplog.text.count("acl, line 1: expected") == 1
    path.unlink()
    assert not file.read_changes()
    assert not file.read_changes()
    assert caplog.text.count("is gone") == 1
    assert file.lists.allows(READ, "longer", None, "c")
    path.write_text("topic b")
    os.utime(path, (1, 1))
    assert file.read_changes()
    assert not file.lists.allows(READ, "longer", None, "c")
