"""The recipe of the documentation: a site gives its pages tokens, and the broker asks the site."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import aiohttp
import pytest
import yaml
from support.browser import browser_at, browser_command
from support.peers.hosts import BUILD, MissingToolError, make_host
from support.process import BrokerProcess, broker_kind, free_port

from amqtt.client import ConnectError, MQTTClient

RECIPE = Path(__file__).parents[2] / "docs" / "how-to" / "authenticate-over-http.md"
FILE = re.compile(r"^<!-- file: (\S+) -->\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)
YAML = re.compile(r"^<!-- test: a web site -->\n```yaml\n(.*?)^```$", re.MULTILINE | re.DOTALL)

pytestmark = pytest.mark.skipif(broker_kind() != "amqtt", reason="the plugin is of ours")


def missing(reason: str) -> None:
    """Skip the test for want of a tool; in CI that is a failure."""
    if os.environ.get("CI"):
        pytest.fail(f"not tested: {reason}")
    pytest.skip(f"not tested: {reason}")


@pytest.fixture(scope="module")
def packages() -> Path:
    """Return the folder of the npm packages."""
    if browser_command() is None:
        missing("no browser found")
    try:
        make_host("node", None)
    except MissingToolError as error:
        missing(str(error))
    return BUILD / "node" / "node_modules"


class Recipe:
    """The site and the broker of the recipe, on free ports."""

    def __init__(self, folder: Path, packages: Path | None, life: str = "60") -> None:
        text = RECIPE.read_text(encoding="utf-8")
        self.site, self.socket = free_port(), free_port()
        for name, content in FILE.findall(text):
            (folder / name).write_text(self._adapt(content).replace("LIFE = 60", f"LIFE = {life}"))
        if packages is not None:
            (folder / "node_modules").symlink_to(packages)
        (found,) = YAML.findall(text)
        config = yaml.safe_load(self._adapt(found))
        self._process = subprocess.Popen(
            [sys.executable, "-W", "error", "news.py"], cwd=folder,
            stdout=subprocess.DEVNULL,
        )  # fmt: skip
        # The listener of the recipe is beside the one that the tests' broker always has.
        self.broker = BrokerProcess(
            folder, {"plugins": config["plugins"]}, "",
            listeners={"pages": config["listeners"]["default"]},
        )  # fmt: skip

    def _adapt(self, text: str) -> str:
        return text.replace("8080", str(self.site)).replace("8083", str(self.socket))

    @property
    def url(self) -> str:
        """Return the address of the page."""
        return f"http://127.0.0.1:{self.site}/"

    async def wait_for_site(self) -> None:
        """Wait until the site serves."""
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", self.site)
            except OSError:
                assert self._process.poll() is None
                await asyncio.sleep(0.02)
            else:
                writer.close()
                return

    async def token(self, user: str, password: str) -> str:
        """Log in and return a token, without a browser."""
        # An address is no domain: cookies for it need a jar that takes them.
        jar = aiohttp.CookieJar(unsafe=True)
        async with aiohttp.ClientSession(self.url, cookie_jar=jar) as session:
            form = {"user": user, "password": password}
            async with session.post("/login", data=form) as response:
                assert response.status == 200
            async with session.post("/token") as response:
                token: str = (await response.json())["token"]
                return token

    async def client(self, user: str, password: str) -> MQTTClient:
        """Return a client that is connected; raise ConnectError if it is refused."""
        client = MQTTClient(config={"auto_reconnect": False})
        await client.connect(f"mqtt://{user}:{password}@127.0.0.1:{self.broker.port}")
        return client

    def stop(self) -> None:
        """End both."""
        self._process.terminate()
        self._process.wait(20)
        self.broker.stop()


@contextmanager
def recipe(folder: Path, packages: Path | None = None, **options: str) -> Iterator[Recipe]:
    running = Recipe(folder, packages, **options)
    try:
        yield running
    finally:
        running.stop()


def log_in(user: str, password: str) -> str:
    """Return the script that fills in the form and sends it."""
    return f"""
        document.querySelector("[name=user]").value = "{user}";
        document.querySelector("[name=password]").value = "{password}";
        document.querySelector("button").click();
    """


# Connects as another user with the token that the site gives to whoever is logged in.
AS_BOB = """
    fetch("/token", { method: "POST" })
        .then((answer) => answer.json())
        .then(({ token }) => new Promise((resolve) => {
            const client = mqtt.connect("ws://127.0.0.1:PORT", {
                username: "bob", password: token, reconnectPeriod: 0,
            });
            client.on("connect", () => resolve("connected"));
            client.on("error", (error) => resolve(error.message));
        }))
"""


async def test_the_page_of_a_user_is_served_and_others_are_refused(
    tmp_path: Path, packages: Path
) -> None:
    with recipe(tmp_path, packages) as running:
        await running.wait_for_site()
        async with browser_at(running.url, tmp_path / "profile") as page:
            # Before it has loaded, an empty document is complete, too.
            await page.wait_for(
                'document.getElementById("login") && document.readyState === "complete"'
            )
            shown = 'document.getElementById("state").textContent'
            await page.run(log_in("alice", "guess"))
            await page.wait_for(f'{shown} === "wrong user or password"')
            await page.run(log_in("alice", "wonderland"))
            await page.wait_for(f'{shown} === "connected as alice"')
            publisher = await running.client("alice", await running.token("alice", "wonderland"))
            await publisher.publish("users/alice/news", b"<b>hello</b>", qos=1)
            await page.wait_for(
                'document.querySelector("#news li")?.textContent === "<b>hello</b>"'
            )
            await publisher.disconnect()
            refusal = await page.run(AS_BOB.replace("PORT", str(running.socket)))
            assert "Not authorized" in refusal or "user name or password" in refusal, refusal


async def test_tokens_are_of_one_user_and_do_not_last(tmp_path: Path) -> None:
    with recipe(tmp_path, life="2") as running:
        await running.wait_for_site()
        token = await running.token("bob", "builder")
        assert await is_admitted(running, "bob", token)
        for user, password in (("alice", token), ("bob", "guess"), ("bob", "")):
            assert not await is_admitted(running, user, password)
        while await is_admitted(running, "bob", token):  # until the token is too old
            await asyncio.sleep(0.05)


async def is_admitted(running: Recipe, user: str, password: str) -> bool:
    try:
        client = await running.client(user, password)
    except ConnectError:
        return False
    await client.disconnect()
    return True
