"""Files of mosquitto, with its own tools and against its own verdicts."""

from __future__ import annotations

import collections
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.process import BrokerProcess, StartBroker, broker_kind, free_port
from support.python import python_command, python_environment
from support.wire import WireClient, connect, publish, subscribe

LIMIT = 20.0
USERS = {
    "alice": "wonderland", "bob": "", "carol": "colon:and spaces", "dörte": "schlüssel",
    "eve": "x" * 200,
}  # fmt: skip

pytestmark = pytest.mark.skipif(
    broker_kind() != "amqtt", reason="mosquitto is started besides ours"
)


def tool(name: str) -> str:
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/bin")
    if found is None:
        reason = f"not tested: {name} is not installed"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return found


@pytest.fixture
def start_mosquitto(tmp_path: Path) -> Iterator[Callable[[str], int]]:
    """Start mosquitto with lines of its configuration; give its port."""
    started: list[subprocess.Popen[bytes]] = []

    def start(lines: str) -> int:
        port = free_port()
        config = tmp_path / "mosquitto.conf"
        # As root it would drop its rights, and with them those to the test's files.
        config.write_text(f"listener {port} 127.0.0.1\nuser root\n{lines}")
        process = subprocess.Popen([tool("mosquitto"), "-c", str(config)], stderr=subprocess.PIPE)
        started.append(process)
        deadline = time.monotonic() + LIMIT
        while time.monotonic() < deadline and process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
            except OSError:
                time.sleep(0.02)
            else:
                return port
        assert process.stderr is not None
        process.kill()
        pytest.fail(f"mosquitto does not start: {process.stderr.read().decode()}")

    yield start
    for process in started:
        process.terminate()
        process.communicate(timeout=LIMIT)


class Client:
    """A client of MQTT 5.0 whose calls wait for their acknowledgement."""

    def __init__(self, port: int, client_id: str, user: str | None, password: str | None) -> None:
        self._wire = WireClient(port)
        self._wire.send(
            connect(client_id, version=5, username=user, password=password, properties=b"")
        )
        self.code = self._wire.read_packet()[3]
        self._received: collections.deque[str] = collections.deque()

    def _answer(self, kind: int) -> bytes:
        """Return the next packet of that kind; keep the messages before it."""
        while True:
            packet = self._wire.read_packet(LIMIT)
            if packet[0] == kind:
                return packet
            assert packet[0] >> 4 == 3, packet
            self._received.append(_payload_of(packet))

    def subscribe(self, topic: str) -> bool:
        """Return whether the subscription is granted."""
        self._wire.send(subscribe(1, (topic, 0), properties=b""))
        return self._answer(0x90)[-1] < 0x80

    def publish(self, topic: str) -> bool:
        """Return whether the message is accepted; its payload names the topic."""
        self._wire.send(publish(topic, topic.encode(), qos=1, packet_id=1, properties=b""))
        answer = self._answer(0x40)
        return len(answer) <= 4 or answer[4] < 0x80

    def message(self) -> str:
        """Return the next message."""
        if not self._received:
            self._received.append(_payload_of(self._wire.read_packet(LIMIT)))
        return self._received.popleft()

    def forget_messages(self) -> None:
        """Forget what has arrived."""
        self._received.clear()

    def close(self) -> None:
        self._wire.abort()


def _payload_of(publish_packet: bytes) -> str:
    assert publish_packet[0] == 0x30
    assert publish_packet[1] < 0x80
    topic_size = int.from_bytes(publish_packet[2:4], "big")
    properties = publish_packet[4 + topic_size]
    return publish_packet[5 + topic_size + properties :].decode()


# -- passwords


@pytest.fixture
def password_file(tmp_path: Path) -> Path:
    """Return a file that mosquitto's tool has made, with both kinds of hashes."""
    file = tmp_path / "passwords"
    make = tool("mosquitto_passwd")
    file.touch(mode=0o600)
    for number, (user, password) in enumerate(USERS.items()):
        kind = ("sha512", "sha512-pbkdf2")[number % 2]
        command = [make, "-H", kind, "-b", str(file), user, password]
        if password:
            subprocess.run(command, check=True, capture_output=True)
    text = file.read_text()
    assert "$6$" in text
    assert "$7$" in text
    return file


def logins(port: int) -> dict[tuple[str | None, str | None], bool]:
    """Return who is admitted with what."""
    attempts: list[tuple[str | None, str | None]] = [
        (user, password)
        for user in (*USERS, "nobody", "")
        for password in (*USERS.values(), "wonderlan", "WONDERLAND", None)
    ]
    verdicts = {}
    for user, password in attempts:
        client = Client(port, "", user, password)
        verdicts[user, password] = client.code == 0
        client.close()
    return verdicts


def test_passwords_are_those_of_mosquitto(
    password_file: Path, broker_process: StartBroker, start_mosquitto: Callable[[str], int]
) -> None:
    ours = broker_process(
        {
            "plugins": {
                "amqtt.plugins.authentication.FileAuthPlugin": {"password_file": str(password_file)}
            }
        }
    )
    theirs = start_mosquitto(f"allow_anonymous false\npassword_file {password_file}\n")
    verdicts = logins(ours.port)
    assert verdicts == logins(theirs)
    admitted = {user: password for (user, password), good in verdicts.items() if good}
    assert admitted == {user: password for user, password in USERS.items() if password}


