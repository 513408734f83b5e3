"""A client of SCRAM, made from RFC 5802 without the library that the broker uses."""

import base64
import hashlib
import hmac
import os


class ScramClient:
    """Make the messages of a client, and check the server's."""

    def __init__(self, user: str, password: str, digest: str = "sha256", nonce: str = "") -> None:
        """Take who it is; a nonce may be given for examples."""
        self._password = password.encode()
        self._digest = digest
        self._bare = f"n={user},r={nonce or base64.b64encode(os.urandom(18)).decode()}"
        self._server_signature = b""

    def first(self) -> bytes:
        """Return client-first-message."""
        return f"n,,{self._bare}".encode()

    def final(self, server_first: bytes) -> bytes:
        """Return client-final-message."""
        text = server_first.decode()
        fields = dict(part.split("=", 1) for part in text.split(","))
        assert fields["r"].startswith(self._bare.rpartition("r=")[2])
        salt, iterations = base64.b64decode(fields["s"]), int(fields["i"])
        salted = hashlib.pbkdf2_hmac(self._digest, self._password, salt, iterations)
        client_key = hmac.digest(salted, b"Client Key", self._digest)
        stored_key = hashlib.new(self._digest, client_key).digest()
        without_proof = f"c=biws,r={fields['r']}"
        message = f"{self._bare},{text},{without_proof}".encode()
        signature = hmac.digest(stored_key, message, self._digest)
        proof = bytes(a ^ b for a, b in zip(client_key, signature, strict=True))
        server_key = hmac.digest(salted, b"Server Key", self._digest)
        self._server_signature = hmac.digest(server_key, message, self._digest)
        return f"{without_proof},p={base64.b64encode(proof).decode()}".encode()

    def check(self, server_final: bytes) -> None:
        """Require that the server knows the password too."""
        assert server_final == b"v=" + base64.b64encode(self._server_signature)
