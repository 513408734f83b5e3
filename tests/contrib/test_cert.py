"""Certificates of devices: the commands that make them, and the plugin that admits by them."""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import shutil
import stat
import subprocess
import sys
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from support.embedded import port_of, until

from amqtt.broker import Broker
from amqtt.client import ConnectError, MQTTClient
from amqtt.contexts import BaseContext
from amqtt.contrib import cert
from amqtt.scripts.ca_creds import ca_creds
from amqtt.scripts.device_creds import device_creds
from amqtt.scripts.server_creds import server_creds
from amqtt.session import Session

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "authenticate-with-certificates.md"
DOMAIN = "test.example.org"
PLUGIN = "amqtt.contrib.cert.CertificateAuthPlugin"
LIMIT = 20.0


@dataclass(frozen=True)
class Pki:
    """The files of an authority, a broker and a device."""

    folder: Path

    def path(self, name: str) -> str:
        return str(self.folder / name)

    def sign(self, prefix: str, uri: str, device: str = "mydeviceid") -> None:
        """Write another certificate for a device."""
        ca_key, ca_cert = cert.load_ca(self.path("ca.key"), self.path("ca.crt"))
        key, request = cert.generate_device_csr("US", "Example", device, uri, f"{device}.local")
        cert.write_key_and_crt(key, cert.sign_csr(request, ca_key, ca_cert), prefix, self.folder)


def make_pki(folder: Path) -> Pki:
    folder.mkdir(exist_ok=True)
    ca_creds(
        country="US", state="New York", locality="Albany", org_name="Example",
        cn="Example devices", output_dir=str(folder),
    )  # fmt: skip
    ca = {"ca_key_fn": str(folder / "ca.key"), "ca_crt_fn": str(folder / "ca.crt")}
    server_creds(country="US", org_name="Example", cn="localhost", output_dir=str(folder), **ca)
    device_creds(
        country="US", org_name="Example", device_id="mydeviceid", uri=DOMAIN,
        output_dir=str(folder), **ca,
    )  # fmt: skip
    return Pki(folder)


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return make_pki(tmp_path_factory.mktemp("pki"))


def config_of(pki: Pki, **more: Any) -> dict[str, Any]:
    listener = {
        "bind": "127.0.0.1:0", "ssl": True, "cafile": pki.path("ca.crt"),
        "certfile": pki.path("server.crt"), "keyfile": pki.path("server.key"), **more,
    }  # fmt: skip
    return {"listeners": {"default": listener}, "plugins": {PLUGIN: {"uri_domain": DOMAIN}}}


async def connect(broker: Broker, pki: Pki, client_id: str, files: str | None) -> MQTTClient:
    connection = {"cafile": pki.path("ca.crt")}
    if files is not None:
        connection |= {"certfile": pki.path(f"{files}.crt"), "keyfile": pki.path(f"{files}.key")}
    client = MQTTClient(client_id, {"connection": connection, "auto_reconnect": False})
    await asyncio.wait_for(client.connect(f"mqtts://127.0.0.1:{port_of(broker)}"), LIMIT)
    return client


# -- what the commands make


def test_authority(pki: Pki) -> None:
    key, made = cert.load_ca(pki.path("ca.key"), pki.path("ca.crt"))
    assert key.key_size == 4096
    assert made.subject.rfc4514_string() == (
        "CN=Example devices,O=Example,L=Albany,ST=New York,C=US"
    )
    assert made.issuer == made.subject
    assert made.not_valid_after_utc - made.not_valid_before_utc == timedelta(days=3650)
    limits = made.extensions.get_extension_for_class(x509.BasicConstraints)
    assert limits.critical
    assert limits.value.ca
    usage = made.extensions.get_extension_for_class(x509.KeyUsage)
    assert usage.critical
    assert usage.value.key_cert_sign
    assert usage.value.crl_sign
    assert not usage.value.digital_signature
    assert made.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)


