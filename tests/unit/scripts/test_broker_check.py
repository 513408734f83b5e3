"""What `amqtt --check` looks at beyond the configuration itself: files of TLS and host names."""

from __future__ import annotations

import logging
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.certificates import Authority, Certificate, have_openssl, joined
from typer.testing import CliRunner

from amqtt.broker import Broker
from amqtt.errors import BrokerError
from amqtt.scripts import broker_script

needs_openssl = pytest.mark.skipif(not have_openssl(), reason="the command openssl is missing")


class Checked:
    """How a check has ended."""

    def __init__(self, folder: Path, listener: dict[str, Any]) -> None:
        file = folder / "broker.yaml"
        config = {"listeners": {"default": {"bind": "127.0.0.1:0", **listener}}, "plugins": {}}
        file.write_text(yaml.safe_dump(config))
        result = CliRunner().invoke(broker_script.app, ["--check", "-c", str(file)])
        self.code = result.exit_code
        self.error = result.stderr
        assert (result.stdout == f"{file}: ok\n") == (self.code == 0)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("check"), "root")


@pytest.fixture(scope="module")
def server(authority: Authority) -> Certificate:
    return authority.server()


def tls(own: Certificate, **more: str) -> dict[str, Any]:
    return {"ssl": True, "certfile": own.certfile, "keyfile": own.keyfile, **more}


@pytest.fixture
def warnings(caplog: pytest.LogCaptureFixture) -> Any:
    return lambda: [each.getMessage() for each in caplog.records if each.levelno >= logging.WARNING]


@needs_openssl
def test_files_that_can_be_used(
    authority: Authority, server: Certificate, tmp_path: Path, warnings: Any
) -> None:
    lists = authority.revocations()
    assert Checked(tmp_path, tls(server, cafile=authority.cafile, crlfile=lists)).code == 0
    assert Checked(tmp_path, tls(authority.own)).code == 0  # its own authority
    assert warnings() == []


@needs_openssl
@pytest.mark.parametrize("name", ["certfile", "keyfile", "cafile", "crlfile", "tls_psk_file"])
def test_files_that_cannot_be_used(name: str, server: Certificate, tmp_path: Path) -> None:
    junk = tmp_path / "junk"
    junk.write_text("nothing of the kind")
    checked = Checked(tmp_path, {**tls(server), name: str(junk)})
    assert checked.code == 1
    assert f"❌ Broker failed to start: listener 'default': {name} '{junk}'" in checked.error


@needs_openssl
def test_other_options_that_cannot_be_used(
    authority: Authority, server: Certificate, tmp_path: Path
) -> None:
    swapped = Certificate(server.certfile, authority.own.keyfile)
    assert "is not the key of certfile" in Checked(tmp_path, tls(swapped)).error
    assert "tls_ciphers 'NOPE'" in Checked(tmp_path, tls(server, tls_ciphers="NOPE")).error


@needs_openssl
@pytest.mark.parametrize("form", ["pkcs8", "ec"])
async def test_an_encrypted_key(form: str, server: Certificate, tmp_path: Path) -> None:
    key = tmp_path / "locked.key"
    how = ("pkcs8", "-topk8", "-passout") if form == "pkcs8" else ("ec", "-aes128", "-passout")
    command = ["openssl", *how, "pass:secret", "-in", server.keyfile, "-out", str(key)]
    subprocess.run(command, check=True, capture_output=True)
    assert "ENCRYPTED" in key.read_text()
    listener = tls(Certificate(server.certfile, str(key)))
    with pytest.raises(BrokerError) as caught:
        await Broker({"listeners": {"default": {"bind": "127.0.0.1:0", **listener}}}).start()
    assert f"keyfile '{key}' is encrypted with a password, which cannot be given here" in str(
        caught.value
    )


@needs_openssl
def test_an_expired_certificate(authority: Authority, tmp_path: Path, warnings: Any) -> None:
    old = authority.server("old", days=-1)
    assert Checked(tmp_path, tls(old, cafile=authority.cafile)).code == 0
    (found,) = warnings()
    assert found.startswith(
        f"listener 'default': certfile '{old.certfile}': the certificate of 'CN=old' expired on "
    )
    warnings_before = len(warnings())
    lists = authority.revocations(expired=True)
    assert Checked(tmp_path, tls(authority.own, crlfile=lists)).code == 0
    (found,) = warnings()[warnings_before:]
    assert f"crlfile '{lists}': the list of 'CN=root' expired on " in found


@needs_openssl
def test_a_chain_that_cannot_be_completed(
    authority: Authority, tmp_path: Path, warnings: Any
) -> None:
    between = authority.intermediate("between")
    leaf = between.server("leaf")
    complete = joined(tmp_path / "complete.crt", leaf.certfile, between.cafile)
    both = joined(tmp_path / "both.crt", between.cafile, authority.cafile)
    root = authority.cafile
    assert Checked(tmp_path, tls(Certificate(complete, leaf.keyfile), cafile=root)).code == 0
    assert Checked(tmp_path, tls(leaf, cafile=both)).code == 0
    assert warnings() == []
    assert Checked(tmp_path, tls(leaf, cafile=root)).code == 0
    (found,) = warnings()
    assert found.startswith(
        f"listener 'default': certfile '{leaf.certfile}': no certificate of 'CN=between', which has"
        " issued that of 'CN=leaf', is in this file or among the authorities"
    )


# Without a question to a name server: no host name has a space.
@pytest.mark.parametrize("bind", ["no host:1883", f"{'x' * 70}:1883"])
def test_a_host_that_is_unknown(bind: str, tmp_path: Path) -> None:
    checked = Checked(tmp_path, {"bind": bind})
    assert checked.code == 1
    assert f"listener 'default' cannot bind to {bind}: " in checked.error
    assert "not permitted" not in checked.error


async def test_a_host_that_is_unknown_at_the_start() -> None:
    broker = Broker({"listeners": {"default": {"bind": "no host:1883"}}})
    with pytest.raises(BrokerError, match=r"cannot bind to no host:1883") as caught:
        await broker.start()
    assert "Host not found" in str(caught.value)
    assert "not permitted" not in str(caught.value)


def test_a_folder_that_is_not_there(tmp_path: Path, warnings: Any) -> None:
    assert Checked(tmp_path, {"bind": f"unix:{tmp_path}/socket"}).code == 0
    assert warnings() == []
    assert Checked(tmp_path, {"bind": f"unix:{tmp_path}/none/socket"}).code == 0
    (found,) = warnings()
    assert found == f"listener 'default': there is no folder {tmp_path}/none for its socket"


@pytest.mark.parametrize("bind", ["127.0.0.1:1883", "[::1]:1883", "[::1%251]:1883", ":1883"])
def test_addresses(bind: str, tmp_path: Path) -> None:
    assert Checked(tmp_path, {"bind": bind}).code == 0
