"""Certificates for tests, made with the openssl command."""

import base64
import functools
import hashlib
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

_SERVER_NAMES = "DNS:localhost,IP:127.0.0.1,IP:::1"
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

    def server(
        self, file: str = "server", names: str = _SERVER_NAMES, key: str = "ec"
    ) -> Certificate:
        """Return a new certificate for a server.

        ``file`` begins the names of its files, ``names`` are those of subjectAltName (none when
        empty), ``key`` is ``ec`` or ``rsa``.
        """
        extensions = f"subjectAltName={names}\n" if names else ""
        return self._issue(file, f"{extensions}extendedKeyUsage=serverAuth\n", key)

    def client(self, name: str) -> Certificate:
        """Return a new certificate for a client."""
        return self._issue(name, _CLIENT_EXTENSIONS)

    def revocations(self, *revoked: Certificate) -> str:
        """Return a file with the authority's list of revoked certificates, a new one each time."""
        folder = Path(tempfile.mkdtemp(dir=self._folder))
        (folder / "index").touch()
        config = folder / "ca.cnf"
        config.write_text(
            "[ca]\ndefault_ca=all\n[all]\ndefault_md=sha256\ndefault_crl_days=2\n"
            f"database={folder}/index\n"
        )
        own = ("-config", str(config), "-cert", self._own.certfile, "-keyfile", self._own.keyfile)
        for each in revoked:
            _openssl("ca", *own, "-revoke", each.certfile)
        _openssl("ca", *own, "-gencrl", "-out", str(folder / "list.crl"))
        return str(folder / "list.crl")

    def _issue(self, name: str, extensions: str, key: str = "ec") -> Certificate:
        base = self._folder / f"{self._name}-{name}"
        issued = Certificate(f"{base}.crt", f"{base}.key")
        request, extension_file = f"{base}.csr", base.with_suffix(".ext")
        extension_file.write_text(extensions)
        kind = {
            "ec": ("ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"),
            "rsa": ("rsa", "-pkeyopt", "rsa_keygen_bits:2048"),
        }
        _openssl(
            *("req", "-newkey", *kind[key], "-nodes"),
            *("-subj", f"/CN={name}", "-keyout", issued.keyfile, "-out", request),
        )
        _openssl(
            *("x509", "-req", "-days", "2", "-in", request, "-out", issued.certfile),
            *("-CA", self._own.certfile, "-CAkey", self._own.keyfile, "-CAcreateserial"),
            *("-extfile", str(extension_file)),
        )
        return issued


def public_key_hash(certificate: Certificate) -> str:
    """Return the SHA-256 of the certificate's public key (SubjectPublicKeyInfo) in base64."""
    text = _openssl("x509", "-in", certificate.certfile, "-pubkey", "-noout")
    body = "".join(line for line in text.splitlines() if not line.startswith("-"))
    return base64.b64encode(hashlib.sha256(base64.b64decode(body)).digest()).decode()


@functools.cache
def have_openssl() -> bool:
    """Return whether the command is there."""
    return shutil.which("openssl") is not None


def _openssl(*arguments: str) -> str:
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
    return done.stdout
