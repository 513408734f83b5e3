"""Signals to the command `amqtt`: while it starts, and when Python does not get to them."""

from __future__ import annotations

import fcntl
import signal
import socket
import struct
import subprocess
import termios
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.process import START_LIMIT, BrokerProcess, StartBroker, broker_kind, free_port
from support.python import python_command, python_environment, run_program
from support.wire import (
    PINGREQ,
    WireClient,
    WireError,
    ack,
    connect,
    publish,
    subscribe,
)

pytestmark = pytest.mark.skipif(broker_kind() != "amqtt", reason="the command of ours")

SHUTTING_DOWN = b"\xe0\x01\x8b"
LIMIT = 30

BLOCKING_PLUGIN = """
import time
from amqtt.plugins.base import BasePlugin


class Blocking(BasePlugin):
    async def on_broker_client_connected(self, client_id, client_session):
        if client_id == "blocks":
            print("the loop is blocked", flush=True)
            time.sleep(3600)
"""

HANGING_PLUGIN = """
import asyncio
from amqtt.plugins.base import BasePlugin


class Hanging(BasePlugin):
    async def on_broker_pre_shutdown(self):
        await asyncio.sleep(3600)
"""


def login_v5(port: int, client_id: str, properties: bytes = b"") -> WireClient:
    client = WireClient(port)
    client.send(connect(client_id, properties=properties))
    assert client.read_packet()[0] == 0x20
    return client


# -- while it starts


