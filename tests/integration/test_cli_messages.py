"""What `amqtt_pub` sends and `amqtt_sub` prints: formats, retained messages, properties."""

from __future__ import annotations

import json
import os
import pty
import subprocess
from pathlib import Path

import pytest
from support.client import HAS_V5
from support.commands import Command, Shell
from support.process import BrokerProcess, StartBroker
from support.python import python_command, python_environment

version_5 = pytest.mark.skipif(not HAS_V5, reason="the client has no MQTT 5.0 in this version")


def printed(command: Command) -> bytes:
    assert command.end() == 0, command.stderr
    return command.stdout


class TestPrinting:
    def test_format(self, shell: Shell, unique: str) -> None:
        subscriber = shell.subscribe(unique, "-n", "2", "-q", "1", "-F", "%t|%q|%r|%l|%x|%p")
        shell.publish("-t", unique, "-m", "hi", "-q", "1")
        shell.publish("-t", unique, "-n")
        topic = unique.encode()
        assert printed(subscriber) == topic + b"|1|0|2|6869|hi\n" + topic + b"|0|0|0||\n"

    def test_json(self, shell: Shell, unique: str) -> None:
        subscriber = shell.subscribe(unique, "-n", "1", "-F", "%J")
        shell.publish("-t", unique, "-m", '{"x": 1}')
        found = json.loads(printed(subscriber))
        assert (found["topic"], found["payload"]) == (unique, {"x": 1})

    def test_topics_without_newlines(self, shell: Shell, unique: str) -> None:
        subscriber = shell.subscribe(f"{unique}/#", "-n", "2", "-v", "-N")
        shell.publish("-t", f"{unique}/1", "-m", "x")
        shell.publish("-t", f"{unique}/2", "-n")
        assert printed(subscriber) == f"{unique}/1 x{unique}/2 ".encode()

    def test_filtered_out(self, shell: Shell, unique: str) -> None:
        arguments = ["-n", "1", "-T", f"{unique}/+/no", "-T", "other"]
        subscriber = shell.subscribe(f"{unique}/#", *arguments)
        shell.publish("-t", f"{unique}/a/no", "-m", "no")
        shell.publish("-t", f"{unique}/a/yes", "-m", "yes")
        assert printed(subscriber) == b"yes\n"

    def test_wrong_format(self, no_broker: Shell) -> None:
        command = no_broker.start("sub", "-t", "a", "-F", "%z")
        assert command.end() == 2
        assert "unknown conversion '%z'" in command.stderr

    def test_timeout(self, shell: Shell, unique: str) -> None:
        command = shell.start("sub", "-t", unique, "-W", "0.2")
        assert command.end() == 27
        assert "Disconnected" in command.stderr

    def test_end_after_subscribing(self, shell: Shell, unique: str) -> None:
        command = shell.start("sub", "-t", unique, "-E")
        assert printed(command) == b""
        assert "Subscribed" in command.stderr


class TestRetained:
    @pytest.fixture
    def stored(self, shell: Shell, unique: str) -> str:
        for name in ("1", "2"):
            shell.publish("-t", f"{unique}/{name}", "-m", name, "-r", "-q", "1")
        return f"{unique}/+"

    def test_left_out(self, shell: Shell, unique: str, stored: str) -> None:
        subscriber = shell.subscribe(stored, "-n", "1", "-R")
        shell.publish("-t", f"{unique}/3", "-m", "new")
        assert printed(subscriber) == b"new\n"

    def test_only_retained(self, shell: Shell, unique: str, stored: str) -> None:
        subscriber = shell.subscribe(stored, "--retained-only")
        subscriber.wait_for_output(b"2\n")
        shell.publish("-t", f"{unique}/3", "-m", "new")
        assert sorted(printed(subscriber).split()) == [b"1", b"2"]

    def test_removed(self, shell: Shell, stored: str) -> None:
        assert shell.start("sub", "-t", stored, "--remove-retained", "-n", "2").end() == 0
        late = shell.start("sub", "-t", stored, "-W", "0.3")
        assert late.end() == 27
        assert late.stdout == b""


class TestSending:
    def test_repeated(self, shell: Shell, unique: str) -> None:
        subscriber = shell.subscribe(unique, "-n", "3")
        shell.publish("-t", unique, "-m", "x", "--repeat", "3", "--repeat-delay", "0.01")
        assert printed(subscriber) == b"x\n" * 3

    def test_dash_is_the_standard_input(self, shell: Shell, unique: str, tmp_path: Path) -> None:
        subscriber = shell.subscribe(unique, "-n", "2")
        (tmp_path / "lines").write_text("one\ntwo\n")
        with (tmp_path / "lines").open() as lines:
            shell.publish("-t", unique, "-f", "-", "-q", "1", stdin=lines)
        assert printed(subscriber) == b"one\n\ntwo\n\n"

    def test_user_name_and_password(
        self, broker_process: StartBroker, no_broker: Shell, tmp_path: Path
    ) -> None:
        from passlib.hash import sha512_crypt

        (tmp_path / "users").write_text(f"me:{sha512_crypt.hash('p@ss:word')}\n")
        plugin = "amqtt.plugins.authentication.FileAuthPlugin"
        config = {"plugins": {plugin: {"password_file": str(tmp_path / "users")}}}
        broker = broker_process(config, mosquitto=None)
        url = f"mqtt://127.0.0.1:{broker.port}"
        arguments = ["-t", "a", "-m", "x", "--url", url, "-u", "me", "-P"]
        assert no_broker.start("pub", *arguments, "p@ss:word").end() == 0
        refused = no_broker.start("pub", *arguments, "wrong")
        assert refused.end() == 1
        assert "wrong" not in refused.stderr

    def test_progress_on_a_terminal(self, broker: BrokerProcess, unique: str) -> None:
        ours, theirs = pty.openpty()
        arguments = ["-t", unique, "-l", "--url", f"mqtt://127.0.0.1:{broker.port}"]
        with subprocess.Popen(
            [*python_command(), "-m", "amqtt.scripts.pub_script", *arguments],
            env=python_environment(),
            stdin=subprocess.PIPE,
            stderr=theirs,
        ) as process:
            os.close(theirs)
            assert process.stdin is not None
            process.stdin.write(b"x\n" * 5)
            process.stdin.flush()
            seen = b""
            while b"5 messages in" not in seen:  # the test's limit ends this
                seen += os.read(ours, 4096)
            process.stdin.close()
            assert process.wait(20) == 0
            os.close(ours)

    @pytest.mark.parametrize(
        "arguments",
        [
            ["--cert", "c.pem"],
            ["--url", "mqtt://x", "--unix", "/tmp/x"],
            ["-x", "5"],
            ["--request"],
            ["-e", "a"],
            ["--repeat", "2", "-s"],
        ],
    )
    def test_options_that_do_not_fit(self, arguments: list[str], no_broker: Shell) -> None:
        message = [] if "-s" in arguments else ["-m", "x"]
        command = no_broker.start("pub", "-t", "a", *message, *arguments)
        assert command.end() == 1
        assert command.stderr.startswith("\u274c ")

    @pytest.mark.parametrize("version", ["6", "mqtt", ""])
    def test_unknown_version(self, version: str, no_broker: Shell) -> None:
        assert no_broker.start("pub", "-t", "a", "-m", "x", "-V", version).end() == 2


