"""Admission by X.509 certificates that carry a device's SPIFFE identifier, and making them.

The listener's TLS handshake proves that a certificate is of a trusted authority and that the client
has its key; the plugin looks at whose it is.
"""

from __future__ import annotations

import logging
import os
import tempfile
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from amqtt.plugins.base import BaseAuthPlugin

if TYPE_CHECKING:
    from cryptography.x509 import Certificate, CertificateSigningRequest

    from amqtt.session import Session

__all__ = [
    "CertificateAuthPlugin",
    "UserAuthCertPlugin",
    "device_uri",
    "generate_device_csr",
    "generate_root_creds",
    "generate_server_csr",
    "load_ca",
    "sign_csr",
    "write_key_and_crt",
]

UTC = timezone.utc

logger = logging.getLogger(__name__)

_ROOT_DAYS = 3650
_ROOT_KEY_BITS = 4096
_KEY_BITS = 2048
_PUBLIC_EXPONENT = 65537
_COUNTRY_LETTERS = 2


def device_uri(domain: str, device_id: str) -> str:
    """Return the SPIFFE identifier of a device.

    Args:
        domain: the trust domain, as `uri_domain` of the plugin.
        device_id: identifier of the device, which is its client identifier too.

    """
    return f"spiffe://{domain}/device/{device_id}"


class UserAuthCertPlugin(BaseAuthPlugin):
    """Admit clients whose certificate is of the device that their client identifier names."""

    @dataclass
    class Config:
        """The options.

        Attributes:
            uri_domain: the trust domain: certificates must have the URI
                `spiffe://<uri_domain>/device/<client identifier>` as the first one of their
                subject's alternative names.

        """

        uri_domain: str

    async def authenticate(self, *, session: Session) -> bool | None:
        """Compare the device that the certificate names with the client identifier.

        Args:
            session: the client's.

        Returns:
            Whether they are the same; False without TLS or without a certificate. Never None: a
            client with a wrong certificate is not left to other plugins.

        """
        problem = self._problem(session)
        if problem is None:
            self.peer_log.log(
                logging.DEBUG, "admitted devices", session.client_id,
                "Device '%s' is admitted", session.client_id,
            )  # fmt: skip
            return True
        self.peer_log.log(
            logging.INFO, "refused certificates", session.client_id,
            "Client '%s' is refused: %s", session.client_id, problem,
        )  # fmt: skip
        return False

    def _problem(self, session: Session) -> str | None:
        """Say why a client is not admitted; None when it is."""
        if session.ssl_object is None:
            return "its connection has no TLS"
        encoded = session.ssl_object.getpeercert(binary_form=True)
        if not encoded:
            return "it has shown no certificate of an authority that the listener trusts"
        try:
            uris = _uris_of(x509.load_der_x509_certificate(encoded))
        except x509.ExtensionNotFound:
            self.peer_log.log(
                logging.WARNING, "certificates without alternative names", session.client_id,
                "The certificate of client '%s' has no alternative names", session.client_id,
            )  # fmt: skip
            return "its certificate names no device"
        except ValueError as error:
            return f"its certificate cannot be read: {error}"
        if not uris:
            return "its certificate has no URI"
        prefix = device_uri(self.context.config.uri_domain, "")
        device_id = uris[0].removeprefix(prefix)
        if not uris[0].startswith(prefix) or not device_id or "/" in device_id:
            return f"its certificate is for '{uris[0]}', not for a device of '{prefix}'"
        if device_id != session.client_id:
            return f"its certificate is that of the device '{device_id}'"
        return None


class CertificateAuthPlugin(UserAuthCertPlugin):
    """The same by another name."""


def _uris_of(certificate: Certificate) -> list[str]:
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    return names.value.get_values_for_type(x509.UniformResourceIdentifier)


# -- making certificates


def _new_key(bits: int) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=_PUBLIC_EXPONENT, key_size=bits)


def _subject(**parts: str) -> x509.Name:
    """Make a distinguished name of what is given, by the names of `NameOID`."""
    if len(parts["COUNTRY_NAME"]) != _COUNTRY_LETTERS:
        msg = f"the country must be two letters, as 'DE', not '{parts['COUNTRY_NAME']}'"
        raise ValueError(msg)
    return x509.Name([x509.NameAttribute(getattr(NameOID, k), v) for k, v in parts.items()])


def _key_usage(**used: bool) -> x509.KeyUsage:
    every = (
        "digital_signature", "content_commitment", "key_encipherment", "data_encipherment",
        "key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
    )  # fmt: skip
    return x509.KeyUsage(**{name: used.get(name, False) for name in every})


def _builder(
    subject: x509.Name, issuer: x509.Name, key: rsa.RSAPublicKey, days: int
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=days))
    )


