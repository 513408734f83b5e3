"""mosquitto_pub and mosquitto_sub: a process per publication, a process per subscription."""

import asyncio
import contextlib
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path

from .base import LIMIT, NO_PROPERTIES, Message, Peer, Properties

# User Properties come as name:value, separated by spaces, so tests use neither sign in them.
_FORMAT = "=%q|%r|%x|%C|%R|%D|%E|%S|%P|%t"
_MESSAGE = re.compile(
    rb"=(\d)\|(\d)\|([0-9a-f]*)\|([^|]*)\|([^|]*)\|([^|]*)\|(\d*)\|(\d*)\|([^|]*)\|(.*)", re.DOTALL
)
_VERSIONS = {4: "mqttv311", 5: "mqttv5"}
_LINE_LIMIT = 64 << 20


def _property_arguments(command: str, given: Properties) -> list[str]:
    arguments = []
    for name, value in given.user:
        arguments += ["-D", command, "user-property", name, value]
    if given.content_type is not None:
        arguments += ["-D", command, "content-type", given.content_type]
    if given.response_topic is not None:
        arguments += ["-D", command, "response-topic", given.response_topic]
    if given.correlation_data is not None:
        arguments += ["-D", command, "correlation-data", given.correlation_data.decode()]
    if given.expiry is not None:
        arguments += ["-D", command, "message-expiry-interval", str(given.expiry)]
    return arguments


def _read_properties(fields: Sequence[bytes]) -> Properties:
    content_type, response_topic, correlation_data, expiry, identifier, user = fields
    pairs = [pair.decode().partition(":") for pair in user.split()]
    return Properties(
        user=tuple((name, value) for name, _, value in pairs),
        content_type=content_type.decode() or None,
        response_topic=response_topic.decode() or None,
        correlation_data=correlation_data or None,
        expiry=int(expiry) if expiry else None,
        subscription_ids=(int(identifier),) if identifier else (),
    )


class MosquittoPeer(Peer):
    """The command line clients of Mosquitto."""

    _process: asyncio.subprocess.Process | None = None
    _reader: asyncio.Task[None] | None = None

    async def connect(self) -> None:
        """Start mosquitto_sub now if a will needs a connection; else wait for ``subscribe``."""
        if self.options.will is not None:
            await self.subscribe(f"{self.options.client_id}/unused", 0)

    async def subscribe(self, topic_filter: str, qos: int, identifier: int | None = None) -> None:
        """Start mosquitto_sub and wait until it reports its SUBACK."""
        if self._process is not None:
            msg = "mosquitto_sub subscribes once"
            raise RuntimeError(msg)
        more = ["-t", topic_filter, "-q", str(qos), "-d", "-F", _FORMAT]
        if identifier is not None:
            more += ["-D", "subscribe", "subscription-identifier", str(identifier)]
        self._process = await asyncio.create_subprocess_exec(
            "stdbuf",  # else the report of the SUBACK stays in a buffer
            "-oL",
            "mosquitto_sub",
            *self._arguments(*more),
            *self._session_arguments(),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            limit=_LINE_LIMIT,
        )
        subscribed = asyncio.Event()
        self._reader = asyncio.create_task(self._read(self._process, subscribed))
        await asyncio.wait_for(subscribed.wait(), LIMIT)

    async def resume(self, topic_filter: str, qos: int) -> None:
        """Subscribe again: mosquitto_sub cannot connect without it."""
        await self.subscribe(topic_filter, qos)

    async def publish(
        self,
        topic: str,
        payload: bytes,
        qos: int = 0,
        *,
        retain: bool = False,
        properties: Properties = NO_PROPERTIES,
    ) -> None:
        """Run mosquitto_pub for one message."""
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "payload"
            file.write_bytes(payload)
            source = ["-f", str(file)] if payload else ["-n"]
            more = _property_arguments("publish", properties)
            more += ["-r"] if retain else []
            await self._publish(topic, qos, [*source, *more], b"")

    async def publish_all(self, topic: str, payloads: Sequence[bytes], qos: int) -> None:
        """Run mosquitto_pub once, a line of its input per message."""
        lines = b"".join(payload + b"\n" for payload in payloads)
        await self._publish(topic, qos, ["-l"], lines)

    async def disconnect(self) -> None:
        """Ask mosquitto_sub to end: it sends DISCONNECT."""
        if self._process is not None:
            self._process.terminate()
            await self._end()

    async def abort(self) -> None:
        """Kill mosquitto_sub."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._end()

    async def _publish(self, topic: str, qos: int, source: list[str], data: bytes) -> None:
        process = await asyncio.create_subprocess_exec(
            "mosquitto_pub",
            *self._address(),
            *("-i", f"{self.options.client_id}-pub", "-t", topic, "-q", str(qos), *source),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await asyncio.wait_for(process.communicate(data), LIMIT)
        if process.returncode or output:
            msg = f"mosquitto_pub: status {process.returncode}: {output.decode()}"
            raise AssertionError(msg)

    async def _read(self, process: asyncio.subprocess.Process, subscribed: asyncio.Event) -> None:
        assert process.stdout is not None
        while line := await process.stdout.readline():
            if match := _MESSAGE.fullmatch(line.rstrip(b"\n")):
                qos, retain, payload, *properties, topic = match.groups()
                self.inbox.put_nowait(
                    Message(
                        topic.decode(),
                        bytes.fromhex(payload.decode()),
                        int(qos),
                        retain == b"1",
                        _read_properties(properties),
                    )
                )
            elif line.startswith(b"Subscribed "):
                subscribed.set()

    async def _end(self) -> None:
        assert self._process is not None
        assert self._reader is not None
        await asyncio.wait_for(self._process.wait(), LIMIT)
        await self._reader
        self._process = self._reader = None

    def _arguments(self, *more: str) -> list[str]:
        return [*self._address(), "-i", self.options.client_id, *more]

    def _address(self) -> list[str]:
        options = self.options
        address = ["-h", "127.0.0.1", "-p", str(options.port), "-u", options.username]
        address += ["-V", _VERSIONS[options.version]]
        return [*address, "--cafile", options.cafile] if options.cafile else address

    def _session_arguments(self) -> list[str]:
        options = self.options
        arguments = [] if options.clean else ["-c"]
        if options.version == 5 and options.kept_for:
            arguments += ["-x", str(options.kept_for)]
        if options.receive_maximum:
            arguments += ["-D", "connect", "receive-maximum", str(options.receive_maximum)]
        if will := options.will:
            arguments += ["--will-topic", will.topic, "--will-qos", str(will.qos)]
            arguments += ["--will-payload", will.payload.decode()]
            arguments += ["--will-retain"] if will.retain else []
            arguments += _property_arguments("will", will.properties)
            if will.delay is not None:
                arguments += ["-D", "will", "will-delay-interval", str(will.delay)]
        return arguments
