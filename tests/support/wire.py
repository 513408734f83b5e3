"""A raw MQTT peer: sends bytes, and says exactly which bytes must come back."""

import contextlib
import os
import select
import socket
import ssl
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

DEFAULT_TIMEOUT = float(os.environ.get("AMQTT_TEST_TIMEOUT", "10"))
PINGREQ = b"\xc0\x00"
PINGRESP = b"\xd0\x00"
DISCONNECT = b"\xe0\x00"
CONNACK_ACCEPTED = b"\x20\x02\x00\x00"
# In MQTT 5.0 by default: Topic Alias Maximum 32.
CONNACK_ACCEPTED_V5 = b"\x20\x06\x00\x00\x03\x22\x00\x20"
_SHOWN = 200


class WireError(AssertionError):
    """The peer did not do what was expected of it."""


def show(data: bytes) -> str:
    """Return ``data`` in hexadecimal, shortened when it is long."""
    text = data[:_SHOWN].hex(" ")
    return f"[{len(data)} bytes] {text}" + (" ..." if len(data) > _SHOWN else "")


def string(value: str | bytes) -> bytes:
    """Return an MQTT string field: two bytes of length, then the text."""
    raw = value.encode() if isinstance(value, str) else value
    return len(raw).to_bytes(2, "big") + raw


def varint(value: int) -> bytes:
    """Return a Variable Byte Integer."""
    encoded = bytearray()
    while True:
        value, digit = divmod(value, 128)
        encoded.append(digit | (0x80 if value else 0))
        if not value:
            return bytes(encoded)


def packet(first: int, body: bytes = b"") -> bytes:
    """Return a whole control packet: first byte, remaining length, body."""
    return bytes([first]) + varint(len(body)) + body


def _block(properties: bytes | None) -> bytes:
    """Return Property Length and properties, nothing in MQTT 3.1.1."""
    return b"" if properties is None else varint(len(properties)) + properties


def connect(
    client_id: str,
    *,
    version: int | None = None,
    keep_alive: int = 60,
    clean: bool = True,
    username: str | None = None,
    password: str | None = None,
    will: tuple[str, bytes] | None = None,
    will_qos: int = 0,
    will_retain: bool = False,
    properties: bytes | None = None,
    will_properties: bytes = b"",
) -> bytes:
    """Return a CONNECT packet.

    Without ``version`` it is one of MQTT 3.1.1, or of 5.0 when there are ``properties``, which
    are encoded already. Version 3 is MQTT 3.1.
    """
    level = version or (4 if properties is None else 5)
    flags = (0x02 if clean else 0) | (0x80 if username is not None else 0)
    flags |= 0x40 if password is not None else 0
    if will:
        flags |= 0x04 | will_qos << 3 | (0x20 if will_retain else 0)
    body = string("MQIsdp" if level == 3 else "MQTT") + bytes([level, flags])
    body += keep_alive.to_bytes(2, "big") + _block(properties) + string(client_id)
    if will:
        body += b"" if properties is None else _block(will_properties)
        body += string(will[0]) + string(will[1])
    if username is not None:
        body += string(username)
    if password is not None:
        body += string(password)
    return packet(0x10, body)


def publish(
    topic: str | bytes,
    payload: bytes = b"",
    *,
    qos: int = 0,
    packet_id: int | None = None,
    retain: bool = False,
    dup: bool = False,
    properties: bytes | None = None,
) -> bytes:
    """Return a PUBLISH packet of MQTT 3.1.1, or of 5.0 with these encoded properties."""
    first = 0x30 | (0x08 if dup else 0) | qos << 1 | (0x01 if retain else 0)
    ident = b"" if packet_id is None else packet_id.to_bytes(2, "big")
    return packet(first, string(topic) + ident + _block(properties) + payload)


def subscribe(packet_id: int, *filters: tuple[str, int], properties: bytes | None = None) -> bytes:
    """Return a SUBSCRIBE packet of MQTT 3.1.1, or of 5.0 with these encoded properties."""
    body = b"".join(string(text) + bytes([options]) for text, options in filters)
    return packet(0x82, packet_id.to_bytes(2, "big") + _block(properties) + body)


