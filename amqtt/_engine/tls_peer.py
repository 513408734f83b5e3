"""What is known of the other side of an encrypted connection."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any


class TlsPeer:
    """Tell what the handshake of TLS has proven, in the terms of `ssl.SSLObject`.

    Args:
        certificate: the verified certificate of the client in DER; empty means none.
        psk_identity: identity of its pre-shared key; empty means none.
        version: version of TLS, such as `TLSv1.3`.
        cipher: OpenSSL's name of the cipher suite.

    """

    def __init__(self, certificate: bytes, psk_identity: str, version: str, cipher: str) -> None:
        """Remember what was proven."""
        self._certificate = certificate
        self._contents: dict[str, Any] | None = None
        self._version = version
        self._cipher = cipher
        self.psk_identity = psk_identity or None

    def getpeercert(self, binary_form: bool = False) -> bytes | dict[str, Any] | None:
        """Return the certificate of the client, or None when it has none.

        Args:
            binary_form: give it in DER, and not its contents by name.

        Raises:
            NotImplementedError: this interpreter cannot take it apart; ask for DER.

        """
        if not self._certificate:
            return None
        if binary_form:
            return self._certificate
        if self._contents is None:
            self._contents = _contents_of(self._certificate)
        return self._contents

    def version(self) -> str:
        """Return the version of TLS."""
        return self._version

    def cipher(self) -> tuple[str, str, int | None]:
        """Return the name of the cipher suite, the version of TLS, and no number of bits."""
        return self._cipher, self._version, None


def _contents_of(certificate: bytes) -> dict[str, Any]:
    """Take a certificate in DER apart as `ssl.SSLObject.getpeercert` does."""
    # CPython has this for files only.
    decode = getattr(getattr(ssl, "_ssl", None), "_test_decode_cert", None)
    if decode is None:
        msg = "this interpreter cannot take a certificate apart: ask for it with binary_form=True"
        raise NotImplementedError(msg)
    import tempfile  # seldom needed

    with tempfile.TemporaryDirectory(prefix="amqtt-") as folder:
        file = Path(folder) / "certificate.pem"
        file.write_text(ssl.DER_cert_to_PEM_cert(certificate), encoding="ascii")
        contents: dict[str, Any] = decode(str(file))
    return contents
