"""The file of users and the exchange of ScramAuthPlugin."""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.scram import ScramClient

from amqtt.contexts import BaseContext
from amqtt.plugins.authentication import PasswordFileError
from amqtt.plugins.enhanced_authentication import Accepted, AuthenticationStep, Challenge
from amqtt.plugins.scram import ScramAuthPlugin, make_verifier
from amqtt.session import Session

# Section 3 of RFC 7677: user "user", password "pencil"; its keys, computed from that.
SALT = "W22ZaJ0SNY7soEsUEjb6gQ=="
CLIENT_NONCE = "rOprNGfwEbeRWgbNEkqO"
SERVER_NONCE = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
PROOF = "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
SIGNATURE = "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="


def test_the_client_of_the_tests_agrees_with_the_example_of_rfc_7677() -> None:
    client = ScramClient("user", "pencil", nonce=CLIENT_NONCE)
    assert client.first() == f"n,,n=user,r={CLIENT_NONCE}".encode()
    nonce = CLIENT_NONCE + SERVER_NONCE
    final = client.final(f"r={nonce},s={SALT},i=4096".encode())
    assert final == f"c=biws,r={nonce},p={PROOF}".encode()
    client.check(f"v={SIGNATURE}".encode())


def plugin_with(folder: Path, *lines: str) -> ScramAuthPlugin:
    file = folder / "users.scram"
    file.write_text("".join(f"{line}\n" for line in lines))
    context = BaseContext()
    context.logger = logging.getLogger("test")
    context.config = ScramAuthPlugin.Config(password_file=file)
    return ScramAuthPlugin(context)


class Exchange:
    """An exchange with a plugin, as the broker leads it."""

    def __init__(self, plugin: ScramAuthPlugin, method: str, **how: Any) -> None:
        self._plugin = plugin
        self._method = method
        self._how = how
        self._state: dict[str, Any] = {}
        self.session = Session()

    def send(self, data: bytes, *, first: bool = False) -> Any:
        step = AuthenticationStep(
            self._method, data, self.session, first, state=self._state, **self._how
        )
        return asyncio.run(self._plugin.authenticate_step(step=step))

    def run(self, client: ScramClient) -> Any:
        challenge = self.send(client.first(), first=True)
        assert isinstance(challenge, Challenge)
        return self.send(client.final(challenge.data))


@pytest.mark.parametrize(
    ("method", "digest"), [("SCRAM-SHA-256", "sha256"), ("SCRAM-SHA-512", "sha512")]
)
def test_a_user_who_knows_the_password(tmp_path: Path, method: str, digest: str) -> None:
    plugin = plugin_with(tmp_path, f"alice:{make_verifier('secret', method)}")
    client = ScramClient("alice", "secret", digest)
    result = Exchange(plugin, method).run(client)
    assert isinstance(result, Accepted)
    assert result.username == "alice"
    client.check(result.data)


@pytest.mark.parametrize(
    ("user", "password", "method"),
    [
        ("alice", "wrong", "SCRAM-SHA-256"),
        ("bob", "secret", "SCRAM-SHA-256"),
        ("alice", "secret", "SCRAM-SHA-512"),  # has a verifier of the other method
    ],
)
def test_who_is_refused(tmp_path: Path, user: str, password: str, method: str) -> None:
    plugin = plugin_with(tmp_path, f"alice:{make_verifier('secret')}")
    client = ScramClient(user, password, "sha512" if method.endswith("512") else "sha256")
    assert Exchange(plugin, method).run(client) is False


def test_an_unknown_user_does_not_look_unknown(tmp_path: Path) -> None:
    """The salt of a name is always the same, as that of a user who is there."""
    plugin = plugin_with(tmp_path, f"alice:{make_verifier('secret')}")

    def salt_of(user: str) -> bytes:
        first = Exchange(plugin, "SCRAM-SHA-256").send(ScramClient(user, "x").first(), first=True)
        return bytes(first.data.split(b",")[1])

    assert salt_of("bob") == salt_of("bob")
    assert len(salt_of("bob")) == len(salt_of("alice"))
    assert len({salt_of("alice"), salt_of("bob"), salt_of("carol")}) == 3


@pytest.mark.parametrize(
    "message", [b"", b"nonsense", b"\xff", b"n,,n=alice", b"p=tls-unique,,n=alice,r=abc", b"n,,r=a"]
)
def test_a_message_that_is_wrong_is_refused(tmp_path: Path, message: bytes) -> None:
    plugin = plugin_with(tmp_path, f"alice:{make_verifier('secret')}")
    assert Exchange(plugin, "SCRAM-SHA-256").send(message) is False
    exchange = Exchange(plugin, "SCRAM-SHA-256")
    exchange.send(ScramClient("alice", "secret").first(), first=True)
    assert exchange.send(message) is False