def unsubscribe(packet_id: int, *filters: str, properties: bytes | None = None) -> bytes:
    """Return an UNSUBSCRIBE packet of MQTT 3.1.1, or of 5.0 with these encoded properties."""
    body = b"".join(string(text) for text in filters)
    return packet(0xA2, packet_id.to_bytes(2, "big") + _block(properties) + body)


def suback(packet_id: int, *codes: int, properties: bytes | None = None) -> bytes:
    """Return a SUBACK packet of MQTT 3.1.1, or of 5.0 with these encoded properties."""
    return packet(0x90, packet_id.to_bytes(2, "big") + _block(properties) + bytes(codes))


def ack(first: int, packet_id: int) -> bytes:
    """Return PUBACK (0x40), PUBREC (0x50), PUBREL (0x62), PUBCOMP (0x70) or UNSUBACK (0xB0)."""
    return packet(first, packet_id.to_bytes(2, "big"))


class WireClient:
    """One TCP connection to a broker, driven byte by byte.

    Every expectation has a time limit and says what it saw instead.

    Attributes:
        unfinished: what is missing of the packet that was sent last, see ``support.abuse.flood``.

    """

    unfinished = b""

    def __init__(
        self, port: int, *, receive_buffer: int | None = None, source: str | None = None
    ) -> None:
        """Open the connection.

        ``receive_buffer`` makes the kernel hold little for us; ``source`` is a loopback address
        that the connection comes from.
        """
        self._socket = socket.socket()
        if source is not None:
            self._socket.bind((source, 0))
        if receive_buffer is not None:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self._socket.settimeout(DEFAULT_TIMEOUT)
        self._socket.connect(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._pending = bytearray()
        self._closed_by_peer = False

    @classmethod
    def over(cls, connected: socket.socket) -> "WireClient":
        """Use a connection that is there: over TLS, or to a Unix socket."""
        client = cls.__new__(cls)
        client._socket = connected
        client._pending = bytearray()
        client._closed_by_peer = False
        return client

    @classmethod
    def unix(cls, path: Path) -> "WireClient":
        """Open a connection to a Unix socket."""
        connected = socket.socket(socket.AF_UNIX)
        connected.settimeout(DEFAULT_TIMEOUT)
        connected.connect(str(path))
        return cls.over(connected)

    def __enter__(self) -> "WireClient":
        """Return the client."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Drop the connection."""
        self.abort()

    def send(self, data: bytes) -> None:
        """Send bytes; a peer that has closed is left for ``expect_close`` to notice."""
        self._socket.settimeout(DEFAULT_TIMEOUT)
        try:
            self._socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            self._closed_by_peer = True

    def send_while_reading(self, data: bytes, limit: float = DEFAULT_TIMEOUT) -> None:
        """Send bytes and keep what comes meanwhile for the next expectation.

        One thread does both: an SSL connection must not be used from two at once.
        """
        deadline = time.monotonic() + limit
        left = memoryview(data)
        self._socket.setblocking(False)
        while left:
            received = self._receive_some()
            sent = self._send_some(left)
            left = left[sent:]
            if not (received or sent):
                remaining = deadline - time.monotonic()
                if remaining <= 0 or self._closed_by_peer:
                    msg = f"closed or stuck with {len(left)} of {len(data)} bytes to send"
                    raise WireError(msg)
                select.select([self._socket], [self._socket], [], remaining)

    def send_some(self, data: bytes, limit: float) -> int:
        """Send what the peer takes of ``data``; return 0 if it takes nothing for that long."""
        self._socket.settimeout(limit)
        try:
            return self._socket.send(data)
        except TimeoutError:
            return 0

    def read(self, count: int, limit: float = DEFAULT_TIMEOUT) -> bytes:
        """Return exactly the next ``count`` bytes."""
        deadline = time.monotonic() + limit
        while len(self._pending) < count:
            if not self._fill(deadline):
                msg = f"closed or silent after {show(bytes(self._pending))}, wanted {count} bytes"
                raise WireError(msg)
        data = bytes(self._pending[:count])
        del self._pending[:count]
        return data

    def read_packet(self, limit: float = DEFAULT_TIMEOUT) -> bytes:
        """Return the next whole control packet."""
        head = bytearray(self.read(2, limit))
        while head[-1] & 0x80:
            if len(head) > 4:
                msg = f"remaining length of more than four bytes: {show(bytes(head))}"
                raise WireError(msg)
            head += self.read(1, limit)
        length = sum((byte & 0x7F) << 7 * at for at, byte in enumerate(head[1:]))
        return bytes(head) + self.read(length, limit)

    def expect(self, data: bytes, limit: float = DEFAULT_TIMEOUT) -> None:
        """Require exactly ``data`` as the next bytes."""
        deadline = time.monotonic() + limit
        while len(self._pending) < len(data):
            if self._pending != data[: len(self._pending)] or not self._fill(deadline):
                break
        got = bytes(self._pending[: len(data)])
        if got != data:
            state = "closed by the peer" if self._closed_by_peer else "open"
            msg = f"expected {show(data)}\n     got {show(got)}\nconnection {state}"
            raise WireError(msg)
        del self._pending[: len(data)]

    def expect_set(self, packets: Sequence[bytes], limit: float = DEFAULT_TIMEOUT) -> None:
        """Require these packets next, in any order."""
        left = list(packets)
        while left:
            got = self.read_packet(limit)
            if got not in left:
                wanted = "\n         ".join(show(one) for one in left)
                msg = f"expected one of {wanted}\n     got {show(got)}"
                raise WireError(msg)
            left.remove(got)

    def expect_close(self, limit: float = DEFAULT_TIMEOUT) -> None:
        """Require that the peer closes, with nothing more sent before."""
        deadline = time.monotonic() + limit
        while self._fill(deadline) and not self._pending:
            pass
        if self._pending:
            msg = f"expected close, got {show(bytes(self._pending))}"
            raise WireError(msg)
        if not self._closed_by_peer:
            msg = f"expected close, still open after {limit} s"
            raise WireError(msg)

    def read_until_close(self, limit: float = DEFAULT_TIMEOUT) -> bytes:
        """Return all that comes until the peer closes, which it must."""
        deadline = time.monotonic() + limit
        while self._fill(deadline):
            pass
        if not self._closed_by_peer:
            msg = f"expected close, still open after {limit} s"
            raise WireError(msg)
        return bytes(self._pending)

    def ping(self, limit: float = DEFAULT_TIMEOUT) -> None:
        """Require PINGRESP as the answer to PINGREQ: nothing else was on its way."""
        self.send(PINGREQ)
        self.expect(PINGRESP, limit)

    def abort(self) -> None:
        """Drop the TCP connection without DISCONNECT."""
        self._socket.close()

    def shutdown(self, how: int) -> None:
        """Close one direction of the connection."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(how)

    # -- short forms of whole exchanges -------------------------------------------------

    def login(self, packet_bytes: bytes, answer: bytes = CONNACK_ACCEPTED) -> "WireClient":
        """Send a CONNECT packet and require that it is accepted."""
        self.send(packet_bytes)
        self.expect(answer)
        return self

    def subscribe(self, topic_filter: str, qos: int = 0, packet_id: int = 1) -> "WireClient":
        """Subscribe and require that the QoS is granted."""
        self.send(subscribe(packet_id, (topic_filter, qos)))
        self.expect(suback(packet_id, qos))
        return self

    def _send_some(self, data: memoryview) -> int:
        """Send what the connection takes at once; return how much that is."""
        try:
            return self._socket.send(data[: 1 << 16])
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return 0
        except (BrokenPipeError, ConnectionResetError):
            self._closed_by_peer = True
            return 0

    def _receive_some(self) -> int:
        """Read what is there without waiting; return how much that is."""
        try:
            data = self._socket.recv(1 << 20)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return 0
        if not data:
            self._closed_by_peer = True
        self._pending += data
        return len(data)

    def _fill(self, deadline: float) -> bool:
        """Read what is there; return False at the time limit or when the peer has closed."""
        left = deadline - time.monotonic()
        if left <= 0:
            return False
        self._socket.settimeout(left)
        try:
            data = self._socket.recv(1 << 20)
        except TimeoutError:
            return False
        except ConnectionResetError:
            data = b""
        if not data:
            self._closed_by_peer = True
            return False
        self._pending += data
        return True