@contextmanager
def starting(folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Start a broker; give its process as soon as that handles signals, and its port."""
    port = free_port()
    config = folder / "broker.yaml"
    listeners = {"default": {"bind": f"127.0.0.1:{port}"}}
    config.write_text(yaml.safe_dump({"listeners": listeners}))
    process = subprocess.Popen(
        [*python_command(), "-m", "amqtt.scripts.broker_script", "-c", str(config)],
        env=python_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    try:
        deadline = time.monotonic() + START_LIMIT
        while not caught(process.pid) >> (signal.SIGHUP - 1) & 1:
            assert process.poll() is None
            assert time.monotonic() < deadline
        yield process, port
    finally:
        process.kill()
        process.communicate()


def caught(pid: int) -> int:
    """Return the signals that a process handles, as bits."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    (line,) = (line for line in status.splitlines() if line.startswith("SigCgt"))
    return int(line.split()[1], 16)


def has_loaded_the_engine(pid: int) -> bool:
    return "amqtt/_core" in Path(f"/proc/{pid}/maps").read_text(encoding="utf-8")


def test_signals_are_handled_before_anything_else(tmp_path: Path) -> None:
    with starting(tmp_path) as (process, _):
        assert not has_loaded_the_engine(process.pid)


def test_little_is_imported_before_signals_are_handled() -> None:
    source = """
        import sys
        before = set(sys.modules)
        from amqtt.scripts import broker_script
        print(*(set(sys.modules) - before))
    """
    imported = set(run_program("\n".join(line.strip() for line in source.splitlines())).split())
    assert {name for name in imported if name.partition(".")[0] == "amqtt"} == {
        "amqtt",
        "amqtt.scripts",
        "amqtt.scripts._signals",
        "amqtt.scripts._streams",
        "amqtt.scripts.broker_script",
    }
    assert not imported & {"asyncio", "logging", "yaml", "dataclasses"}


def test_a_hangup_during_the_start_is_a_request_to_reload(tmp_path: Path) -> None:
    with starting(tmp_path) as (process, port):
        process.send_signal(signal.SIGHUP)
        assert process.stderr is not None
        for line in process.stderr:
            if b"Certificates were read again" in line:
                break
        else:
            pytest.fail(f"the broker has ended with status {process.wait(LIMIT)}")
        with WireClient(port) as client:
            client.login(connect("c"))
        process.send_signal(signal.SIGTERM)
        assert process.wait(LIMIT) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_request_to_stop_during_the_start(number: int, tmp_path: Path) -> None:
    with starting(tmp_path) as (process, _):
        process.send_signal(number)
        _, stderr = process.communicate(timeout=LIMIT)
        assert process.returncode == 0, stderr.decode()
        assert b"Traceback" not in stderr


# -- in time, whatever Python does


@contextmanager
def broker_with(
    folder: Path, plugin: str = "", **config: Any
) -> Iterator[tuple[BrokerProcess, subprocess.Popen[bytes]]]:
    """Run a broker with a plugin of the test's own; give it, and its process."""
    plugins: dict[str, Any] = {"amqtt.plugins.authentication.AnonymousAuthPlugin": None}
    if plugin:
        (folder / "own.py").write_text(plugin)
        plugins[f"own.{plugin.partition('class ')[2].partition('(')[0]}"] = None
    broker = BrokerProcess(folder, {"plugins": plugins, **config}, "")
    try:
        yield broker, broker._process
    finally:
        broker.kill()


def test_clients_are_disconnected_in_order_though_the_loop_is_blocked(tmp_path: Path) -> None:
    will = connect("dying", will=("wills/x", b"gone"))
    with (
        broker_with(tmp_path, BLOCKING_PLUGIN, shutdown_timeout=1) as (broker, process),
        login_v5(broker.port, "watcher") as watcher,
        WireClient(broker.port) as dying,
        WireClient(broker.port) as blocking,
    ):
        watcher.send(subscribe(1, ("wills/#", 0), properties=b""))
        assert watcher.read_packet()[0] == 0x90
        dying.login(will)
        blocking.login(connect("blocks"))
        broker.wait_for_log("the loop is blocked")
        broker.send_signal(signal.SIGTERM)
        watcher.expect(publish("wills/x", b"gone", properties=b""))
        watcher.expect(SHUTTING_DOWN)
        watcher.expect_close()
        assert process.wait(LIMIT) == 1


def test_a_plugin_that_does_not_let_go(tmp_path: Path) -> None:
    with (
        broker_with(tmp_path, HANGING_PLUGIN, shutdown_timeout=1) as (broker, process),
        login_v5(broker.port, "c") as client,
    ):
        broker.send_signal(signal.SIGTERM)
        client.expect(SHUTTING_DOWN)
        assert process.wait(LIMIT) == 0
        assert "Plugins did not handle" in broker.log()


def test_what_is_queued_is_sent(tmp_path: Path) -> None:
    """The subscriber takes three messages at a time, and is told why it is disconnected."""
    with (
        broker_with(tmp_path, shutdown_timeout=20) as (broker, process),
        login_v5(broker.port, "s", b"\x21\x00\x03") as subscriber,
        WireClient(broker.port) as publisher,
    ):
        subscriber.send(subscribe(1, ("t", 1), properties=b""))
        assert subscriber.read_packet()[0] == 0x90
        publisher.login(connect("p"))
        for number in range(1, 41):
            publisher.send(publish("t", b"%d" % number, qos=1, packet_id=number))
            assert publisher.read_packet()[0] == 0x40
        broker.send_signal(signal.SIGTERM)
        publisher.expect_close()
        for number in range(1, 41):
            subscriber.expect(publish("t", b"%d" % number, qos=1, packet_id=number, properties=b""))
            subscriber.send(ack(0x40, number))
        subscriber.expect(SHUTTING_DOWN)
        subscriber.expect_close()
        assert process.wait(LIMIT) == 0


def test_nobody_reads_the_log(tmp_path: Path) -> None:
    port = free_port()
    config = tmp_path / "broker.yaml"
    listeners = {"default": {"bind": f"127.0.0.1:{port}"}}
    config.write_text(yaml.safe_dump({"listeners": listeners, "shutdown_timeout": 1}))
    process = subprocess.Popen(
        [*python_command(), "-m", "amqtt.scripts.broker_script", "-d", "-c", str(config)],
        env=python_environment(),
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    with ExitStack() as stack:
        stack.callback(process.communicate)
        stack.callback(process.kill)
        wait_for_port(port)
        client = stack.enter_context(login_v5(port, "c"))
        assert process.stderr is not None
        deadline = time.monotonic() + LIMIT
        sizes = [0]
        # The pipe is full when nothing more comes, for several rounds.
        while sizes[-1] == 0 or len(set(sizes[-5:])) > 1:
            assert time.monotonic() < deadline
            client.send(PINGREQ * 500)
            try:
                client.read(1000, 3)
            except WireError:  # so much waits to be logged that the client is not read any more
                break
            sizes.append(waiting_in(process.stderr.fileno()))
        process.send_signal(signal.SIGTERM)
        assert client.read_until_close(LIMIT).endswith(SHUTTING_DOWN)
        assert process.wait(LIMIT) == 1


def waiting_in(descriptor: int) -> int:
    size = fcntl.ioctl(descriptor, termios.FIONREAD, b"\0" * 4)
    return int(struct.unpack("i", size)[0])


def wait_for_port(port: int) -> None:
    deadline = time.monotonic() + START_LIMIT
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        else:
            return


def test_signals_that_come_again_are_one_request(broker_process: StartBroker) -> None:
    """Some senders signal a process and its group; the log says nothing of that."""
    broker = broker_process()
    with WireClient(broker.port) as slow:
        slow.login(connect("slow", keep_alive=0))
        while broker.running:
            broker.send_signal(signal.SIGTERM)
            time.sleep(0.001)
