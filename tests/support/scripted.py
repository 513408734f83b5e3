"""A broker that follows a script: what it answers, when, in which pieces, and when it hangs up.

A script is a coroutine function that is given a `ScriptedPeer`, the client's connection. A broker
has one script for each connection that it accepts, in their order; the last serves all later ones.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from support.wire import packet, show, varint

LIMIT = 10.0
V3, V5 = 4, 5

CONNECT, CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP = (
    0x10,
    0x20,
    0x30,
    0x40,
    0x50,
    0x62,
    0x70,
)
SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK, PINGREQ, PINGRESP = 0x82, 0x90, 0xA2, 0xB0, 0xC0, 0xD0
DISCONNECT, AUTH = 0xE0, 0xF0


class ScriptError(AssertionError):
    """The client sent something else than the script expects."""


class PeerClosedError(ScriptError):
    """The client closed the connection where the script expects a packet."""


@dataclass(frozen=True)
class Received:
    """A control packet as it came.

    Attributes:
        first: first byte of the fixed header.
        body: everything behind the fixed header.

    """

    first: int
    body: bytes

    @property
    def type(self) -> int:
        """Return the first byte without the flags that PUBLISH has."""
        return self.first & 0xF0 if self.first & 0xF0 == PUBLISH else self.first

    @property
    def dup(self) -> bool:
        """Return the DUP flag of a PUBLISH."""
        return bool(self.first & 0x08)

    @property
    def packet_id(self) -> int:
        """Return the packet identifier of a packet that has one."""
        at = 0
        if self.type == PUBLISH:
            at = 2 + int.from_bytes(self.body[:2], "big")
        return int.from_bytes(self.body[at : at + 2], "big")


class ScriptedPeer:
    """The broker's end of one connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take a connection that was just accepted."""
        self._reader = reader
        self._writer = writer
        self.received: list[Received] = []

    async def read(self) -> Received:
        """Return the next packet.

        Raises:
            PeerClosedError: the client has closed.

        """
        try:
            first = (await self._reader.readexactly(1))[0]
            length = shift = 0
            while True:
                digit = (await self._reader.readexactly(1))[0]
                length |= (digit & 0x7F) << shift
                shift += 7
                if digit < 0x80:
                    break
            body = await self._reader.readexactly(length)
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            msg = "the client has closed the connection"
            raise PeerClosedError(msg) from error
        self.received.append(Received(first, body))
        return self.received[-1]

    async def expect(self, kind: int) -> Received:
        """Return the next packet, which must be of a type; a PINGREQ before it is answered.

        Raises:
            ScriptError: another packet came.

        """
        got = await self.read()
        while got.type == PINGREQ != kind:
            self.send(packet(PINGRESP))
            got = await self.read()
        if got.type != kind:
            msg = f"expected a packet 0x{kind:02x}, got {show(bytes([got.first]) + got.body)}"
            raise ScriptError(msg)
        return got

    async def expect_close(self) -> list[Received]:
        """Wait until the client closes; return what it sends before."""
        before = []
        with contextlib.suppress(PeerClosedError):
            while True:
                before.append(await self.read())
        return before

    def send(self, data: bytes) -> None:
        """Send bytes at once."""
        self._writer.write(data)

    async def drip(self, data: bytes) -> None:
        """Send each byte in a segment of its own, as far as the system allows."""
        self._writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for at in range(len(data)):
            self._writer.write(data[at : at + 1])
            await self._writer.drain()
            await asyncio.sleep(0.001)

    async def login(
        self, version: int = V3, *, session_present: bool = False, properties: bytes = b""
    ) -> Received:
        """Accept the CONNECT, which is returned."""
        got = await self.expect(CONNECT)
        self.send(connack(version, session_present=session_present, properties=properties))
        return got

    def close(self) -> None:
        """Close in the ordinary way, after what was sent."""
        self._writer.close()

    def reset(self) -> None:
        """Abort the connection: the client sees a reset."""
        raw = self._writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()


Script = Callable[[ScriptedPeer], Awaitable[None]]


class ScriptedBroker:
    """Listen on a free port of the loopback interface and follow the scripts.

    Leaving the context raises what a script raised, so a script asserts like a test.
    """

    def __init__(self, *scripts: Script) -> None:
        """Remember the scripts."""
        self._scripts = scripts
        self._running: list[asyncio.Task[None]] = []
        self.peers: list[ScriptedPeer] = []

    @property
    def uri(self) -> str:
        """Return the URI to connect to."""
        return f"mqtt://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def __aenter__(self) -> ScriptedBroker:
        """Listen."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Wait for the scripts to end, unless the test has failed already."""
        self._server.close()
        if kind is None and self._running:
            await asyncio.wait(self._running, timeout=LIMIT)
        for task in self._running:
            task.cancel()
        ended = await asyncio.gather(*self._running, return_exceptions=True)
        for peer in self.peers:
            peer._writer.close()
        if kind is None:
            assert self.peers, "nobody has connected"
            for at, outcome in enumerate(ended):
                if isinstance(outcome, asyncio.CancelledError):
                    msg = f"script {at} has not ended in {LIMIT} s"
                    raise ScriptError(msg)
                if outcome is not None:
                    raise outcome

    def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = ScriptedPeer(reader, writer)
        script = self._scripts[min(len(self.peers), len(self._scripts) - 1)]
        self.peers.append(peer)
        self._running.append(asyncio.ensure_future(script(peer)))


# -- answers


def connack(
    version: int,
    code: int = 0,
    *,
    session_present: bool = False,
    properties: bytes = b"",
) -> bytes:
    """Return a CONNACK; `properties` are encoded already and only for MQTT 5.0."""
    body = bytes([session_present, code])
    return packet(CONNACK, body + (varint(len(properties)) + properties if version == V5 else b""))


def acknowledge(
    first: int, packet_id: int, code: int | None = None, properties: bytes = b""
) -> bytes:
    """Return PUBACK, PUBREC, PUBREL or PUBCOMP; with a Reason Code in MQTT 5.0."""
    body = packet_id.to_bytes(2, "big")
    if code is not None:
        body += bytes([code])
        if properties:
            body += varint(len(properties)) + properties
    return packet(first, body)


def suback(version: int, packet_id: int, *codes: int) -> bytes:
    """Return a SUBACK."""
    block = b"\x00" if version == V5 else b""
    return packet(SUBACK, packet_id.to_bytes(2, "big") + block + bytes(codes))


def unsuback(version: int, packet_id: int, *codes: int) -> bytes:
    """Return an UNSUBACK; only that of MQTT 5.0 has codes."""
    tail = b"\x00" + bytes(codes) if version == V5 else b""
    return packet(UNSUBACK, packet_id.to_bytes(2, "big") + tail)
