"""Certificates for tests, made with the openssl command."""

import functools
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

_SERVER_EXTENSIONS = (
    "subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1\nextendedKeyUsage=serverAuth\n"
)
_CLIENT_EXTENSIONS = "extendedKeyUsage=clientAuth\n"


@dataclass(frozen=True)
class Certificate:
    """The files of a certificate and its key."""

    certfile: str
    keyfile: str


class Authority:
    """A certificate authority of a test's own."""

    def __init__(self, folder: Path, name: str) -> None:
        """Make the authority and keep its files in `folder`."""
        self._folder = folder
        self._name = name
        self._own = Certificate(str(folder / f"{name}.crt"), str(folder / f"{name}.key"))
        _openssl(
            *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"),
            *("-nodes", "-days", "2", "-subj", f"/CN={name}"),
            *("-keyout", self._own.keyfile, "-out", self._own.certfile),
        )

    @property
    def cafile(self) -> str:
        """Return the file that those who trust this authority need."""
        return self._own.certfile

    def server(self) -> Certificate:
        """Return a new certificate for localhost."""
        return self._issue("server", _SERVER_EXTENSIONS)

    def client(self, name: str) -> Certificate:
        """Return a new certificate for a client."""
        return self._issue(name, _CLIENT_EXTENSIONS)

    def _issue(self, name: str, extensions: str) -> Certificate:
        base = self._folder / f"{self._name}-{name}"
        issued = Certificate(f"{base}.crt", f"{base}.key")
        request, extension_file = f"{base}.csr", base.with_suffix(".ext")
        extension_file.write_text(extensions)
        _openssl(
            *("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
            *("-subj", f"/CN={name}", "-keyout", issued.keyfile, "-out", request),
        )
        _openssl(
            *("x509", "-req", "-days", "2", "-in", request, "-out", issued.certfile),
            *("-CA", self._own.certfile, "-CAkey", self._own.keyfile, "-CAcreateserial"),
            *("-extfile", str(extension_file)),
        )
        return issued


@functools.cache
def have_openssl() -> bool:
    """Return whether the command is there."""
    return shutil.which("openssl") is not None


def _openssl(*arguments: str) -> None:
    # A configuration of its own: that of the system may be missing.
    with tempfile.NamedTemporaryFile("w", suffix=".cnf") as config:
        config.write(
            "[req]\ndistinguished_name=dn\nx509_extensions=ca\n[dn]\n"
            "[ca]\nbasicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\n"
            "subjectKeyIdentifier=hash\n"
        )
        config.flush()
        more = ["-config", config.name] if arguments[0] == "req" else []
        done = subprocess.run(
            ["openssl", *arguments, *more], capture_output=True, text=True, check=False
        )
    assert done.returncode == 0, done.stderr
