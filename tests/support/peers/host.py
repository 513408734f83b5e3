"""A process in another language that hosts clients, driven by JSON lines.

A request on its standard input is an object with ``id``, ``op``, ``client`` (a name for one of its
clients) and what the operation needs; the answer on its standard output has the same ``id`` and
the results, or ``error``, a text. An object without ``id`` is a message that a client received:
``client``, ``topic``, ``payload`` in base64, ``qos``, ``retain`` and ``properties``.

Operations:
    ``connect``: ``transport`` (tcp, tls, ws, wss), ``port``, ``client_id``, ``version`` (4 or 5),
        ``clean``, ``username``, and where they apply ``ca`` (a file), ``session_expiry``,
        ``topic_aliases``, ``receive_maximum``, ``problem_information`` and ``will`` (``topic``,
        ``payload``, ``qos``, ``retain``, ``delay``, ``properties``). Answers with
        ``session_present`` and, if the broker chose one, ``assigned_id``.
    ``subscribe``: ``filter``, ``qos``, and ``identifier`` if there is one. Answers with ``codes``.
    ``publish``: ``topic``, ``payload``, ``qos``, ``retain``, ``properties``. Answers when the
        acknowledgement is there, with its ``code`` and its ``reason``, if any.
    ``disconnect`` and ``abort``: end the connection with and without DISCONNECT.

Properties are an object with ``user`` (pairs), ``content_type``, ``response_topic``,
``correlation_data`` (base64), ``expiry`` and ``subscription_ids``; what is not set is left out.
"""

import asyncio
import base64
import itertools
import json
import subprocess
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .base import LIMIT, Message, Properties

STOP_LIMIT = 20.0


def properties_to_json(given: Properties) -> dict[str, Any]:
    """Return properties as the host wants them."""
    made: dict[str, Any] = {}
    if given.user:
        made["user"] = [list(pair) for pair in given.user]
    for name in ("content_type", "response_topic", "expiry"):
        if (value := getattr(given, name)) is not None:
            made[name] = value
    if given.correlation_data is not None:
        made["correlation_data"] = base64.b64encode(given.correlation_data).decode()
    return made


def properties_from_json(seen: dict[str, Any]) -> Properties:
    """Return the properties that a host reports."""
    data = seen.get("correlation_data")
    return Properties(
        user=tuple((name, value) for name, value in seen.get("user", ())),
        content_type=seen.get("content_type"),
        response_topic=seen.get("response_topic"),
        correlation_data=None if data is None else base64.b64decode(data),
        expiry=seen.get("expiry"),
        subscription_ids=tuple(seen.get("subscription_ids", ())),
    )


class HostError(AssertionError):
    """The operation failed in the host, or the host ended; the text says which and why."""


class Host:
    """The process, which starts with the first request and serves tests on any event loop.

    A thread reads what it writes, since an event loop lasts for one test and the process longer.
    """

    def __init__(self, command: Sequence[str | Path], folder: Path) -> None:
        """Remember how to start it, and in which folder."""
        self._command = [str(part) for part in command]
        self._folder = folder
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._answers: dict[int, _Answer] = {}
        self._inboxes: dict[str, _Inbox] = {}
        self._process: subprocess.Popen[bytes] | None = None
        self._reader: threading.Thread | None = None

    def register(self, client: str, inbox: "asyncio.Queue[Message]") -> None:
        """Let the messages of ``client`` go to ``inbox``, on the running event loop."""
        with self._lock:
            self._inboxes[client] = asyncio.get_running_loop(), inbox

    def forget(self, client: str) -> None:
        """Drop what else comes for ``client``."""
        with self._lock:
            self._inboxes.pop(client, None)

    async def ask(self, op: str, client: str, **arguments: object) -> dict[str, Any]:
        """Send a request and return its answer.

        Raises:
            HostError: the host reports an error, or has ended.

        """
        process = self._process or self._start()
        assert process.stdin is not None
        number = next(self._numbers)
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[dict[str, Any]] = loop.create_future()
        with self._lock:
            self._answers[number] = loop, answer
        line = json.dumps({"id": number, "op": op, "client": client, **arguments}) + "\n"
        try:
            # In a thread only where the pipe would not take it at once.
            if len(line) < 1 << 12:
                self._write(process, line)
            else:
                await asyncio.to_thread(self._write, process, line)
        except BrokenPipeError:
            msg = f"{op}: {self._command[0]} has ended with status {process.poll()}"
            raise HostError(msg) from None
        try:
            result = await asyncio.wait_for(answer, LIMIT)
        finally:
            with self._lock:
                self._answers.pop(number, None)
        if "error" in result:
            msg = f"{op}: {result['error']}"
            raise HostError(msg)
        return result

    def another(self) -> "Host":
        """Return one more like it, in a process of its own."""
        return Host(self._command, self._folder)

    def kill(self) -> None:
        """End it at once, and with it the connections of its clients."""
        if self._process is not None:
            process, self._process = self._process, None
            process.kill()
            self._close(process)

    def stop(self) -> None:
        """End it by closing its input, and check that it ended well."""
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None
        process.stdin.close()
        try:
            status = process.wait(STOP_LIMIT)
        except subprocess.TimeoutExpired:
            process.kill()
            msg = f"{self._command} does not end when its input does"
            raise HostError(msg) from None
        finally:
            self._close(process)
        if status != 0:
            msg = f"{self._command} ended with status {status}"
            raise HostError(msg)

    def _start(self) -> "subprocess.Popen[bytes]":
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(
            self._command, cwd=self._folder, stdin=pipe, stdout=pipe, bufsize=-1
        )
        self._reader = threading.Thread(target=self._read, args=[self._process])
        self._reader.start()
        return self._process

    def _close(self, process: "subprocess.Popen[bytes]") -> None:
        assert self._reader is not None
        process.wait()
        self._reader.join()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()

    def _write(self, process: "subprocess.Popen[bytes]", line: str) -> None:
        assert process.stdin is not None
        process.stdin.write(line.encode())
        process.stdin.flush()

    def _read(self, process: "subprocess.Popen[bytes]") -> None:
        assert process.stdout is not None
        for line in process.stdout:
            value = json.loads(line)
            if "id" in value:
                self._answer(value["id"], value)
            else:
                self._deliver(value)
        with self._lock:
            waiting = list(self._answers)
        for number in waiting:
            self._answer(number, {"error": f"{self._command[0]} ended"})

    def _answer(self, number: int, value: dict[str, Any]) -> None:
        with self._lock:
            loop, answer = self._answers.pop(number, (None, None))
        if loop is not None and answer is not None:
            _call(loop, _settle, answer, value)

    def _deliver(self, value: dict[str, Any]) -> None:
        with self._lock:
            loop, inbox = self._inboxes.get(value["client"], (None, None))
        if loop is None or inbox is None:
            return
        payload = base64.b64decode(value["payload"])
        properties = properties_from_json(value["properties"])
        message = Message(value["topic"], payload, value["qos"], value["retain"], properties)
        _call(loop, inbox.put_nowait, message)


_Answer = tuple[asyncio.AbstractEventLoop, "asyncio.Future[dict[str, Any]]"]
_Inbox = tuple[asyncio.AbstractEventLoop, "asyncio.Queue[Message]"]


def _call(loop: asyncio.AbstractEventLoop, function: Any, *arguments: object) -> None:
    # The test whose loop it is may have ended meanwhile.
    if not loop.is_closed():
        loop.call_soon_threadsafe(function, *arguments)


def _settle(future: "asyncio.Future[Any]", value: object) -> None:
    if not future.done():
        future.set_result(value)