# -- access control lists

ACL = """\
# comments and empty lines

topic read public/#
topic write inbox
topic read end

user alice
topic a/#
topic deny a/secret/#
topic read  r/+/x
topic write with space/x

user bob
topic readwrite a/secret/b
topic deny public/x
topic deny common/bob
topic #

user root
topic readwrite #

user +
topic read end

user carol
topic read end

pattern read own/%u/#
pattern write own/%u/%c
pattern readwrite client/%c
pattern deny common/secret
pattern read common/#
pattern read end
"""
# None with a slash: patterns give them something in mosquitto 2.0, and nothing in 2.1 and here.
NAMES: list[tuple[str | None, str]] = [
    (None, "c1"), ("alice", "c1"), ("alice", "c2"), ("bob", "c1"), ("carol", "c1"),
    ("+", "c1"), ("carol", "+"), ("carol", "#"),
]  # fmt: skip
TOPICS = [
    "public", "public/x", "public/x/y", "inbox", "a", "a/b", "a/secret", "a/secret/b", "r/1/x",
    "r/1/y", "with space/x", "own/alice", "own/alice/c1", "own/alice/c/2", "own/alice/c2",
    "own/carol/c1", "own/al/ice/c1", "own/+", "own/", "client/c1", "client/c/2", "client/+",
    "client/#x", "common/secret", "common/bob", "common/other", "other",
]  # fmt: skip
TOPICS = [each for each in TOPICS if "+" not in each and "#" not in each]


def access(port: int) -> dict[tuple[str | None, str], tuple[list[str], list[str]]]:
    """Return which topics each client receives and may publish to."""
    root = Client(port, "root", "root", None)
    verdicts = {}
    for user, client_id in NAMES:
        client = Client(port, client_id, user, None)
        assert client.code == 0
        assert client.subscribe("#")
        for topic in (*TOPICS, "end"):
            assert root.publish(topic)
        received = []
        while (topic := client.message()) != "end":
            received.append(topic)
        sent = [topic for topic in TOPICS if client.publish(topic)]
        verdicts[user, client_id] = received, sent
        client.close()
    root.close()
    return verdicts


def ours_with(acl: Path, broker_process: StartBroker) -> BrokerProcess:
    return broker_process(
        {
            "plugins": {
                "amqtt.plugins.authentication.AnonymousAuthPlugin": {},
                "amqtt.plugins.topic_checking.TopicAccessControlListPlugin": {"acl_file": str(acl)},
            }
        }
    )


def test_access_is_that_of_mosquitto(
    tmp_path: Path, broker_process: StartBroker, start_mosquitto: Callable[[str], int]
) -> None:
    acl = tmp_path / "acl"
    acl.write_text(ACL)
    ours = ours_with(acl, broker_process)
    theirs = start_mosquitto(f"allow_anonymous true\nacl_file {acl}\n")
    verdicts = access(ours.port)
    assert verdicts == access(theirs)
    assert verdicts["alice", "c1"][1][:3] == ["a", "a/b", "with space/x"]
    assert verdicts["carol", "+"] == ([], [])


def test_a_change_of_the_file_holds_for_those_who_are_connected(
    tmp_path: Path, broker_process: StartBroker
) -> None:
    acl = tmp_path / "acl"
    acl.write_text("user root\ntopic #\nuser alice\ntopic a\ntopic b\n")
    port = ours_with(acl, broker_process).port
    root, alice = Client(port, "root", "root", None), Client(port, "alice", "alice", None)
    assert alice.subscribe("#")
    assert alice.publish("a")
    assert alice.message() == "a"
    acl.write_text("user root\ntopic #\nuser alice\ntopic b\n")
    deadline = time.monotonic() + LIMIT
    while alice.publish("a") and time.monotonic() < deadline:
        pass
    assert not alice.publish("a")
    alice.forget_messages()
    assert root.publish("a")
    assert root.publish("b")
    assert alice.message() == "b"
    root.close()
    alice.close()


@pytest.mark.parametrize(
    ("plugin", "option", "text", "problem"),
    [
        (
            "amqtt.plugins.topic_checking.TopicAccessControlListPlugin", "acl_file",
            "topic a\nmistake\n", "acl, line 2: expected 'topic', 'pattern' or 'user'",
        ),
        (
            "amqtt.plugins.authentication.FileAuthPlugin", "password_file",
            "alice:$7$101$damaged$x\n", "acl:1: user 'alice' is refused: the hash",
        ),
    ],
)  # fmt: skip
def test_mistakes_are_named_by_file_and_line(
    plugin: str, option: str, text: str, problem: str, tmp_path: Path
) -> None:
    (tmp_path / "acl").write_text(text)
    (tmp_path / "broker.yaml").write_text(
        f"listeners: {{default: {{bind: '127.0.0.1:0'}}}}\n"
        f"plugins: {{{plugin}: {{{option}: acl}}}}\n"
    )
    done = subprocess.run(
        [*python_command(), "-m", "amqtt.scripts.broker_script", "--check", "-c", "broker.yaml"],
        cwd=tmp_path, env=python_environment(), capture_output=True, text=True, timeout=LIMIT,
        check=False,
    )  # fmt: skip
    assert problem in done.stderr + done.stdout
