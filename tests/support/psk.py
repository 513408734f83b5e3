"""Clients with pre-shared keys, of which the openssl command does the TLS."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
from collections.abc import AsyncIterator

from support.endpoints import LIMIT
from support.serving import Serving


class Device:
    """A client of which the openssl command does the TLS."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        """Use a process that was started."""
        self._process = process

    async def exchange(self, sent: bytes, expected: bytes) -> None:
        """Send bytes and require the answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(sent)
        got = await asyncio.wait_for(self._process.stdout.readexactly(len(expected)), LIMIT)
        assert got == expected

    async def end(self) -> str:
        """Return what the command says of the connection, which is over."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        _, text = await asyncio.wait_for(self._process.communicate(), LIMIT)
        return text.decode()


@contextlib.asynccontextmanager
async def device(broker: Serving, identity: str, key: str, *options: str) -> AsyncIterator[Device]:
    """Run `openssl s_client`; what it says goes to stderr, the data to stdout."""
    process = await asyncio.create_subprocess_exec(
        *("openssl", "s_client", "-connect", f"{broker.host}:{broker.port}", "-quiet"),
        *("-psk_identity", identity, "-psk", key, *options),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        yield Device(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()
