"""WebSocket frames, made and taken apart byte by byte, for tests of the broker's side."""

import base64
import hashlib
import os

from support.wire import WireClient

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
_FIN = 0x80
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def request(**changes: str | None) -> bytes:
    """Return a handshake; keywords replace header fields, None leaves one out.

    ``path`` is that of the request line; underscores stand for hyphens.
    """
    fields: dict[str, str | None] = {
        "host": "localhost",
        "upgrade": "websocket",
        "connection": "Upgrade",
        "sec-websocket-key": base64.b64encode(os.urandom(16)).decode(),
        "sec-websocket-version": "13",
        "sec-websocket-protocol": "mqtt",
    }
    path = changes.pop("path", "/mqtt")
    fields.update({name.replace("_", "-"): value for name, value in changes.items()})
    lines = [f"{name}: {value}" for name, value in fields.items() if value is not None]
    return "\r\n".join([f"GET {path} HTTP/1.1", *lines, "", ""]).encode()


def frame(opcode: int, payload: bytes, *, final: bool = True, mask: bool = True) -> bytes:
    """Return one frame of a client."""
    size = len(payload)
    if size < 126:
        head = bytes([size])
    elif size < 1 << 16:
        head = b"\x7e" + size.to_bytes(2, "big")
    else:
        head = b"\x7f" + size.to_bytes(8, "big")
    first = bytes([opcode | (_FIN if final else 0)])
    if not mask:
        return first + head + payload
    key = os.urandom(4)
    stream = int.from_bytes((key * (size // 4 + 1))[:size], "big")
    masked = (int.from_bytes(payload, "big") ^ stream).to_bytes(size, "big")
    return first + bytes([head[0] | 0x80]) + head[1:] + key + masked


class WebSocketClient:
    """A connection on which single frames are sent and expected."""

    def __init__(self, wire: WireClient) -> None:
        """Use a connection that has sent nothing yet."""
        self.wire = wire
        self._payload = bytearray()

    def __enter__(self) -> "WebSocketClient":
        """Return the client."""
        return self

    def __exit__(self, *_: object) -> None:
        """Drop the connection."""
        self.wire.abort()

    def read_response(self) -> tuple[int, dict[str, str]]:
        """Return status and header of the answer to a handshake."""
        text = bytearray()
        while not text.endswith(b"\r\n\r\n"):
            text += self.wire.read(1)
        status, *lines = text.decode().split("\r\n")[:-2]
        fields = dict(line.split(": ", 1) for line in lines)
        return int(status.split()[1]), {name.lower(): value for name, value in fields.items()}

    def open(self) -> "WebSocketClient":
        """Do the handshake and check the answer."""
        handshake = request()
        self.wire.send(handshake)
        status, fields = self.read_response()
        assert status == 101
        assert fields["sec-websocket-protocol"] == "mqtt"
        key = handshake.split(b"sec-websocket-key: ")[1].split(b"\r\n")[0]
        digest = hashlib.sha1(key + _GUID, usedforsecurity=False).digest()
        assert fields["sec-websocket-accept"] == base64.b64encode(digest).decode()
        return self

    def send(self, data: bytes) -> None:
        """Send bytes as one binary message."""
        self.wire.send(frame(BINARY, data))

    def send_while_reading(self, data: bytes) -> None:
        """Send bytes as one binary message and keep what comes meanwhile for the next read."""
        self.wire.send_while_reading(frame(BINARY, data))

    def read_frame(self) -> tuple[int, bytes]:
        """Return opcode and payload of the next frame, which must be final and not masked."""
        first, second = self.wire.read(2)
        assert first & 0xF0 == _FIN
        size = second
        if second == 126:
            size = int.from_bytes(self.wire.read(2), "big")
        elif second == 127:
            size = int.from_bytes(self.wire.read(8), "big")
        return first & 0x0F, self.wire.read(size)

    def read(self, count: int) -> bytes:
        """Return the next bytes of binary messages."""
        while len(self._payload) < count:
            opcode, payload = self.read_frame()
            assert opcode == BINARY
            self._payload += payload
        data = bytes(self._payload[:count])
        del self._payload[:count]
        return data

    def expect(self, data: bytes) -> None:
        """Require bytes of binary messages."""
        assert self.read(len(data)) == data

    def expect_close_frame(self, code: int | None) -> None:
        """Require a Close frame with this code as the next frame."""
        payload = b"" if code is None else code.to_bytes(2, "big")
        assert self.read_frame() == (CLOSE, payload)