def test_certificates_as_openssl_sees_them(pki: Pki) -> None:
    def openssl(*arguments: str) -> str:
        return subprocess.run(
            ["openssl", *arguments], capture_output=True, text=True, check=True
        ).stdout

    device = openssl("x509", "-noout", "-text", "-in", pki.path("mydeviceid.crt"))
    assert f"URI:spiffe://{DOMAIN}/device/mydeviceid, DNS:mydeviceid.local" in device
    assert "C = US, O = Example, CN = mydeviceid" in device
    assert "sha256WithRSAEncryption" in device
    assert "(2048 bit)" in device
    assert "CA:FALSE" in device
    assert "Digital Signature, Key Encipherment" in device
    server = openssl("x509", "-noout", "-text", "-in", pki.path("server.crt"))
    assert "DNS:localhost, IP Address:127.0.0.1" in server
    files = [pki.path("server.crt"), pki.path("mydeviceid.crt")]
    assert openssl("verify", "-CAfile", pki.path("ca.crt"), *files).count(": OK") == 2
    serials = {x509.load_pem_x509_certificate(Path(f).read_bytes()).serial_number for f in files}
    assert len(serials) == 2


def test_only_the_owner_reads_keys(pki: Pki) -> None:
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in pki.folder.iterdir()}
    assert {modes[f"{name}.key"] for name in ("ca", "server", "mydeviceid")} == {0o600}
    assert Path(pki.path("ca.key")).read_text().startswith("-----BEGIN RSA PRIVATE KEY-----")


def run(command: str, *arguments: str, cwd: Path, answer: str = "") -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", f"amqtt.scripts.{command}", *arguments],
        cwd=cwd, input=answer, capture_output=True, text=True, timeout=60,
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
    )  # fmt: skip
    return done.returncode, done.stderr


SERVER = ("--country", "US", "--org-name", "Example", "--cn", "localhost")


def test_nothing_is_replaced_unasked(tmp_path: Path, pki: Pki) -> None:
    for name in ("ca.key", "ca.crt"):
        shutil.copy(pki.path(name), tmp_path)
    (tmp_path / "server.crt").write_text("mine")
    status, said = run("server_creds", *SERVER, cwd=tmp_path)
    assert status == 1
    assert "server.crt would be replaced" in said
    assert (tmp_path / "server.crt").read_text() == "mine"
    assert not (tmp_path / "server.key").exists()
    assert run("server_creds", *SERVER, "--force", cwd=tmp_path)[0] == 0
    assert x509.load_pem_x509_certificate((tmp_path / "server.crt").read_bytes())


@pytest.mark.parametrize(
    ("command", "arguments", "reason"),
    [
        ("server_creds", SERVER, "ca.key"),
        ("server_creds", (*SERVER, "--ca-key", "other.txt"), "no private key"),
        ("server_creds", (*SERVER, "--output-dir", "nowhere"), "ca.key"),
        (
            "ca_creds",
            ("--country", "USA", "--state", "s", "--locality", "l", *SERVER[2:]),
            "two letters",
        ),
    ],
)
def test_a_command_says_what_is_wrong(
    command: str, arguments: tuple[str, ...], reason: str, tmp_path: Path
) -> None:
    (tmp_path / "other.txt").write_text("no key")
    status, said = run(command, *arguments, cwd=tmp_path)
    assert status == 1
    assert reason in said
    assert "Traceback" not in said
    assert [path.name for path in tmp_path.iterdir()] == ["other.txt"]


def test_missing_option(tmp_path: Path) -> None:
    assert run("device_creds", "--country", "US", cwd=tmp_path)[0] == 2


