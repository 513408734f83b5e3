"""A TCP relay between client and broker that cuts the connection in the middle of the traffic."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct


class Relay:
    """Forward connections to a port of the loopback interface; cut each after some bytes.

    A connection is cut when a number of bytes, which the random generator chooses, has passed in
    one of the directions: in the middle of a packet, more often than not. What was read and is
    beyond that is lost, as it is when a cable breaks.

    Attributes:
        cuts: how many connections have been cut.

    """

    def __init__(self, port: int, cuts: int, seed: int, longest: int = 20_000) -> None:
        """Relay to `port`, and cut `cuts` connections before all later ones are left alone."""
        self.cuts = 0
        self._port = port
        self._limit = cuts
        self._longest = longest
        self._random = random.Random(seed)
        self._running: set[asyncio.Task[None]] = set()
        self._done = asyncio.Event()

    @property
    def uri(self) -> str:
        """Return the URI to connect to."""
        return f"mqtt://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    @property
    def done(self) -> bool:
        """Return whether all cuts have been made."""
        return self._done.is_set()

    async def __aenter__(self) -> Relay:
        """Listen."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close everything."""
        self._server.close()
        for task in list(self._running):
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._relay(reader, writer))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        task.add_done_callback(lambda _: writer.close())  # also when it never ran

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        to_broker = await asyncio.open_connection("127.0.0.1", self._port)
        allowed: list[int | None] = [None, None]
        if self.cuts < self._limit:
            # Most connections live long enough to log in; a few do not.
            least = 0 if self._random.random() < 0.05 else 40
            allowed[self._random.randrange(2)] = self._random.randint(least, self._longest)
        ends = [
            asyncio.ensure_future(self._pump(reader, to_broker[1], allowed[0])),
            asyncio.ensure_future(self._pump(to_broker[0], writer, allowed[1])),
        ]
        try:
            done, _ = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            if any(each.result() for each in done):
                self.cuts += 1
                if self.cuts == self._limit:
                    self._done.set()
                if self._random.random() < 0.5:
                    for each in (writer, to_broker[1]):
                        _reset(each)
        finally:
            for writing in (writer, to_broker[1]):
                writing.close()
            for each in ends:
                each.cancel()
            await asyncio.gather(*ends, return_exceptions=True)

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, allowed: int | None
    ) -> bool:
        """Copy until the end of the stream (False) or until so many bytes have passed (True)."""
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                if allowed is not None:
                    data, allowed = data[:allowed], allowed - len(data)
                writer.write(data)
                await writer.drain()
                if allowed is not None and allowed <= 0:
                    return True
        return False


def _reset(writer: asyncio.StreamWriter) -> None:
    raw = writer.get_extra_info("socket")
    with contextlib.suppress(OSError):
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
