"""The commands `amqtt`, `amqtt_pub` and `amqtt_sub`, as processes."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.commands import Command, Shell
from support.process import BrokerProcess, StartBroker, free_port
from support.wire import WireClient, connect

LIMIT = 30.0
ANONYMOUS = {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}}


@pytest.fixture
def impatient(tmp_path: Path) -> str:
    """A client configuration without a second attempt to connect."""
    file = tmp_path / "client.yaml"
    file.write_text("auto_reconnect: false\nplugins: {}\n")
    return str(file)


def broker_file(folder: Path, port: int, plugins: Any = ANONYMOUS) -> str:
    file = folder / "broker.yaml"
    listener = {"type": "tcp", "bind": f"127.0.0.1:{port}"}
    file.write_text(yaml.safe_dump({"listeners": {"default": listener}, "plugins": plugins}))
    return str(file)


class TestBroker:
    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_starts_and_stops(self, number: int, no_broker: Shell, tmp_path: Path) -> None:
        port = free_port()
        command = no_broker.start("broker", "-c", broker_file(tmp_path, port))
        command.wait_for_log(f"Listener 'default' bind to 127.0.0.1:{port} (max_connections=0)")
        with socket.create_connection(("127.0.0.1", port), timeout=LIMIT):
            pass
        command.send(number)
        assert command.end() == 0
        assert "Broker closed" in command.stderr
        assert "Traceback" not in command.stderr
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=LIMIT)

    def test_stops_while_clients_are_connected(self, no_broker: Shell, tmp_path: Path) -> None:
        port = free_port()
        command = no_broker.start("broker", "-c", broker_file(tmp_path, port))
        command.wait_for_log("Listener 'default'")
        client = no_broker.subscribe("a", "--url", f"mqtt://127.0.0.1:{port}")
        command.send(signal.SIGTERM)
        assert command.end() == 0
        client.wait_for_log("Disconnected from broker")

    def test_signals_at_about_the_same_time_are_one(self, no_broker: Shell, tmp_path: Path) -> None:
        port = free_port()
        command = no_broker.start("broker", "-c", broker_file(tmp_path, port))
        command.wait_for_log("Listener 'default'")
        command.send_twice(signal.SIGTERM)
        assert command.end() == 0
        assert "Broker closed" in command.stderr

    @pytest.mark.parametrize("bind", ["127.0.0.1:99999", "127.0.0.1:mqtt", "[::1"])
    @pytest.mark.parametrize("arguments", [[], ["--check"]])
    def test_wrong_address(
        self, bind: str, arguments: list[str], no_broker: Shell, tmp_path: Path
    ) -> None:
        file = tmp_path / "broker.yaml"
        listeners = {"default": {"bind": "127.0.0.1:0"}, "other": {"bind": bind}}
        file.write_text(yaml.safe_dump({"listeners": listeners}))
        command = no_broker.start("broker", "-c", str(file), *arguments)
        assert command.end() == 1
        assert "❌ Broker failed to start: " in command.stderr
        assert "listener 'other': " in command.stderr
        assert bind in command.stderr
        assert "Traceback" not in command.stderr

    def test_taken_port(self, no_broker: Shell, tmp_path: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
            command = no_broker.start("broker", "-c", broker_file(tmp_path, port))
            assert command.end() == 1
        assert "❌ Broker failed to start: " in command.stderr
        assert str(port) in command.stderr
        assert "Traceback" not in command.stderr

    @pytest.mark.parametrize(
        ("plugins", "text"),
        [
            ({"no.such.Plugin": {}}, "no.such.Plugin"),
            (
                {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_nobody": True}},
                "allow_nobody",
            ),
            (
                {
                    "amqtt.contrib.auth_db.UserAuthDBPlugin": {
                        "connection": "mysql+asyncmy://x@127.0.0.1/x"
                    }
                },
                "Plugin 'UserAuthDBPlugin' needs what cannot be imported: No module named",
            ),
        ],
    )
    @pytest.mark.parametrize("arguments", [[], ["--check"]])
    def test_wrong_plugin(
        self, plugins: Any, text: str, arguments: list[str], no_broker: Shell, tmp_path: Path
    ) -> None:
        file = broker_file(tmp_path, free_port(), plugins)
        command = no_broker.start("broker", "-c", file, *arguments)
        assert command.end() == 1
        assert "❌ Broker failed to start: " in command.stderr
        assert text in command.stderr
        assert file in command.stderr
        assert "Traceback" not in command.stderr

    @pytest.mark.parametrize("value", [0, 1000, "x"])
    def test_wrong_threads(self, value: Any, no_broker: Shell, tmp_path: Path) -> None:
        file = tmp_path / "broker.yaml"
        file.write_text(yaml.safe_dump({"threads": value}))
        command = no_broker.start("broker", "-c", str(file), "--check")
        assert command.end() == 1
        assert "threads: expected a whole number" in command.stderr
        assert "Traceback" not in command.stderr

    def test_check_opens_no_port(self, no_broker: Shell, tmp_path: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            file = broker_file(tmp_path, server.getsockname()[1])
            command = no_broker.start("broker", "-c", file, "--check")
            assert command.end() == 0
        assert command.stdout.decode() == f"{file}: ok\n"

    def test_check_of_the_packaged_configuration(self, no_broker: Shell) -> None:
        command = no_broker.start("broker", "--check")
        assert command.end() == 0, command.stderr

    def test_debug_log(self, no_broker: Shell, tmp_path: Path) -> None:
        command = no_broker.start("broker", "-d", "-c", broker_file(tmp_path, free_port()))
        command.wait_for_log("Listener 'default'")
        command.send(signal.SIGTERM)
        assert command.end() == 0
        line = next(line for line in command.stderr.splitlines() if "Listener 'default'" in line)
        assert "] amqtt.broker:" in line
        assert " :: INFO - Listener" in line
        assert "transitions" not in command.stderr


class TestSources:
    def test_message(self, shell: Shell, unique: str) -> None:
        subscriber = shell.subscribe(unique, "-n", "1")
        shell.publish("-t", unique, "-m", "grün")
        assert subscriber.end() == 0
        assert subscriber.stdout == "grün\n".encode()

    def test_file(self, shell: Shell, unique: str, tmp_path: Path) -> None:
        file = tmp_path / "lines"
        file.write_bytes(b"one\n\xff\x00\nthree")
        subscriber = shell.subscribe(unique, "-n", "3")
        shell.publish("-t", unique, "-f", str(file))
        assert subscriber.end() == 0
        assert subscriber.stdout == b"one\n\n\xff\x00\n\nthree\n"

    @pytest.mark.parametrize(
        ("option", "count", "expected"),
        [("-s", "1", b"one\ntwo\n\n"), ("-l", "2", b"one\n\ntwo\n\n")],
    )
    def test_standard_input(
        self, option: str, count: str, expected: bytes, shell: Shell, unique: str, tmp_path: Path
    ) -> None:
        file = tmp_path / "stdin"
        file.write_bytes(b"one\ntwo\n")
        subscriber = shell.subscribe(unique, "-n", count)
        with file.open("rb") as stdin:
            shell.publish("-t", unique, option, stdin=stdin)
        assert subscriber.end() == 0
        assert subscriber.stdout == expected

    def test_no_message_is_not_printed(self, shell: Shell, unique: str) -> None:
        subscriber = shell.subscribe(unique, "-n", "1")
        shell.publish("-t", unique, "-n")
        shell.publish("-t", unique, "-m", "after")
        assert subscriber.end() == 0
        assert subscriber.stdout == b"after\n"

    def test_lines_are_published_as_they_come(self, shell: Shell, unique: str) -> None:
        subscriber = shell.subscribe(unique)
        publisher = shell.start("pub", "-t", unique, "-l", stdin=subprocess.PIPE)
        stdin = publisher.process.stdin
        assert stdin is not None
        for line in (b"one\n", b"two\n"):
            stdin.write(line)
            stdin.flush()
            subscriber.wait_for_output(line)
        stdin.close()
        assert publisher.end() == 0

    @pytest.mark.parametrize("qos", ["0", "1", "2"])
    def test_many_lines_in_order(self, qos: str, shell: Shell, unique: str, tmp_path: Path) -> None:
        count = 5000
        file = tmp_path / "lines"
        content = b"".join(b"%d\n" % number for number in range(count))
        file.write_bytes(content)
        subscriber = shell.subscribe(unique, "-n", str(count), "-q", qos)
        shell.publish("-t", unique, "-f", str(file), "-q", qos)
        assert subscriber.end() == 0
        assert subscriber.stdout.split() == content.split()

    def test_retain(self, shell: Shell, unique: str) -> None:
        shell.publish("-t", unique, "-m", "kept", "-r", "-q", "1")
        subscriber = shell.start("sub", "-t", unique, "-n", "1")
        assert subscriber.end() == 0
        assert subscriber.stdout == b"kept\n"
        shell.publish("-t", unique, "-n", "-r", "-q", "1")
        empty = shell.subscribe(unique, "-n", "1")
        shell.publish("-t", unique, "-m", "live")
        assert empty.end() == 0
        assert empty.stdout == b"live\n"


class TestEnds:
    def test_several_filters(self, shell: Shell, unique: str) -> None:
        subscriber = shell.subscribe(f"{unique}/a", "-t", f"{unique}/b/#", "-n", "2")
        subscriber.wait_for_log(f"Subscribed to '{unique}/b/#'")
        shell.publish("-t", f"{unique}/a", "-m", "one", "-q", "1")
        shell.publish("-t", f"{unique}/b/c", "-m", "two", "-q", "1")
        assert subscriber.end() == 0
        assert subscriber.stdout == b"one\ntwo\n"

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_interrupted_subscriber(self, number: int, shell: Shell, unique: str) -> None:
        subscriber = shell.subscribe(unique)
        shell.publish("-t", unique, "-m", "one")
        subscriber.wait_for_output(b"one\n")
        subscriber.send(number)
        assert subscriber.end() == 0
        assert "Disconnected from broker" in subscriber.stderr
        assert "Traceback" not in subscriber.stderr

    def test_interrupted_publisher(self, shell: Shell, unique: str) -> None:
        publisher = shell.start("pub", "-t", unique, "-l", stdin=subprocess.PIPE)
        publisher.wait_for_log("Publishing to")
        publisher.send(signal.SIGINT)
        assert publisher.end() == 0
        assert "Disconnected from broker" in publisher.stderr
        assert "Traceback" not in publisher.stderr

    def test_publisher_that_is_interrupted_twice(self, shell: Shell, unique: str) -> None:
        publisher = shell.start("pub", "-t", unique, "-l", stdin=subprocess.PIPE)
        publisher.wait_for_log("Publishing to")
        publisher.send_twice(signal.SIGTERM)
        assert publisher.end() == 0
        assert "Disconnected from broker" in publisher.stderr
        assert "Traceback" not in publisher.stderr

    def test_interrupted_while_connecting(self, no_broker: Shell) -> None:
        with socket.create_server(("127.0.0.1", 0)) as mute:
            url = f"mqtt://127.0.0.1:{mute.getsockname()[1]}"
            publisher = no_broker.start("pub", "--url", url, "-t", "a", "-m", "x")
            mute.settimeout(LIMIT)
            mute.accept()[0].close()
            publisher.wait_for_log("trying again")
            publisher.send(signal.SIGINT)
            assert publisher.end() == 0
        assert "CRITICAL" not in publisher.stderr
        assert "❌" not in publisher.stderr

    def test_reader_that_went_away(self, shell: Shell, unique: str) -> None:
        read_end, write_end = os.pipe()
        subscriber = shell.subscribe(unique, stdout=write_end)
        os.close(write_end)
        os.close(read_end)
        assert subscriber.end() == 0
        assert "BrokenPipe" not in subscriber.stderr
        assert "Traceback" not in subscriber.stderr

    def test_debug_log_is_about_mqtt(self, shell: Shell, unique: str) -> None:
        publisher = shell.start("pub", "-d", "-t", unique, "-m", "x")
        assert publisher.end() == 0
        assert "transitions" not in publisher.stderr

    @pytest.mark.parametrize("script", ["pub", "sub"])
    def test_nobody_there(self, script: str, no_broker: Shell, impatient: str) -> None:
        url = f"mqtt://127.0.0.1:{free_port()}"
        arguments = ["-m", "x"] if script == "pub" else []
        command = no_broker.start(script, "--url", url, "-c", impatient, "-t", "a", *arguments)
        assert command.end() == 1
        assert f"CRITICAL - Connection to '{url}' failed" in command.stderr
        assert "❌ Connection failed" in command.stderr
        assert "Traceback" not in command.stderr

    @pytest.mark.parametrize("url", ["127.0.0.1", "http://127.0.0.1:1"])
    def test_wrong_scheme(self, url: str, no_broker: Shell, impatient: str) -> None:
        command = no_broker.start("pub", "--url", url, "-c", impatient, "-t", "a", "-m", "x")
        assert command.end() == 1
        assert "❌ Connection failed" in command.stderr

    def test_refused(self, broker_process: StartBroker, impatient: str, no_broker: Shell) -> None:
        broker = broker_process({"plugins": {}}, mosquitto=None)
        url = f"mqtt://127.0.0.1:{broker.port}"
        command = no_broker.start("pub", "--url", url, "-c", impatient, "-t", "a", "-m", "x")
        assert command.end() == 1
        assert "❌ Connection failed" in command.stderr

    def test_wildcard_topic(self, shell: Shell) -> None:
        publisher = shell.start("pub", "-t", "a/#", "-m", "x")
        assert publisher.end() == 1
        assert "❌ Publishing failed" in publisher.stderr
        assert "Traceback" not in publisher.stderr

    def test_lost_broker(
        self, broker_process: StartBroker, impatient: str, no_broker: Shell, unique: str
    ) -> None:
        broker = broker_process()
        url = f"mqtt://127.0.0.1:{broker.port}"
        subscriber = no_broker.subscribe(unique, "--url", url, "-c", impatient)
        broker.stop()
        assert subscriber.end() == 1
        assert "❌" in subscriber.stderr
        assert "Traceback" not in subscriber.stderr


class TestSession:
    def session_present(self, broker: BrokerProcess, client_id: str) -> bool:
        with WireClient(broker.port) as peer:
            peer.send(connect(client_id, clean=False))
            connack = peer.read(4)
            assert connack[:2] + connack[3:] == b"\x20\x02\x00"
            return connack[2] == 1

    def test_generated_client_id_leaves_no_session(
        self, broker: BrokerProcess, shell: Shell, unique: str
    ) -> None:
        subscriber = shell.subscribe(unique, "-q", "1", "-n", "1")
        publisher = shell.start("pub", "-t", unique, "-m", "x", "-q", "1")
        assert publisher.end() == 0
        assert subscriber.end() == 0
        for tool, command in (("amqtt_pub", publisher), ("amqtt_sub", subscriber)):
            client_id = f"{tool}/{command.process.pid}-{socket.gethostname()}"
            assert client_id in command.stderr
            assert not self.session_present(broker, client_id)

    def test_own_client_id_keeps_the_session(
        self, broker: BrokerProcess, shell: Shell, unique: str
    ) -> None:
        shell.publish("-t", unique, "-m", "x", "-i", unique)
        assert self.session_present(broker, unique)
        shell.publish("-t", unique, "-m", "x", "-i", unique, "--clean-session")
        assert not self.session_present(broker, unique)

    @pytest.mark.parametrize("options", [[], ["-i", "me"]])
    def test_subscribes_again_at_a_restarted_broker(
        self, options: list[str], no_broker: Shell, tmp_path: Path
    ) -> None:
        port = free_port()
        config = tmp_path / "client.yaml"
        config.write_text("reconnect_retries: -1\nreconnect_max_interval: 1\n")
        at_broker = ["--url", f"mqtt://127.0.0.1:{port}", "-c", str(config)]
        broker = no_broker.start("broker", "-c", broker_file(tmp_path, port))
        broker.wait_for_log("Listener 'default'")
        subscriber = no_broker.subscribe("a/#", *at_broker, *options, "-n", "1")
        broker.send(signal.SIGTERM)
        assert broker.end() == 0
        again = no_broker.start("broker", "-c", broker_file(tmp_path, port))
        again.wait_for_log("Listener 'default'")
        subscriber.wait_for_logs("Subscribed to 'a/#'", 2)
        assert "INFO - Reconnected to broker, the session is new" in subscriber.stderr
        no_broker.publish(*at_broker, "-t", "a/b", "-m", "x")
        assert subscriber.end() == 0
        assert subscriber.stdout == b"x\n"
        again.send(signal.SIGTERM)
        assert again.end() == 0


class TestWill:
    def options(self, topic: str, *more: str) -> list[str]:
        return ["--will-topic", topic, "--will-message", "lost", *more]

    def test_lost_client(self, shell: Shell, unique: str) -> None:
        watcher = shell.subscribe(f"{unique}/will", "-n", "1", "-q", "1")
        client = shell.subscribe(unique, *self.options(f"{unique}/will", "--will-qos", "1"))
        client.process.kill()
        assert watcher.end() == 0
        assert watcher.stdout == b"lost\n"

    def test_retained(self, shell: Shell, unique: str) -> None:
        watcher = shell.subscribe(f"{unique}/will", "-n", "1")
        client = shell.subscribe(unique, *self.options(f"{unique}/will", "--will-retain"))
        client.process.kill()
        assert watcher.end() == 0
        late = shell.start("sub", "-t", f"{unique}/will", "-n", "1")
        assert late.end() == 0
        assert late.stdout == b"lost\n"
        shell.publish("-t", f"{unique}/will", "-n", "-r")

    @pytest.mark.parametrize(
        "send",
        [
            lambda client: client.send(signal.SIGINT),
            lambda client: client.send_twice(signal.SIGTERM),
        ],
        ids=["one", "two"],
    )
    def test_interrupted_client_leaves_no_will(
        self, send: Callable[[Command], None], shell: Shell, unique: str
    ) -> None:
        watcher = shell.subscribe(f"{unique}/will", "-n", "1")
        client = shell.subscribe(unique, *self.options(f"{unique}/will"))
        send(client)
        assert client.end() == 0
        shell.publish("-t", f"{unique}/will", "-m", "marker")
        assert watcher.end() == 0
        assert watcher.stdout == b"marker\n"


def closing(*descriptors: int) -> dict[str, Any]:
    """Return what starts a command with some of its standard streams closed."""
    return {"preexec_fn": lambda: [os.close(each) for each in descriptors]}


def client_of(port: int) -> WireClient:
    """Wait until a broker without a log accepts connections."""
    deadline = time.monotonic() + LIMIT
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=LIMIT).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return WireClient(port)


class TestClosedStreams:
    """A shell closes them by `<&-`, `>&-` and `2>&-`."""

    @pytest.mark.parametrize("closed", [(2,), (1, 2), (0, 1, 2)])
    def test_publisher(self, closed: tuple[int, ...], shell: Shell, unique: str) -> None:
        subscriber = shell.subscribe(unique, "-n", "2")
        shell.publish("-t", unique, "-m", "one", "-q", "1", **closing(*closed))
        shell.publish("-t", unique, "-m", "two", "-q", "1")
        assert subscriber.end() == 0
        assert subscriber.stdout == b"one\ntwo\n"

    @pytest.mark.parametrize("option", ["-l", "-s", "-f=-"])
    def test_publisher_without_input(self, option: str, shell: Shell, unique: str) -> None:
        publisher = shell.start("pub", "-t", unique, *option.split("="), **closing(0))
        assert publisher.end() == 1
        assert publisher.stderr == "❌ Cannot read the messages: the standard input is closed\n"

    def test_requests_without_output(self, shell: Shell, unique: str) -> None:
        arguments = ("-t", unique, "-m", "x", "-V", "5", "--request")
        publisher = shell.start("pub", *arguments, **closing(1))
        assert publisher.end() == 1
        assert publisher.stderr == "❌ Cannot print the responses: the standard output is closed\n"

    def test_subscriber_without_output(self, shell: Shell, unique: str) -> None:
        subscriber = shell.start("sub", "-t", unique, **closing(1))
        assert subscriber.end() == 1
        assert subscriber.stderr == "❌ Cannot print the messages: the standard output is closed\n"
        only_subscribes = shell.start("sub", "-t", unique, "-E", **closing(1))
        assert only_subscribes.end() == 0, only_subscribes.stderr

    def test_subscriber_without_log(self, shell: Shell, unique: str) -> None:
        shell.publish("-t", unique, "-m", "kept", "-r", "-q", "1")
        subscriber = shell.start("sub", "-t", unique, "-n", "1", **closing(0, 2))
        assert subscriber.end() == 0
        assert subscriber.stdout == b"kept\n"
        shell.publish("-t", unique, "-n", "-r", "-q", "1")

    def test_broker(self, no_broker: Shell, tmp_path: Path) -> None:
        file = broker_file(tmp_path, free_port())
        assert no_broker.start("broker", "-c", file, "--check", **closing(0, 1, 2)).end() == 0
        port = free_port()
        broker = no_broker.start("broker", "-c", broker_file(tmp_path, port), **closing(0, 1, 2))
        with client_of(port) as peer:
            peer.login(connect("c")).ping()
        broker.send(signal.SIGTERM)
        assert broker.end() == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no /dev/full")
class TestFullOutput:
    """Whoever cannot write says so in a line."""

    @pytest.mark.parametrize("script", ["broker", "pub", "sub"])
    def test_version(self, script: str, no_broker: Shell) -> None:
        with Path("/dev/full").open("wb") as full:
            command = no_broker.start(script, "--version", stdout=full)
            assert command.end() == 1
        assert command.stderr == "❌ [Errno 28] No space left on device\n"

    def test_subscriber(self, shell: Shell, unique: str) -> None:
        with Path("/dev/full").open("wb") as full:
            subscriber = shell.subscribe(unique, "-n", "1", stdout=full)
            shell.publish("-t", unique, "-m", "x", "-q", "1")
            assert subscriber.end() == 1
        assert "❌ [Errno 28] No space left on device\n" in subscriber.stderr
        assert "Disconnected from broker" in subscriber.stderr
        assert "Traceback" not in subscriber.stderr

    def test_responses(self, shell: Shell, unique: str) -> None:
        responder = shell.subscribe(unique, "-V", "5", "--respond", "%p", "-n", "1")
        with Path("/dev/full").open("wb") as full:
            arguments = ("-t", unique, "-m", "x", "-V", "5", "--request")
            publisher = shell.start("pub", *arguments, stdout=full)
            assert publisher.end() == 1
        assert "❌ Cannot print the response: [Errno 28] No space left" in publisher.stderr
        assert "Traceback" not in publisher.stderr
        assert responder.end() == 0
