"""Starting, stopping, abandoning and forking brokers and clients in one process."""

from __future__ import annotations

import asyncio
import gc
import socket
import subprocess
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ClassVar

import pytest
from support.client import until
from support.python import python_command, python_environment, run_program
from support.wire import CONNACK_ACCEPTED, WireClient, connect, packet, string

from amqtt._broker.listening import open_listener
from amqtt.broker import Broker
from amqtt.client import MQTTClient
from amqtt.contexts import BaseContext
from amqtt.errors import BrokerError, ClientError, ConnectError, MQTTError
from amqtt.plugins.base import BasePlugin

LIMIT = 10

CONFIG: dict[str, Any] = {"listeners": {"default": {"bind": "127.0.0.1:0"}}}


def port_of(broker: Broker) -> int:
    return broker.addresses["default"][0][1]


def uri_of(broker: Broker) -> str:
    return f"mqtt://127.0.0.1:{port_of(broker)}/"


def new_client(client_id: str | None = None, **config: Any) -> MQTTClient:
    return MQTTClient(client_id, config={"auto_reconnect": False, **config})


@pytest.fixture
async def broker() -> AsyncIterator[Broker]:
    running = Broker(CONFIG)
    await running.start()
    yield running
    if running.transitions.state == "started":
        await running.shutdown()


async def _threads_become(count: int) -> None:
    while thread_count() != count:
        await asyncio.sleep(0.001)


def thread_count() -> int:
    return len(list(Path("/proc/self/task").iterdir()))


# -- brokers


@pytest.mark.threads(1, 2)
async def test_a_broker_starts_again_after_it_was_stopped() -> None:
    broker = Broker(CONFIG)
    for _ in range(3):
        await broker.start()
        assert broker.transitions.state == "started"
        client = new_client()
        assert await client.connect(uri_of(broker)) == 0
        await client.disconnect()
        await broker.shutdown()
        assert broker.transitions.state == "stopped"
        assert broker.addresses == {}


async def test_a_shutdown_that_is_cancelled_goes_on(broker: Broker) -> None:
    client = new_client()
    await client.connect(uri_of(broker))
    stopping = asyncio.ensure_future(broker.shutdown())
    await asyncio.sleep(0)
    stopping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await stopping
    await until(lambda: broker.transitions.state == "stopped")
    await broker.start()
    again = new_client()
    assert await again.connect(uri_of(broker)) == 0
    await again.disconnect()


class NeverStarted(BasePlugin[BaseContext]):
    """Is not done with an event of the broker's life."""

    reached: ClassVar[asyncio.Event]

    async def on_broker_post_start(self) -> None:
        """Wait until that is cancelled."""
        self.reached.set()
        await asyncio.Event().wait()


async def test_a_start_that_is_cancelled_at_its_end_leaves_no_broker_that_serves() -> None:
    NeverStarted.reached = asyncio.Event()
    plugins: dict[str, Any] = {f"{__name__}.NeverStarted": {}}
    broker = Broker({**CONFIG, "plugins": plugins})
    starting = asyncio.ensure_future(broker.start())
    await asyncio.wait_for(NeverStarted.reached.wait(), LIMIT)
    port = port_of(broker)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert broker.transitions.state == "stopped"
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port)).close()


