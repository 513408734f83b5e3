"""Pre-shared keys that plugins have, with `openssl s_client` and mosquitto_pub as clients."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
import pytest_asyncio
from support.certificates import Authority
from support.endpoints import LIMIT
from support.psk import device
from support.serving import Serving, serving
from support.wire import CONNACK_ACCEPTED, PINGREQ, PINGRESP, connect

KEY = "8f1c2ea5d3b04a7f9e6c5d1b2a3f4e5d"
OTHER = "00112233445566778899aabbccddeeff00112233"
VERSIONS = ["-tls1_2", "-tls1_3"]
REFUSED = b"\x20\x02\x00\x05"
MODULE = f"""
    import threading

    keys = {{'sensor': '{KEY}', 'ünï': '{OTHER}', 'slow': '{KEY}', 'late': '{KEY}'}}
    asked = []
    gate = threading.Event()

    def psk_key_get(identity, hint):
        asked.append(identity)
        if identity == 'slow':
            gate.wait()
        if identity == 'raises':
            raise ValueError(identity)
        return keys.get(identity, False)

    def acl_check(clientid, username, topic, access):
        return True
"""

pytestmark = pytest.mark.skipif(
    shutil.which("openssl") is None, reason="not tested: the command openssl is not installed"
)


@pytest.fixture
def module(tmp_path: Path) -> Iterator[str]:
    name = f"psk_{tmp_path.name}".replace("-", "_")
    (tmp_path / f"{name}.py").write_text(dedent(MODULE))
    before = list(sys.path)
    yield name
    sys.path[:] = before
    sys.modules.pop(name, None)


def plugins(module: str, folder: Path, **options: Any) -> dict[str, Any]:
    own = {
        "module": module, "module_folder": str(folder), "use_identity_as_username": True, **options,
    }  # fmt: skip
    return {"amqtt.contrib.pyauth.PyAuthPlugin": own}


@pytest_asyncio.fixture
async def broker(module: str, tmp_path: Path) -> AsyncIterator[Serving]:
    """Give a broker whose clients have no key but those of the module."""
    listener = {"ssl": True, "tls_psk_plugins": True}
    async with serving(listener, plugins=plugins(module, tmp_path)) as started:
        yield started


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(("identity", "key"), [("sensor", KEY), ("ünï", OTHER)])
async def test_a_key_of_the_module(broker: Serving, version: str, identity: str, key: str) -> None:
    async with device(broker, identity, key, version) as peer:
        await peer.exchange(connect("device"), CONNACK_ACCEPTED)
        await peer.exchange(PINGREQ, PINGRESP)
        session, _ = broker.broker.sessions["device"]
        assert session.username == identity
        assert session.ssl_object.psk_identity == identity


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("identity", "key"), [("sensor", OTHER), ("stranger", KEY), ("raises", KEY), ("", KEY)]
)
async def test_a_wrong_key_or_identity(
    broker: Serving, version: str, identity: str, key: str
) -> None:
    async with device(broker, identity, key, version) as peer:
        with pytest.raises(asyncio.IncompleteReadError):
            await peer.exchange(connect("device"), CONNACK_ACCEPTED)
    await broker.log.wait_for("TLS handshake failed")


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_module_that_takes_its_time_holds_up_nobody_else(
    module: str, tmp_path: Path, version: str
) -> None:
    listener = {"ssl": True, "tls_psk_plugins": True}
    async with serving(listener, plugins=plugins(module, tmp_path, threads=2)) as broker:
        loaded = sys.modules[module]
        async with device(broker, "slow", KEY, version) as slow:
            waiting = asyncio.ensure_future(slow.exchange(connect("slow"), CONNACK_ACCEPTED))
            while "slow" not in loaded.asked:
                await asyncio.sleep(0.005)
            async with device(broker, "sensor", KEY, version) as peer:
                await peer.exchange(connect("quick"), CONNACK_ACCEPTED)
            assert not waiting.done()
            loaded.gate.set()
            await waiting


@pytest.mark.parametrize("version", VERSIONS)
async def test_an_answer_that_is_too_late_refuses(
    module: str, tmp_path: Path, version: str
) -> None:
    listener = {"ssl": True, "tls_psk_plugins": True}
    limits = {"decision_timeout": 0.1}
    async with serving(listener, plugins=plugins(module, tmp_path), limits=limits) as broker:
        loaded = sys.modules[module]
        async with device(broker, "slow", KEY, version) as peer:
            with pytest.raises(asyncio.IncompleteReadError):
                await peer.exchange(connect("device"), CONNACK_ACCEPTED)
        await broker.log.wait_for("TLS handshake failed")
        loaded.gate.set()


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("ending", ["client", "connect_timeout", "broker"])
async def test_a_connection_that_ends_while_its_key_is_asked_for(
    module: str, tmp_path: Path, version: str, ending: str
) -> None:
    listener = {"ssl": True, "tls_psk_plugins": True}
    limits = {"connect_timeout": 0.3} if ending == "connect_timeout" else {}
    async with serving(
        listener, plugins=plugins(module, tmp_path, threads=2), limits=limits
    ) as broker:
        loaded = sys.modules[module]
        async with device(broker, "slow", KEY, version) as peer:
            while "slow" not in loaded.asked:
                await asyncio.sleep(0.005)
            if ending == "connect_timeout":
                with pytest.raises(asyncio.IncompleteReadError):
                    await peer.exchange(connect("device"), CONNACK_ACCEPTED)
        if ending != "broker":
            loaded.gate.set()
            async with device(broker, "sensor", KEY, version) as peer:
                await peer.exchange(connect("quick"), CONNACK_ACCEPTED)
    loaded.gate.set()


@pytest.mark.parametrize("version", VERSIONS)
async def test_keys_of_a_file_the_module_and_certificates_together(
    module: str, tmp_path: Path, version: str
) -> None:
    file = tmp_path / "devices.psk"
    file.write_text(f"from file:{OTHER}\n")
    issued = Authority(tmp_path, "ca").server()
    listener = {
        "ssl": True, "tls_psk_plugins": True, "tls_psk_file": str(file),
        "certfile": issued.certfile, "keyfile": issued.keyfile,
    }  # fmt: skip
    async with serving(listener, plugins=plugins(module, tmp_path)) as broker:
        for identity, key in (("sensor", KEY), ("from file", OTHER)):
            async with device(broker, identity, key, version) as peer:
                await peer.exchange(connect(identity), CONNACK_ACCEPTED)
        assert sys.modules[module].asked == ["sensor"]
        # Who has no key gets on with the certificate, and is refused as nobody.
        done = await asyncio.to_thread(
            subprocess.run,
            ["openssl", "s_client", "-connect", f"{broker.host}:{broker.port}", "-quiet", version],
            input=connect("nobody"), capture_output=True, timeout=LIMIT, check=False,
        )  # fmt: skip
        assert done.stdout == REFUSED, done.stderr


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_session_is_resumed_without_asking_again(
    broker: Serving, module: str, tmp_path: Path, version: str
) -> None:
    ticket = str(tmp_path / "session.pem")
    run = ["openssl", "s_client", "-connect", f"{broker.host}:{broker.port}", version, "-ign_eof"]
    key = ["-psk_identity", "sensor", "-psk", KEY]
    # With TLS 1.3 the ticket is enough; a suite of TLS 1.2 is offered by who has the key.
    for options in (
        [*key, "-sess_out", ticket],
        [*(key if version == "-tls1_2" else []), "-sess_in", ticket],
    ):
        done = await asyncio.to_thread(
            subprocess.run, [*run, *options], input=connect("device") + b"\xe0\x00",
            capture_output=True, timeout=LIMIT, check=False,
        )  # fmt: skip
        # The identity is the user, and without one it would be refused.
        assert CONNACK_ACCEPTED in done.stdout, done.stderr
    assert b"Reused, " in done.stdout
    assert sys.modules[module].asked == ["sensor"]


async def test_mosquitto_pub(broker: Serving) -> None:
    program = shutil.which("mosquitto_pub")
    if program is None:
        if os.environ.get("CI"):
            pytest.fail("not tested: mosquitto_pub is not installed")
        pytest.skip("not tested: mosquitto_pub is not installed")
    for key, succeeds in ((KEY, True), (OTHER, False)):
        done = await asyncio.to_thread(
            subprocess.run,
            [
                program, "-h", broker.host, "-p", str(broker.port), "--psk-identity", "sensor",
                "--psk", key, "-t", "a", "-m", "b", "-q", "1",
            ],
            capture_output=True, timeout=LIMIT, check=False,
        )  # fmt: skip
        assert (done.returncode == 0) == succeeds, done.stderr
