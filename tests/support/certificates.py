"""Certificates for tests, made with the openssl command."""

import base64
import functools
import hashlib
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

_SERVER_NAMES = "DNS:localhost,IP:127.0.0.1,IP:::1"
_CLIENT_EXTENSIONS = "extendedKeyUsage=clientAuth\n"
_AUTHORITY_EXTENSIONS = (
    "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\n"
    "subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n"
)


@dataclass(frozen=True)
class Certificate:
    """The files of a certificate and its key."""

    certfile: str
    keyfile: str


class Authority:
    """A certificate authority of a test's own."""

    def __init__(self, folder: Path, name: str, own: Certificate | None = None) -> None:
        """Make a root authority and keep its files in `folder`; or use one that was made."""
        self._folder = folder
        self._name = name
        if own is not None:
            self._own = own
            return
        self._own = Certificate(str(folder / f"{name}.crt"), str(folder / f"{name}.key"))
        _openssl(
            *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"),
            *("-nodes", "-days", "2", "-subj", f"/CN={name}"),
            *("-keyout", self._own.keyfile, "-out", self._own.certfile),
        )

    def intermediate(self, name: str) -> "Authority":
        """Return a new authority whose certificate this one has issued."""
        return Authority(self._folder, name, self._issue(name, _AUTHORITY_EXTENSIONS))

    @property
    def own(self) -> Certificate:
        """Return the authority's certificate and key."""
        return self._own

    @property
    def cafile(self) -> str:
        """Return the file that those who trust this authority need."""
        return self._own.certfile

    def server(
        self, file: str = "server", names: str = _SERVER_NAMES, key: str = "ec", days: int = 2
    ) -> Certificate:
        """Return a new certificate for a server.

        ``file`` begins the names of its files, ``names`` are those of subjectAltName (none when
        empty), ``key`` is ``ec`` or ``rsa``; with negative ``days`` it has expired.
        """
        extensions = f"subjectAltName={names}\n" if names else ""
        return self._issue(file, f"{extensions}extendedKeyUsage=serverAuth\n", key, days)

    def client(self, name: str, days: int = 2) -> Certificate:
        """Return a new certificate for a client."""
        return self._issue(name, _CLIENT_EXTENSIONS, days=days)

    def revocations(self, *revoked: Certificate, expired: bool = False) -> str:
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
        now = datetime.now(timezone.utc)
        last, end = (f"{now - timedelta(days=ago):%y%m%d%H%M%SZ}" for ago in (3, 2))
        more = ("-crl_lastupdate", last, "-crl_nextupdate", end) if expired else ()
        _openssl("ca", *own, "-gencrl", *more, "-out", str(folder / "list.crl"))
        return str(folder / "list.crl")

    def _issue(self, name: str, extensions: str, key: str = "ec", days: int = 2) -> Certificate:
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
            *("x509", "-req", "-days", str(days), "-in", request, "-out", issued.certfile),
            *("-CA", self._own.certfile, "-CAkey", self._own.keyfile, "-CAcreateserial"),
            *("-extfile", str(extension_file)),
        )
        return issued


def joined(file: Path, *parts: str) -> str:
    """Write a file that has the contents of others, and return its path."""
    file.write_text("".join(Path(each).read_text() for each in parts))
    return str(file)


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