@version_5
class TestVersion5:
    def test_properties(self, shell: Shell, unique: str) -> None:
        arguments = ["-V", "5", "-D", "subscribe", "subscription-identifier", "7"]
        subscriber = shell.subscribe(unique, "-n", "1", *arguments, "-F", "%C|%D|%E|%F|%P|%R|%S|%p")
        properties = [
            ("content-type", "text/plain"),
            ("correlation-data", "id"),
            ("message-expiry-interval", "60"),
            ("payload-format-indicator", "1"),
            ("user-property", "k", "v"),
            ("user-property", "k", "w"),
            ("response-topic", "answer"),
        ]
        given = [part for each in properties for part in ("-D", "publish", *each)]
        shell.publish("-V", "5", "-t", unique, "-m", "hi", *given)
        assert printed(subscriber) == b"text/plain|id|60|1|k:v k:w|answer|7|hi\n"

    def test_request_and_response(self, shell: Shell, unique: str) -> None:
        shell.subscribe(unique, "-V", "5", "--respond", "%t got %p")
        command = shell.start("pub", "-V", "5", "-t", unique, "-m", "it", "--request", "-W", "20")
        assert printed(command) == f"{unique} got it\n".encode()

    def test_response_topic_of_ones_own(self, shell: Shell, unique: str) -> None:
        shell.subscribe(unique, "-V", "5", "--respond", "%R")
        command = shell.start(
            *("pub", "-V", "5", "-t", unique, "-m", "it", "--request", "-W", "20"),
            *("-e", f"{unique}/answer"),
        )
        assert printed(command) == f"{unique}/answer\n".encode()

    def test_request_without_a_response(self, shell: Shell, unique: str) -> None:
        command = shell.start("pub", "-V", "5", "-t", unique, "-m", "x", "--request", "-W", "0.2")
        assert command.end() == 27
        assert "No response in 0.2 seconds" in command.stderr

    def test_no_local(self, shell: Shell, unique: str) -> None:
        """The subscriber answers to its own topic and does not get what it said."""
        arguments = ["-V", "5", "--no-local", "--respond", "again", "-v", "-W", "2", "-n", "2"]
        subscriber = shell.start("sub", "-t", unique, *arguments)
        subscriber.wait_for_log("Subscribed")
        shell.publish("-V", "5", "-t", unique, "-m", "x", "-D", "publish", "response-topic", unique)
        assert subscriber.end() == 27
        assert subscriber.stdout == f"{unique} x\n".encode()

    def test_retain_as_published(self, shell: Shell, unique: str) -> None:
        subscriber = shell.subscribe(
            unique, "-n", "1", "-V", "5", "--retain-as-published", "-F", "%r"
        )
        shell.publish("-V", "5", "-t", unique, "-m", "x", "-r")
        assert printed(subscriber) == b"1\n"

    def test_how_long_a_session_stays(self, shell: Shell, unique: str) -> None:
        named = ["-V", "5", "-i", unique, "-q", "1"]
        for expiry, kept in (["-x", "0"], False), ([], True), (["-x", "-1"], True):
            assert shell.start("sub", "-t", unique, *named, *expiry, "-E").end() == 0
            shell.publish("-t", unique, "-m", "meanwhile", "-q", "1")
            late = shell.start(
                "sub", "-t", unique, *named, "-W", "1" if not kept else "20", "-n", "1"
            )
            assert late.end() == (0 if kept else 27)
            assert (b"meanwhile" in late.stdout) is kept

    def test_a_subscription_that_is_removed(self, shell: Shell, unique: str) -> None:
        named = ["-i", unique, "-q", "1"]
        old, new = f"{unique}/old", f"{unique}/new"
        assert shell.start("sub", "-t", old, *named, "-E").end() == 0
        assert shell.start("sub", "-t", new, "-U", old, "-U", "other", *named, "-E").end() == 0
        for topic in (old, new):
            shell.publish("-t", topic, "-m", topic, "-q", "1")
        late = shell.start("sub", "-t", new, *named, "-n", "1", "-v")
        assert printed(late) == f"{new} {new}\n".encode()