async def test_a_start_that_is_cancelled_while_a_listener_is_opened(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The engine must not be stopped before the thread that opens the listener has left it."""
    opens, may_open, opened = asyncio.Event(), threading.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def slowly(*args: Any) -> Any:
        loop.call_soon_threadsafe(opens.set)
        may_open.wait(LIMIT)
        result = open_listener(*args)
        opened.set()
        return result

    monkeypatch.setattr("amqtt._broker.listening.open_listener", slowly)
    broker = Broker(CONFIG)
    starting = asyncio.ensure_future(broker.start())
    await asyncio.wait_for(opens.wait(), LIMIT)
    starting.cancel()
    await asyncio.wait((starting,), timeout=0.05)
    assert not starting.done()
    may_open.set()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert opened.is_set()
    assert broker.transitions.state == "not_started"
    await broker.start()
    await broker.shutdown()


@pytest.mark.threads(1, 2)
async def test_stopping_ends_the_thread_and_frees_the_port() -> None:
    broker = Broker(CONFIG)
    gc.collect()  # the engines of other tests end here, not later
    # The loop's own thread is there from now on, and no second one will be.
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
    await asyncio.to_thread(int)
    before = thread_count()
    await broker.start()
    port = port_of(broker)
    assert thread_count() > before
    await broker.shutdown()
    # One that Python has joined may still be on its way out of the system's list.
    await asyncio.wait_for(_threads_become(before), 10)
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", port))


async def test_two_brokers_in_one_process_do_not_meet(broker: Broker) -> None:
    other = Broker(CONFIG)
    await other.start()
    here, there = new_client("same"), new_client("same")
    await here.connect(uri_of(broker))
    await there.connect(uri_of(other))
    await here.subscribe([("a", 0)])
    await there.subscribe([("a", 0)])
    await there.publish("a", b"there")
    await here.publish("a", b"here")
    for client, payload in ((here, b"here"), (there, b"there")):
        message = await client.deliver_message(LIMIT)
        assert message is not None
        assert message.data == payload
    await there.disconnect()
    await other.shutdown()
    await here.ping()
    await here.disconnect()


async def test_start_and_shutdown_refuse_the_wrong_state(broker: Broker) -> None:
    client = new_client()
    await client.connect(uri_of(broker))
    with pytest.raises(BrokerError, match="it is started"):
        await broker.start()
    await client.ping()  # undisturbed
    await client.disconnect()
    await broker.shutdown()
    with pytest.raises(BrokerError, match="it is stopped"):
        await broker.shutdown()
    with pytest.raises(BrokerError, match="it is new"):
        await Broker(CONFIG).shutdown()


async def test_a_start_that_fails_leaves_nothing_open(broker: Broker) -> None:
    taken = port_of(broker)
    second = Broker(
        {
            "listeners": {
                "default": {"bind": "127.0.0.1:0"},
                "taken": {"bind": f"127.0.0.1:{taken}"},
            }
        }
    )
    with pytest.raises(BrokerError, match=f"'taken'.*port {taken}.*already in use") as raised:
        await second.start()
    assert isinstance(raised.value.__cause__, OSError)
    assert second.transitions.state == "not_started"
    assert second.addresses == {}
    await broker.shutdown()
    await second.start()
    assert port_of(second) != 0
    await second.shutdown()


async def test_an_abandoned_broker_is_closed() -> None:
    broker = Broker(CONFIG)
    await broker.start()
    port = port_of(broker)
    del broker
    gc.collect()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), LIMIT).close()


@pytest.mark.parametrize("topic", ["", "a/#", "+", "a\0b", "\udcff", "long"])
async def test_messages_need_a_topic_name(broker: Broker, topic: str) -> None:
    topic = "a" * 65536 if topic == "long" else topic
    client = new_client()
    await client.connect(uri_of(broker))
    with pytest.raises(MQTTError, match=r"MQTT-3\.3\.2-2"):
        await broker.internal_message_broadcast(topic, b"")
    for qos in (0, 1):
        with pytest.raises(MQTTError, match=r"MQTT-3\.3\.2-2"):
            await client.publish(topic, b"", qos)
    await client.ping()
    await client.disconnect()


async def test_session_expiry_0_ends_the_session_at_disconnect() -> None:
    broker = Broker({**CONFIG, "session_expiry_interval": 0})
    await broker.start()
    client = new_client("named")
    await client.connect(uri_of(broker), cleansession=False)
    await client.disconnect()
    await asyncio.sleep(0.2)  # the engine counts in steps of 50 ms
    await client.connect(uri_of(broker), cleansession=False)
    assert client.session is not None
    assert client.session.parent == 0
    await client.disconnect()
    await broker.shutdown()


@pytest.mark.threads(1, 2)
async def test_stopping_disconnects_clients() -> None:
    broker = Broker(CONFIG)
    await broker.start()
    client = new_client()
    await client.connect(uri_of(broker))
    await client.subscribe([("a", 0)])
    waiting = asyncio.create_task(client.deliver_message())
    await broker.shutdown()
    assert await asyncio.wait_for(waiting, LIMIT) is None
    with pytest.raises(ClientError):
        await client.publish("a", b"")


# -- clients


async def test_cancelled_delivery_loses_no_message(broker: Broker) -> None:
    client = new_client()
    await client.connect(uri_of(broker))
    await client.subscribe([("a", 1)])
    tasks = [asyncio.create_task(client.deliver_message()) for _ in range(20)]
    await asyncio.sleep(0)  # lets every task begin to wait
    for number in range(20):
        await client.publish("a", b"%d" % number, qos=1)
        if number % 2 == 0:
            tasks[number].cancel()
    received = [
        task.result().data  # type: ignore[union-attr]
        for task in tasks
        if not (await asyncio.wait((task,), timeout=0.01))[1] and not task.cancelled()
    ]
    for task in tasks:
        task.cancel()
    while len(received) < 20:
        message = await client.deliver_message(LIMIT)
        assert message is not None
        received.append(message.data)
    assert sorted(received, key=int) == [b"%d" % number for number in range(20)]
    await client.disconnect()


async def test_delivery_ends_in_time_out_and_on_request(broker: Broker) -> None:
    client = new_client()
    with pytest.raises(ClientError, match="Handler is not initialized"):
        await client.deliver_message()
    await client.connect(uri_of(broker))
    for limit in (0, 0.01):
        with pytest.raises(asyncio.TimeoutError):
            await client.deliver_message(limit)
    waiting = asyncio.create_task(client.deliver_message())
    await asyncio.sleep(0)
    await client.cancel_tasks()
    assert await asyncio.wait_for(waiting, LIMIT) is None
    await client.disconnect()
    with pytest.raises(ClientError):
        await client.deliver_message()


class SilentServer:
    """Accepts a CONNECT, acknowledges it, and is silent from then on."""

    async def __aenter__(self) -> SilentServer:
        self.writers: list[asyncio.StreamWriter] = []
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        self.uri = f"mqtt://127.0.0.1:{self.server.sockets[0].getsockname()[1]}/"
        return self

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        await reader.read(1)
        writer.write(CONNACK_ACCEPTED)
        while await reader.read(65536):
            pass
        writer.close()

    async def __aexit__(self, *_: object) -> None:
        self.server.close()
        for writer in self.writers:
            writer.close()
        await self.server.wait_closed()


async def test_cancelled_publish_gives_its_packet_identifier_back() -> None:
    async with SilentServer() as server:
        client = new_client()
        await client.connect(server.uri)
        for _ in range(3):
            with pytest.raises(asyncio.TimeoutError):
                await client.publish("a", b"", qos=1, ack_timeout=1)
        publishes = [asyncio.create_task(client.publish("a", b"", qos=2)) for _ in range(10)]
        await asyncio.sleep(0)
        for task in publishes:
            task.cancel()
        done, _ = await asyncio.wait(publishes, timeout=LIMIT)
        assert all(task.cancelled() for task in done)
        assert len(done) == 10
        await client.disconnect()


async def test_requests_end_when_the_connection_does() -> None:
    async with SilentServer() as server:
        client = new_client()
        await client.connect(server.uri)
        requests = [
            asyncio.create_task(client.publish("a", b"", qos=1)),
            asyncio.create_task(client.publish("a", b"", qos=2)),
            asyncio.create_task(client.ping()),
            asyncio.create_task(client.unsubscribe(["a"])),
        ]
        subscribing = asyncio.create_task(client.subscribe([("a", 0)]))
        await asyncio.sleep(0)
        server.writers[0].close()
        for request in [*requests, subscribing]:
            with pytest.raises(ClientError):
                await asyncio.wait_for(request, LIMIT)


async def test_disconnect_ends_pending_requests() -> None:
    async with SilentServer() as server:
        client = new_client()
        await client.connect(server.uri)
        publishing = asyncio.create_task(client.publish("a", b"", qos=1))
        await asyncio.sleep(0)
        await client.disconnect()
        with pytest.raises(ClientError):
            await asyncio.wait_for(publishing, LIMIT)


async def test_cancelled_connect_is_a_connect_error_and_a_cancellation() -> None:
    async with SilentServer() as server:
        server.server.close()  # what was accepted stays, nothing more is
        with socket.socket() as mute:
            mute.bind(("127.0.0.1", 0))
            mute.listen()
            client = new_client()
            task = asyncio.create_task(client.connect(f"mqtt://127.0.0.1:{mute.getsockname()[1]}/"))
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(ConnectError):
                await task
            assert task.cancelled()


async def test_connect_gives_up_in_time() -> None:
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        client = new_client(connection_timeout=1)
        with pytest.raises(ConnectError, match="within 1 seconds"):
            await client.connect(f"mqtt://127.0.0.1:{mute.getsockname()[1]}/")


async def test_errors_of_a_client_say_what_is_wrong(broker: Broker) -> None:
    client = new_client()
    for uri in ("mqtts://127.0.0.1/", "http://127.0.0.1/", "127.0.0.1"):
        with pytest.raises(ClientError):
            await client.connect(uri)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        refused = f"mqtt://127.0.0.1:{closed.getsockname()[1]}/"
        with pytest.raises(ConnectError) as raised:
            await client.connect(refused)
    assert isinstance(raised.value.__cause__, ConnectionRefusedError)
    await client.connect(uri_of(broker))
    with pytest.raises(MQTTError):
        await client.publish("a/#", b"")
    with pytest.raises(TypeError):
        await client.publish("a", "text")  # type: ignore[arg-type]
    with pytest.raises(ClientError):
        await client.publish("a", b"", qos=3)
    with pytest.raises(ClientError):
        await client.subscribe([("a", 3)])
    with pytest.raises(ClientError):
        await client.subscribe([("a" * 65536, 0)])
    await client.ping()  # none of it has harmed the connection
    await client.disconnect()


async def test_an_abandoned_client_is_disconnected(broker: Broker) -> None:
    watcher = new_client()
    await watcher.connect(uri_of(broker))
    await watcher.subscribe([("gone", 0)])
    client = new_client(will={"topic": "gone", "message": "!"})
    await client.connect(uri_of(broker))
    assert client._disconnect_task is not None
    client._disconnect_task.cancel()
    del client
    await asyncio.sleep(0)  # the cancelled task lets go of the client
    gc.collect()
    message = await watcher.deliver_message(LIMIT)
    assert message is not None
    assert message.topic == "gone"
    await watcher.disconnect()


async def test_a_client_comes_back_to_a_broker_that_was_restarted() -> None:
    first = Broker(CONFIG)
    await first.start()
    port = port_of(first)
    client = MQTTClient(config={"reconnect_retries": -1, "reconnect_max_interval": 1})
    await client.connect(uri_of(first))
    await first.shutdown()
    publishing = asyncio.create_task(client.publish("a", b"after", qos=1))
    second = Broker({"listeners": {"default": {"bind": f"127.0.0.1:{port}"}}})
    await second.start()
    await asyncio.wait_for(publishing, LIMIT)
    await client.disconnect()
    await second.shutdown()


# -- processes

PROGRAM = """
import asyncio, os, sys
from amqtt.broker import Broker
from amqtt.client import MQTTClient
CONFIG = {"listeners": {"default": {"bind": "127.0.0.1:0"}}}

async def running():
    broker = Broker(CONFIG)
    await broker.start()
    client = MQTTClient(config={"auto_reconnect": False})
    await client.connect(f"mqtt://127.0.0.1:{broker.addresses['default'][0][1]}/")
    await client.subscribe([("a", 0)])
    await client.publish("a", b"x")
    assert (await client.deliver_message(10)).data == b"x"
    return broker, client
"""


def test_the_interpreter_exits_with_everything_running() -> None:
    run_program(
        PROGRAM
        + """
loop = asyncio.new_event_loop()
kept = loop.run_until_complete(running())
for task in asyncio.all_tasks(loop):
    task.cancel()
loop.run_until_complete(asyncio.sleep(0))
loop.close()
"""
    )


def test_a_loop_is_closed_under_a_live_broker() -> None:
    run_program(
        PROGRAM
        + """
kept = asyncio.run(running())
asyncio.run(running())
del kept
import gc
gc.collect()
asyncio.run(running())
"""
    )


@pytest.mark.threads(1, 2)
def test_a_fork_leaves_the_parents_engine_alone() -> None:
    run_program(
        PROGRAM
        + """
import warnings
warnings.simplefilter("ignore", DeprecationWarning)  # forking a process with threads

async def main():
    broker, client = await running()
    child = os.fork()
    if child == 0:
        try:
            broker.statistics()
        except RuntimeError as error:
            assert "before a fork" in str(error)
        else:
            os._exit(1)
        del broker, client
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert status == 0
    await client.publish("a", b"y")
    assert (await client.deliver_message(10)).data == b"y"
    await client.disconnect()
    await broker.shutdown()

asyncio.run(main())
"""
    )


def test_a_forked_process_has_a_broker_of_its_own() -> None:
    run_program(
        PROGRAM
        + """
import warnings
warnings.simplefilter("ignore", DeprecationWarning)  # forking a process with threads
loop = asyncio.new_event_loop()
broker, client = loop.run_until_complete(running())
child = os.fork()
if child == 0:
    asyncio.events._set_running_loop(None)
    own = asyncio.new_event_loop()
    mine, my_client = own.run_until_complete(running())
    own.run_until_complete(my_client.disconnect())
    own.run_until_complete(mine.shutdown())
    own.close()
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
loop.run_until_complete(client.ping())
loop.run_until_complete(client.disconnect())
loop.run_until_complete(broker.shutdown())
loop.close()
"""
    )


def test_the_engine_does_not_need_the_gil() -> None:
    """While Python is stuck in a call that keeps the GIL, clients are served."""
    source = (
        PROGRAM
        + """
import ctypes
async def main():
    broker = Broker(CONFIG)
    await broker.start()
    print(broker.addresses["default"][0][1], flush=True)
    ctypes.PyDLL(None).read(0, ctypes.create_string_buffer(1), 1)  # PyDLL keeps the GIL
    await broker.shutdown()
asyncio.run(main())
"""
    )
    process = subprocess.Popen(
        [*python_command(), "-c", source],
        env=python_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdin is not None
    port = int(process.stdout.readline())
    with WireClient(port) as peer:
        peer.send(connect("no-gil"))
        peer.expect(CONNACK_ACCEPTED)
        peer.send(packet(0x82, b"\x00\x01" + string("a") + b"\x01"))
        peer.expect(b"\x90\x03\x00\x01\x01")
        peer.send(packet(0x32, string("a") + b"\x00\x01" + b"hello"))
        peer.expect_set([b"\x40\x02\x00\x01", packet(0x32, string("a") + b"\x00\x01" + b"hello")])
    process.stdin.write(b"x")
    process.stdin.close()
    assert process.wait(LIMIT) == 0
    process.stdout.close()
