"""A web page in headless Chromium, driven over the DevTools protocol."""

from __future__ import annotations

import asyncio
import itertools
import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

LIMIT = 30.0
_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_OPTIONS = (
    "--headless",
    "--no-sandbox",  # it refuses to run as root with it, and loads only the page of the test
    "--no-first-run",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-extensions",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",  # it is to look nothing up
    "--remote-debugging-port=0",
)


def browser_command() -> str | None:
    """Return the browser that is installed."""
    return next(filter(None, map(shutil.which, _BROWSERS)), None)


class Page:
    """The page that the browser shows."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        """Take the connection to its debugger."""
        self._socket = socket
        self._numbers = itertools.count(1)

    async def _call(self, method: str, **parameters: Any) -> dict[str, Any]:
        number = next(self._numbers)
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        while True:
            message = await self._socket.receive_json(timeout=LIMIT)
            if message.get("id") == number:
                assert "error" not in message, message
                result: dict[str, Any] = message["result"]
                return result

    async def run(self, script: str) -> Any:
        """Run a script and return its value, of a promise what that comes to."""
        result = await self._call(
            "Runtime.evaluate",
            expression=script, awaitPromise=True, returnByValue=True, userGesture=True,
        )  # fmt: skip
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    async def wait_for(self, script: str) -> None:
        """Wait until an expression is true."""

        async def poll() -> None:
            while not await self.run(f"Boolean({script})"):
                await asyncio.sleep(0.02)

        try:
            await asyncio.wait_for(poll(), LIMIT)
        except asyncio.TimeoutError:
            text = await self.run("document.body.innerText")
            msg = f"{script} does not become true; the page shows: {text}"
            raise AssertionError(msg) from None


@asynccontextmanager
async def browser_at(url: str, profile: Path) -> AsyncIterator[Page]:
    """Open a page in a browser of its own, which keeps its files in `profile`."""
    command = browser_command()
    assert command is not None
    process = await asyncio.create_subprocess_exec(
        command, *_OPTIONS, f"--user-data-dir={profile}", url,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        async with aiohttp.ClientSession() as session:
            address = await asyncio.wait_for(_debugger_of(url, profile, session), LIMIT)
            async with session.ws_connect(address, max_msg_size=0) as socket:
                yield Page(socket)
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def _debugger_of(url: str, profile: Path, session: aiohttp.ClientSession) -> str:
    """Wait until the browser has the page; return the address of its debugger."""
    file = profile / "DevToolsActivePort"
    while True:
        lines = file.read_text().splitlines() if file.exists() else []
        if len(lines) == 2:
            async with session.get(f"http://127.0.0.1:{lines[0]}/json/list") as response:
                targets = json.loads(await response.text())
            for each in targets:
                if each["type"] == "page" and each["url"].startswith(url):
                    address: str = each["webSocketDebuggerUrl"]
                    return address
        await asyncio.sleep(0.02)
