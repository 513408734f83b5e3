"""No text of a peer gets into a log or an error as it is: read from the sources themselves."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PYTHON = sorted((ROOT / "amqtt").rglob("*.py"))
CPP = sorted(p for p in (ROOT / "cpp").rglob("*") if p.suffix in (".hpp", ".cpp"))

# Names of what peers choose, in Python and in C++.
OF_PEERS = {
    "client_id", "user", "username", "user_name", "topic", "topic_filter", "topic_name", "filter",
    "identity", "psk_identity", "reason_string", "password", "payload", "user_property", "uris",
    "device_id", "session", "peer", "who", "will_topic", "wanted_topic",
}  # fmt: skip
METHODS = {"debug", "info", "warning", "error", "exception", "critical", "log", "warn"}
PLACEHOLDER = re.compile(r"%[-#0 +]*[\d.*]*([a-zA-Z%])")

# Rows of a table whose texts are printable.
EXCEPTIONS = {("amqtt/contrib/auth_db/user_mgr_cli.py", "user")}


# -- Python


def names_in(node: ast.AST) -> Iterator[str]:
    """Yield the names in an expression, but for those that are made printable there."""
    if isinstance(node, ast.Call):
        function = node.func
        name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
        if name in ("printable", "describe_topic", "len", "type", "repr"):
            return
    if isinstance(node, ast.FormattedValue) and node.conversion == ord("r"):
        return
    if isinstance(node, ast.Name):
        yield node.id
    if isinstance(node, ast.Attribute):
        yield node.attr
        if node.attr in OF_PEERS or isinstance(node.value, ast.Name):
            return
    for child in ast.iter_child_nodes(node):
        yield from names_in(child)


def logged(call: ast.Call) -> Iterator[ast.AST]:
    """Yield the arguments of a call of a logger that are formatted as they are."""
    function = call.func
    if not isinstance(function, ast.Attribute) or function.attr not in METHODS:
        return
    owner = ast.unparse(function.value)
    if not owner.endswith("logger"):
        return  # a LogLimiter escapes what it is given
    args = call.args[1:] if function.attr == "log" else call.args
    if not args:
        return
    yield args[0]
    text = args[0].value if isinstance(args[0], ast.Constant) else ""
    kinds = [kind for kind in PLACEHOLDER.findall(str(text)) if kind != "%"]
    for number, arg in enumerate(args[1:]):
        if number >= len(kinds) or kinds[number] not in "rd":
            yield arg


def texts_of(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield what a module puts into logs and errors, as lines and names."""
    for node in ast.walk(tree):
        found: list[ast.AST] = []
        if isinstance(node, ast.Call):
            found = list(logged(node))
        elif isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            found = [*node.exc.args]
        elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "msg":
            found = [node.value]
        for each in found:
            if isinstance(each, ast.Name) and not isinstance(node, ast.Call):
                continue  # an error that is given an object, not a text
            for name in names_in(each):
                yield node.lineno, name


@pytest.mark.parametrize("path", PYTHON, ids=lambda p: str(p.relative_to(ROOT / "amqtt")))
def test_python(path: Path) -> None:
    name = str(path.relative_to(ROOT))
    found = [
        f"{name}:{line}: {text}"
        for line, text in texts_of(ast.parse(path.read_text(encoding="utf-8")))
        if text in OF_PEERS and (name, text) not in EXCEPTIONS
    ]
    assert not found, "texts of peers that are not printable()"


# -- C++

CPP_OF_PEERS = re.compile(
    r"\b(client_id|user_name|topic|filter|identity|psk_identity|address|host|target|origin|"
    r"method|payload)(\(\))?(?![\w(])"
)
# What begins a text that is logged, or told to Python as an error; it ends with its statement.
CPP_TEXT = re.compile(
    r"\b(?:log_?|log_limiter|peer_log_?(?:\(\))?(?:\.|->)log|push_record|log_record|refuse|fail|lose|"
    r"problem_(?:\.make\(\))? \+?=|throw \w+(?:::\w+)*)\s*[({ ]"
)
CPP_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')