def generate_root_creds(
    country: str, state: str, locality: str, org_name: str, cn: str
) -> tuple[rsa.RSAPrivateKey, Certificate]:
    """Make the key and the certificate of a certification authority, valid for ten years.

    Args:
        country: two letters, as of ISO 3166.
        state: state or province.
        locality: town.
        org_name: organisation.
        cn: common name of the authority.

    Returns:
        Its RSA key of 4,096 bits, and its certificate, signed with that key.

    Raises:
        ValueError: a part cannot be in a certificate, as a country that has not two letters.

    """
    key = _new_key(_ROOT_KEY_BITS)
    name = _subject(
        COUNTRY_NAME=country,
        STATE_OR_PROVINCE_NAME=state,
        LOCALITY_NAME=locality,
        ORGANIZATION_NAME=org_name,
        COMMON_NAME=cn,
    )
    public = key.public_key()
    certificate = (
        _builder(name, name, public, _ROOT_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(_key_usage(key_cert_sign=True, crl_sign=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    return key, certificate


def _request(
    subject: x509.Name, names: list[x509.GeneralName]
) -> tuple[rsa.RSAPrivateKey, CertificateSigningRequest]:
    key = _new_key(_KEY_BITS)
    request = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(subject)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, hashes.SHA256())
    )
    return key, request


def generate_server_csr(
    country: str, org_name: str, cn: str
) -> tuple[rsa.RSAPrivateKey, CertificateSigningRequest]:
    """Make the key of a broker and the request for its certificate.

    Args:
        country: two letters, as of ISO 3166.
        org_name: organisation.
        cn: host name of the broker; clients may also call it 127.0.0.1.

    Returns:
        Its RSA key of 2,048 bits, and the request.

    Raises:
        ValueError: a part cannot be in a certificate.

    """
    subject = _subject(COUNTRY_NAME=country, ORGANIZATION_NAME=org_name, COMMON_NAME=cn)
    names = [x509.DNSName(cn), x509.IPAddress(ip_address("127.0.0.1"))]
    return _request(subject, names)


def generate_device_csr(
    country: str, org_name: str, common_name: str, uri_san: str, dns_san: str
) -> tuple[rsa.RSAPrivateKey, CertificateSigningRequest]:
    """Make the key of a device and the request for its certificate.

    Args:
        country: two letters, as of ISO 3166.
        org_name: organisation.
        common_name: identifier of the device.
        uri_san: its URI, as `device_uri()` returns it.
        dns_san: its host name.

    Returns:
        Its RSA key of 2,048 bits, and the request.

    Raises:
        ValueError: a part cannot be in a certificate.

    """
    subject = _subject(COUNTRY_NAME=country, ORGANIZATION_NAME=org_name, COMMON_NAME=common_name)
    return _request(subject, [x509.UniformResourceIdentifier(uri_san), x509.DNSName(dns_san)])


def sign_csr(
    csr: CertificateSigningRequest,
    ca_key: rsa.RSAPrivateKey,
    ca_cert: Certificate,
    validity_days: int = 365,
) -> Certificate:
    """Make the certificate that a request asks for.

    Args:
        csr: the request; of its extensions the alternative names are taken over.
        ca_key: key of the authority.
        ca_cert: its certificate.
        validity_days: how long the new one is valid, from now on.

    Returns:
        The certificate.

    Raises:
        ValueError: the request was not signed with the key that it is for, has no alternative
            names, or the key of the authority is not the one of its certificate.

    """
    if not csr.is_signature_valid:
        msg = "the request was not signed with its own key"
        raise ValueError(msg)
    if ca_key.public_key() != ca_cert.public_key():
        msg = "the key of the authority does not belong to its certificate"
        raise ValueError(msg)
    try:
        names = csr.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound as error:
        msg = "the request has no alternative names"
        raise ValueError(msg) from error
    public = csr.public_key()
    if not isinstance(public, rsa.RSAPublicKey):
        msg = "the request is not for an RSA key"
        raise ValueError(msg)
    usage = _key_usage(digital_signature=True, key_encipherment=True)
    return (
        _builder(csr.subject, ca_cert.subject, public, validity_days)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(names.value, critical=names.critical)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()),
            critical=False,
        )
        .sign(ca_key, hashes.SHA256())
    )


# -- files


def load_ca(ca_key_fn: str, ca_crt_fn: str) -> tuple[rsa.RSAPrivateKey, Certificate]:
    """Read the key and the certificate of an authority.

    Args:
        ca_key_fn: file of the key, PEM without a password.
        ca_crt_fn: file of the certificate, PEM.

    Returns:
        Key and certificate.

    Raises:
        OSError: a file cannot be read.
        ValueError: a file has no RSA key, or no certificate.

    """
    try:
        key = serialization.load_pem_private_key(Path(ca_key_fn).read_bytes(), password=None)
    except (TypeError, ValueError) as error:
        msg = f"'{ca_key_fn}' has no private key without a password, in PEM"
        raise ValueError(msg) from error
    if not isinstance(key, rsa.RSAPrivateKey):
        msg = f"'{ca_key_fn}' has no RSA key"
        raise ValueError(msg)
    try:
        return key, x509.load_pem_x509_certificate(Path(ca_crt_fn).read_bytes())
    except ValueError as error:
        msg = f"'{ca_crt_fn}' has no certificate in PEM"
        raise ValueError(msg) from error


def write_key_and_crt(
    key: rsa.RSAPrivateKey, crt: Certificate, prefix: str, path: Path | None = None
) -> None:
    """Write a key and its certificate to `<prefix>.key` and `<prefix>.crt`, in place of others.

    Only the owner may read the key. A file is there as a whole or not at all.

    Args:
        key: the key; it is written in the form of PKCS#1, without a password.
        crt: its certificate.
        prefix: what the names of the files begin with.
        path: their folder; None means the working directory.

    Raises:
        OSError: a file cannot be written.

    """
    folder = path or Path()
    encoded = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    _write(folder / f"{prefix}.key", encoded, 0o600)
    _write(folder / f"{prefix}.crt", crt.public_bytes(serialization.Encoding.PEM), 0o644)


def _write(path: Path, content: bytes, mode: int) -> None:
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, mode)
            file.write(content)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
