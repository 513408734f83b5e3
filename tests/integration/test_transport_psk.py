"""TLS with pre-shared keys: `openssl s_client` and mosquitto_pub as clients."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from support.endpoints import LIMIT, Trust
from support.psk import device
from support.serving import Serving, serving
from support.wire import CONNACK_ACCEPTED, PINGREQ, PINGRESP, connect

from amqtt.errors import BrokerError

KEY = "8f1c2ea5d3b04a7f9e6c5d1b2a3f4e5d"
OTHER = "00112233445566778899aabbccddeeff00112233"
VERSIONS = ["-tls1_2", "-tls1_3"]

pytestmark = pytest.mark.skipif(
    shutil.which("openssl") is None, reason="not tested: the command openssl is not installed"
)


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    file = tmp_path / "devices.psk"
    file.write_text(f"# devices\nsensor:{KEY}\nurn:dev:7:{OTHER}\n")
    return file


def psk_only(keys: Path, **more: Any) -> dict[str, Any]:
    return {"ssl": True, "tls_psk_file": str(keys), **more}


@pytest.mark.threads(1, 2)
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(("identity", "key"), [("sensor", KEY), ("urn:dev:7", OTHER)])
async def test_a_key_without_any_certificate(
    keys: Path, version: str, identity: str, key: str
) -> None:
    async with serving(psk_only(keys)) as broker, device(broker, identity, key, version) as peer:
        await peer.exchange(connect("device"), CONNACK_ACCEPTED)
        await peer.exchange(PINGREQ, PINGRESP)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("identity", "key"), [("sensor", OTHER), ("Sensor", KEY), ("stranger", KEY), ("", KEY)]
)
async def test_a_wrong_key_or_identity(keys: Path, version: str, identity: str, key: str) -> None:
    async with serving(psk_only(keys)) as broker:
        async with device(broker, identity, key, version) as peer:
            with pytest.raises(asyncio.IncompleteReadError):
                await peer.exchange(connect("device"), CONNACK_ACCEPTED)
        await broker.log.wait_for("TLS handshake failed")


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_key_beside_certificates(trust: Trust, keys: Path, version: str) -> None:
    """Whoever has a key needs no certificate where others must have one."""
    options = psk_only(keys) | trust.listener() | {"tls_require_client_certificate": True}
    async with serving(options) as broker:
        async with device(broker, "sensor", KEY, version) as peer:
            await peer.exchange(connect("device"), CONNACK_ACCEPTED)
        files = ("-cert", trust.client.certfile, "-key", trust.client.keyfile)
        for more, admitted in ((files, True), ((), False)):
            done = await asyncio.to_thread(with_certificate, broker, version, *more)
            assert (done.stdout == CONNACK_ACCEPTED) == admitted, done.stderr


def with_certificate(
    broker: Serving, version: str, *options: str
) -> subprocess.CompletedProcess[bytes]:
    where = ("-connect", f"{broker.host}:{broker.port}", "-quiet", version)
    # DISCONNECT makes the broker close.
    return subprocess.run(
        ["openssl", "s_client", *where, *options], input=connect("device") + b"\xe0\x00",
        capture_output=True, timeout=LIMIT, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_session_with_a_key_resumes(keys: Path, tmp_path: Path, version: str) -> None:
    session = str(tmp_path / "session.pem")
    async with serving(psk_only(keys)) as broker:
        run = ["openssl", "s_client", "-connect", f"{broker.host}:{broker.port}", version]
        key = ["-psk_identity", "sensor", "-psk", KEY]
        # With TLS 1.3 the ticket is enough; a suite of TLS 1.2 is offered by who has the key.
        for options in (
            [*key, "-sess_out", session],
            [*(key if version == "-tls1_2" else []), "-sess_in", session],
        ):
            done = await asyncio.to_thread(
                subprocess.run, [*run, "-ign_eof", *options], input=connect("device") + b"\xe0\x00",
                capture_output=True, timeout=LIMIT, check=False,
            )  # fmt: skip
            assert CONNACK_ACCEPTED in done.stdout, done.stderr
        assert b"Reused, " in done.stdout


async def test_keys_that_change(keys: Path) -> None:
    async with serving(psk_only(keys)) as broker:
        async with device(broker, "new", OTHER) as peer:
            with pytest.raises(asyncio.IncompleteReadError):
                await peer.exchange(connect("device"), CONNACK_ACCEPTED)
        async with device(broker, "sensor", KEY) as old:
            await old.exchange(connect("old"), CONNACK_ACCEPTED)
            keys.write_text(f"new:{OTHER}\n")
            await broker.log.wait_for("uses the changed TLS files")
            async with device(broker, "new", OTHER) as peer:
                await peer.exchange(connect("device"), CONNACK_ACCEPTED)
            await old.exchange(PINGREQ, PINGRESP)


@pytest.mark.skipif(
    shutil.which("mosquitto_pub") is None, reason="not tested: mosquitto_pub is not installed"
)
@pytest.mark.parametrize("version", ["tlsv1.2", "tlsv1.3"])
@pytest.mark.parametrize(("key", "status"), [(KEY, 0), (OTHER, 8)])
async def test_mosquitto_pub(keys: Path, version: str, key: str, status: int) -> None:
    async with serving(psk_only(keys)) as broker:
        command = ["mosquitto_pub", "-h", broker.host, "-p", str(broker.port)]
        tls = ["--psk-identity", "sensor", "--psk", key, "--tls-version", version]
        done = await asyncio.to_thread(
            subprocess.run, [*command, *tls, "-q", "1", "-t", "a", "-m", "b"],
            capture_output=True, timeout=LIMIT, check=False,
        )  # fmt: skip
        assert (done.returncode == 0) == (status == 0), done.stderr


async def test_wrong_files(keys: Path) -> None:
    keys.write_text(f"sensor:{KEY}\nbroken\n")
    with pytest.raises(BrokerError, match=f"tls_psk_file '{keys}', line 2: expected identity:key"):
        async with serving(psk_only(keys)):
            pass
    keys.write_text("sensor:cafe\n")
    with pytest.raises(BrokerError, match="line 1: expected a key of 16 to"):
        async with serving(psk_only(keys)):
            pass