def test_a_client_may_wait_to_be_asked(tmp_path: Path) -> None:
    plugin = plugin_with(tmp_path, f"alice:{make_verifier('secret')}")
    exchange = Exchange(plugin, "SCRAM-SHA-256")
    assert exchange.send(b"", first=True) == Challenge(b"")
    client = ScramClient("alice", "secret")
    assert isinstance(exchange.run(client), Accepted)


def test_a_connected_client_stays_who_it_is(tmp_path: Path) -> None:
    lines = [f"{user}:{make_verifier('secret')}" for user in ("alice", "bob")]
    plugin = plugin_with(tmp_path, *lines)
    exchange = Exchange(plugin, "SCRAM-SHA-256", is_repeated=True)
    exchange.session.username = "alice"
    assert exchange.run(ScramClient("bob", "secret")) is False
    again = Exchange(plugin, "SCRAM-SHA-256", is_repeated=True)
    again.session.username = "alice"
    assert isinstance(again.run(ScramClient("alice", "secret")), Accepted)


def test_the_file_is_read_again(tmp_path: Path) -> None:
    plugin = plugin_with(tmp_path, f"alice:{make_verifier('old')}")
    assert isinstance(Exchange(plugin, "SCRAM-SHA-256").run(ScramClient("alice", "old")), Accepted)
    file = tmp_path / "users.scram"
    file.write_text(f"# users\n\nalice:{make_verifier('new')}\n")
    os.utime(file, ns=(1, 1))
    assert Exchange(plugin, "SCRAM-SHA-256").run(ScramClient("alice", "old")) is False
    assert isinstance(Exchange(plugin, "SCRAM-SHA-256").run(ScramClient("alice", "new")), Accepted)
    file.unlink()
    assert isinstance(Exchange(plugin, "SCRAM-SHA-256").run(ScramClient("alice", "new")), Accepted)


@pytest.mark.parametrize(
    "line",
    [
        "alice",
        "alice:",
        "alice:$argon2id$v=19$m=65536,t=3,p=4$c2FsdA$aGFzaA",
        "alice:SCRAM-SHA-1$4096:c2FsdA==$a:b",
        "alice:SCRAM-SHA-256$x:c2FsdA==$c2FsdA==:c2FsdA==",
        "alice:SCRAM-SHA-256$4096:c2FsdA==$c2FsdA==:c2FsdA==",
    ],
)
def test_a_line_that_is_wrong_is_left_out(
    tmp_path: Path, line: str, caplog: pytest.LogCaptureFixture
) -> None:
    plugin = plugin_with(tmp_path, line, f"bob:{make_verifier('secret')}")
    assert f"{tmp_path / 'users.scram'}:1: " in caplog.text
    exchange = Exchange(plugin, "SCRAM-SHA-256")
    assert isinstance(exchange.run(ScramClient("bob", "secret")), Accepted)


def test_the_file_must_be_there(tmp_path: Path) -> None:
    context = BaseContext()
    context.config = ScramAuthPlugin.Config(password_file=tmp_path / "none")
    with pytest.raises(PasswordFileError, match="cannot be read"):
        ScramAuthPlugin(context)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("x", "SCRAM-SHA-1"), "the method is one of"),
        (("x", "SCRAM-SHA-256", 100), "at least 4096 iterations"),
        (("\x07",), "."),
    ],
)
def test_verifiers_that_cannot_be_made(arguments: tuple[Any, ...], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        make_verifier(*arguments)


def test_the_command_makes_a_line(tmp_path: Path) -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "amqtt.plugins.scram", *arguments]
        return subprocess.run(
            command, input="secret\n", capture_output=True, text=True, check=False, timeout=60
        )

    done = run("alice")
    assert done.returncode == 0, done.stderr
    plugin = plugin_with(tmp_path, done.stdout.rstrip("\n"))
    assert isinstance(
        Exchange(plugin, "SCRAM-SHA-256").run(ScramClient("alice", "secret")), Accepted
    )
    refused = run("a:b")
    assert refused.returncode == 2
    assert "the name of a user has no ':'" in refused.stderr
    for name in ("eve\u2028root", "root\u00a0", " root", "eve\nroot", "#root", ""):
        assert run(name).returncode == 2, name