def test_device_names_no_other_folder(pki: Pki, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cannot begin the name of a file"):
        device_creds(
            country="US", org_name="Example", device_id="../up", uri=DOMAIN,
            output_dir=str(tmp_path), ca_key_fn=pki.path("ca.key"), ca_crt_fn=pki.path("ca.crt"),
        )  # fmt: skip


def test_key_of_another_authority(pki: Pki) -> None:
    other_key, _ = cert.generate_root_creds("US", "s", "l", "o", "other")
    _, ca_cert = cert.load_ca(pki.path("ca.key"), pki.path("ca.crt"))
    _, request = cert.generate_server_csr("US", "Example", "localhost")
    with pytest.raises(ValueError, match="does not belong"):
        cert.sign_csr(request, other_key, ca_cert)


# -- who is admitted


class _Shown:
    """What a connection has shown, in the place of an `ssl.SSLObject`."""

    def __init__(self, certificate: bytes | None) -> None:
        self._certificate = certificate

    def getpeercert(self, binary_form: bool = False) -> bytes | None:
        assert binary_form
        return self._certificate


def der_of(path: str) -> bytes:
    made = x509.load_pem_x509_certificate(Path(path).read_bytes())
    return made.public_bytes(serialization.Encoding.DER)


async def decide(shown: _Shown | None, client_id: str = "mydeviceid") -> bool | None:
    context = BaseContext()
    context.config = cert.UserAuthCertPlugin.Config(uri_domain=DOMAIN)
    session = Session()
    session.client_id = client_id
    session.ssl_object = shown
    return await cert.UserAuthCertPlugin(context).authenticate(session=session)


async def test_decisions_without_a_handshake(pki: Pki) -> None:
    assert await decide(None) is False
    assert await decide(_Shown(None)) is False
    assert await decide(_Shown(b"")) is False
    assert await decide(_Shown(b"nonsense")) is False
    assert await decide(_Shown(der_of(pki.path("ca.crt")))) is False  # no alternative names
    assert await decide(_Shown(der_of(pki.path("server.crt")))) is False  # no URI
    own = _Shown(der_of(pki.path("mydeviceid.crt")))
    assert await decide(own) is True
    assert await decide(own, "another") is False


@pytest.mark.parametrize(
    "uri",
    [
        f"spiffe://{DOMAIN}.evil.example/device/mydeviceid",
        f"spiffe://{DOMAIN}/device/",
        f"spiffe://{DOMAIN}/device/x/mydeviceid",
        f"spiffe://{DOMAIN}/user/mydeviceid",
        f"https://{DOMAIN}/device/mydeviceid",
    ],
)
async def test_uri_of_something_else(pki: Pki, uri: str) -> None:
    pki.sign("odd", uri)
    shown = _Shown(der_of(pki.path("odd.crt")))
    assert await decide(shown) is False
    assert await decide(shown, "") is False


async def test_a_device_gets_in_under_its_own_name_only(
    pki: Pki, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    async with Broker(config_of(pki)) as broker:
        client = await connect(broker, pki, "mydeviceid", "mydeviceid")
        await client.publish("a", b"x", qos=1)
        await client.disconnect()
        for client_id, files, reason in [
            ("another", "mydeviceid", "is that of the device 'mydeviceid'"),
            ("mydeviceid", None, "no certificate"),
        ]:
            with pytest.raises(ConnectError) as refused:
                await connect(broker, pki, client_id, files)
            assert refused.value.return_code == 5
            assert reason in caplog.text


async def test_wrong_domain(pki: Pki, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    pki.sign("elsewhere", "spiffe://elsewhere.example/device/mydeviceid")
    async with Broker(config_of(pki)) as broker:
        with pytest.raises(ConnectError):
            await connect(broker, pki, "mydeviceid", "elsewhere")
    assert "spiffe://elsewhere.example/device/mydeviceid" in caplog.text


def _expired(pki: Pki, monkeypatch: pytest.MonkeyPatch) -> None:
    class Earlier(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return datetime.now(tz) - timedelta(days=400)

    monkeypatch.setattr(cert, "datetime", Earlier)
    pki.sign("expired", cert.device_uri(DOMAIN, "mydeviceid"))
    monkeypatch.undo()


def _revoke(pki: Pki, prefix: str) -> str:
    ca_key, ca_cert = cert.load_ca(pki.path("ca.key"), pki.path("ca.crt"))
    gone = x509.load_pem_x509_certificate(Path(pki.path(f"{prefix}.crt")).read_bytes())
    now = datetime.now(cert.UTC)
    entry = x509.RevokedCertificateBuilder().serial_number(gone.serial_number)
    entry = entry.revocation_date(now)
    revoked = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(ca_cert.subject)
        .last_update(now - timedelta(minutes=1))
        .next_update(now + timedelta(days=1))
        .add_revoked_certificate(entry.build())
        .sign(ca_key, hashes.SHA256())
    )
    path = pki.path("list.crl")
    Path(path).write_bytes(revoked.public_bytes(serialization.Encoding.PEM))
    return path


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ("expired", "certificate has expired"),
        ("stranger", "unable to get local issuer certificate"),
        ("self", "self-signed certificate"),
        ("revoked", "certificate revoked"),
    ],
)
async def test_what_the_handshake_refuses(
    files: str,
    reason: str,
    pki: Pki,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    more = {}
    if files == "expired":
        _expired(pki, monkeypatch)
    elif files == "stranger":
        stranger = make_pki(tmp_path / "stranger")
        for suffix in ("key", "crt"):
            shutil.copy(stranger.path(f"mydeviceid.{suffix}"), pki.path(f"stranger.{suffix}"))
    elif files == "self":
        cert.write_key_and_crt(
            *cert.generate_root_creds("US", "s", "l", "o", "mydeviceid"), "self", pki.folder
        )
    else:
        pki.sign("revoked", cert.device_uri(DOMAIN, "mydeviceid"))
        more["crlfile"] = _revoke(pki, "revoked")
    async with Broker(config_of(pki, **more)) as broker:
        with pytest.raises(ConnectError):
            await connect(broker, pki, "mydeviceid", files)
        await until(lambda: reason in caplog.text)
        await (await connect(broker, pki, "mydeviceid", "mydeviceid")).disconnect()


# -- the page


def block(language: str) -> str:
    found = re.search(rf"^```{language}\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert found
    return found[1]


async def test_the_page_works_word_for_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for line in block("sh").splitlines():
        command, *arguments = shlex.split(line)
        status, said = await asyncio.to_thread(run, command, *arguments, cwd=tmp_path)
        assert status == 0, said
    monkeypatch.chdir(tmp_path)
    config = yaml.safe_load(block("yaml"))
    assert config["listeners"]["default"]["bind"] == "127.0.0.1:8883"
    config["listeners"]["default"]["bind"] = "127.0.0.1:0"
    async with Broker(config) as broker:
        port = str(port_of(broker))
        async with broker.subscribe("devices/#") as messages:
            program = block("python").replace("8883", port)
            done = await command_of([sys.executable, "-c", program])
            await check_message(messages)
            for line in block("console").replace("8883", port).splitlines():
                done = await command_of(shlex.split(line))
            await check_message(messages)
            assert done.stdout == "21.5\n"  # of mosquitto_sub
            openssl = block("text").replace("8883", port)
            assert "Verify return code: 0 (ok)" in (await command_of(shlex.split(openssl))).stdout


async def command_of(arguments: list[str]) -> subprocess.CompletedProcess[str]:
    done = await asyncio.to_thread(
        subprocess.run, arguments, stdin=subprocess.DEVNULL, capture_output=True,
        text=True, timeout=LIMIT,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done


async def check_message(messages: Any) -> None:
    message = await asyncio.wait_for(anext_of(messages), LIMIT)
    assert (message.topic, bytes(message.data)) == ("devices/mydeviceid/temperature", b"21.5")


async def anext_of(messages: Any) -> Any:
    return await messages.__anext__()