def statements_of(text: str) -> Iterator[tuple[int, str]]:
    """Yield the statements that make a text for a log, with the numbers of their lines."""
    code = re.sub(r"//.*", "", text)
    for found in CPP_TEXT.finditer(code):
        end = code.find(";\n", found.end())
        # A lambda that makes the text has statements of its own.
        if "[&] {" in code[found.start() : end]:
            end = code.find("});", found.start())
        yield code.count("\n", 0, found.start()) + 1, code[found.start() : end]


def without_calls(text: str, name: str) -> str:
    """Cut the calls of a function out of a text."""
    while (at := text.find(name + "(")) >= 0:
        depth, end = 0, at + len(name)
        for end in range(at + len(name), len(text)):
            depth += {"(": 1, ")": -1, "{": 1, "}": -1}.get(text[end], 0)
            if depth == 0:
                break
        text = text[:at] + text[end + 1 :]
    return text


# Concatenated texts only: a name that is an argument of its own is none.
CPP_JOINED = re.compile(r"\+\s*(?:std::string\()?([\w.\->()*]+)")


# What stands first in a text is followed by a '+'.
CPP_FIRST = re.compile(r"(?:[,({=]|return)\s*((?:std::string\()?[\w.\->()*]+?\)?)\s*\+ ")


def texts_in_cpp(text: str) -> list[tuple[int, str]]:
    """Return the texts of peers that are put into logs and errors as they are."""
    found = []
    # A function of the place may do the same.
    escapes = re.findall(r"auto (\w+) = \[[^;]*?printable\(", text)
    for line, statement in statements_of(text):
        shown = CPP_STRING.sub('""', statement)
        for function in ("printable", *escapes):
            shown = without_calls(shown, function)
        joined = CPP_JOINED.findall(shown) + CPP_FIRST.findall(shown)
        found += [(line, each) for each in joined if CPP_OF_PEERS.search(each)]
    return found


@pytest.mark.parametrize("path", CPP, ids=lambda p: str(p.relative_to(ROOT / "cpp")))
def test_cpp(path: Path) -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}: {text}"
        for line, text in texts_in_cpp(path.read_text(encoding="utf-8"))
    ]
    assert not found, "texts of peers that are not printable()"


@pytest.mark.parametrize(
    "text",
    [
        'logger.info("%s is not allowed", session.client_id)',
        'self.context.logger.debug("%s: %s", 7, username)',
        'logger.log(10, f"{topic} is refused")',
        "raise MQTTError(f\"'{topic_filter}' is no filter\")",
        "msg = f\"'{user_name!s}' is unknown\"",
    ],
)
def test_what_is_found_in_python(text: str) -> None:
    assert [name for _, name in texts_of(ast.parse(text)) if name in OF_PEERS]


@pytest.mark.parametrize(
    "text",
    [
        'logger.info("%s is not allowed", printable(session.client_id))',
        'logger.info("%r is not allowed", session.client_id)',
        'self.peer_log.log(10, "users", username, "%s is refused", username)',
        'logger.info("%d of them", len(topic))',
        'msg = f"{describe_topic(topic)} is no topic"',
    ],
)
def test_what_is_left_alone_in_python(text: str) -> None:
    assert not [name for _, name in texts_of(ast.parse(text)) if name in OF_PEERS]


@pytest.mark.parametrize(
    "text",
    [
        'hooks_.log(log_level::info, s.client_id() + " not allowed to " + name_of(action));\n',
        'hooks_.log(log_level::info, "TOPIC " + std::string(topic) + ".");\n',
        'peer_log_.log(kind, name, now_, [&] {\n return "of " + it->second.topic + ".";\n});\n',
        'problem_ = "path " + r.target();\n',
    ],
)
def test_what_is_found_in_cpp(text: str) -> None:
    assert texts_in_cpp(text)
    names = r"(s\.client_id\(\)|std::string\(topic\)|it->second\.topic|r\.target\(\))"
    assert not texts_in_cpp(re.sub(names, r"printable(\1)", text))
