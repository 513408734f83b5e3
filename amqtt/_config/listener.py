"""The configuration of a listener of the broker."""

from __future__ import annotations

import dataclasses
import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from amqtt._compat import StrEnum
from amqtt._config.dictable import Dictable
from amqtt._config.hydrate import ConfigValueError, describe_value
from amqtt._config.limits import ListenerLimitsConfig


class ListenerType(StrEnum):
    """How connections reach the broker."""

    TCP = "tcp"
    WS = "ws"
    EXTERNAL = "external"

    def __repr__(self) -> str:
        """Show the value in double quotes."""
        return f'"{self.value}"'


@dataclass
class CertificateConfig(Dictable):
    """Name one of several certificates of a listener.

    Attributes:
        certfile: file with the certificate, and those of its authorities as for a listener.
        keyfile: file with the key of that certificate.
        hostnames: the host names that it is for, `*.` in front standing for one label; None means
            those in the certificate.

    Raises:
        FileNotFoundError: a file does not exist.
        ValueError: `hostnames` is empty or has a name that is none.

    """

    certfile: str | Path
    keyfile: str | Path
    hostnames: list[str] | None = None

    def __post_init__(self) -> None:
        """Check the files and the names."""
        _check_paths(self, "certfile", "keyfile")
        if self.hostnames is None:
            return
        for name in self.hostnames or [""]:
            if not re.fullmatch(r"(\*\.)?[^\s.*:/]+(\.[^\s.*:/]+)*\.?", name):
                raise ConfigValueError(
                    "hostnames", f"expected host names, found {describe_value(name)}"
                )


@dataclass
class ListenerConfig(Dictable):
    """Describe one listener of a broker.

    Attributes:
        type: `tcp`, `ws`, or `external` for connections that the application hands in by
            `Broker.external_connected`.
        bind: `host:port`, or `unix:` and the path of a Unix socket; None leaves the listener out.
        max_connections: 0 or less means no limit.
        ssl: whether connections use TLS.
        cafile: file with the certificates that client certificates are checked against; without
            it, `capath` and `cadata` those of the system.
        capath: folder with such certificates.
        cadata: such certificates in PEM form.
        crlfile: file with the lists of certificates that are revoked, which those of clients and of
            their authorities are looked up in.
        certfile: file with the certificate of the broker, and those of the authorities between it
            and the root behind it; what is missing is taken from `cafile`, `capath` and `cadata`.
        keyfile: file with the key of that certificate.
        reader: unused.
        writer: unused.
        tls_min_version: oldest version of TLS that is accepted, `1.2` or `1.3`.
        tls_ciphers: cipher suites by their OpenSSL names, separated by colons; None means
            OpenSSL's choice.
        tls_groups: groups of the key exchange by their OpenSSL names, separated by colons; None
            means OpenSSL's choice.
        tls_certificates: more certificates, for clients that ask for one of their host names.
        tls_psk_file: file with pre-shared keys, for clients without certificates; a line for
            each, `identity:key`, the key in hexadecimal.
        tls_psk_plugins: whether plugins are asked for the keys of clients that the file does not
            have; see `psk_key` of `BaseAuthPlugin`.
        tls_require_client_certificate: whether clients must have a certificate; one with a
            pre-shared key needs none. Otherwise they are asked for one, which is checked; over
            WebSocket only where `cafile`, `capath` or `cadata` is given.
        ws_path: the only path that WebSocket connections may ask for; None means any.
        ws_origins: the web origins, such as `https://example.com`, whose pages may connect; None
            means any. Clients other than web browsers send no origin and may connect.
        unix_mode: permissions of the Unix socket in octal, such as `0660`; None means those that
            the process's umask leaves.
        proxy_protocol: whether connections come through a proxy that tells by the PROXY protocol,
            version 1 or 2, whom they come from.
        proxy_trusted: addresses and networks of the proxies; nobody else may connect then. Not
            for Unix sockets, whose permissions say who may connect.
        limits: what its clients may do, where that differs from the broker's limits.

    Raises:
        ValueError: only one of `certfile` and `keyfile` is given, `proxy_trusted` is missing, or
            another value is not one of those above.
        FileNotFoundError: a file or folder does not exist.

    """

    type: ListenerType = ListenerType.TCP
    bind: str | None = "0.0.0.0:1883"
    max_connections: int = 0
    ssl: bool = False
    cafile: str | Path | None = None
    capath: str | Path | None = None
    cadata: str | Path | None = None
    certfile: str | Path | None = None
    keyfile: str | Path | None = None
    reader: str | None = None
    writer: str | None = None
    crlfile: str | Path | None = None
    tls_min_version: str | float = "1.2"
    tls_ciphers: str | None = None
    tls_groups: str | None = None
    tls_certificates: list[CertificateConfig] | None = None
    tls_psk_file: str | Path | None = None
    tls_psk_plugins: bool = False
    tls_require_client_certificate: bool = False
    ws_path: str | None = None
    ws_origins: list[str] | None = None
    unix_mode: str | None = None
    proxy_protocol: bool = False
    proxy_trusted: list[str] | None = None
    limits: ListenerLimitsConfig | None = None

    def __post_init__(self) -> None:
        """Check the files and the values."""
        if bool(self.certfile) != bool(self.keyfile):
            msg = "If specifying the 'certfile' or 'keyfile', both are required."
            raise ValueError(msg)
        _check_paths(self, "cafile", "capath", "certfile", "keyfile", "crlfile", "tls_psk_file")
        self.tls_min_version = str(self.tls_min_version)  # YAML makes a number of it
        if self.tls_min_version not in ("1.2", "1.3"):
            found = describe_value(self.tls_min_version)
            raise ConfigValueError("tls_min_version", f"expected 1.2 or 1.3, found {found}")
        if self.ws_path is not None and not self.ws_path.startswith("/"):
            found = describe_value(self.ws_path)
            raise ConfigValueError("ws_path", f"expected a path that begins with /, found {found}")
        if self.unix_mode is not None and not re.fullmatch("[0-7]{3,4}", self.unix_mode):
            found = describe_value(self.unix_mode)
            problem = f"expected an octal number such as '0660', found {found}"
            raise ConfigValueError("unix_mode", problem)
        self._check_proxies()

    def _check_proxies(self) -> None:
        for text in self.proxy_trusted or []:
            try:
                ipaddress.ip_network(text, strict=False)
            except ValueError as error:
                found = describe_value(text)
                problem = f"expected an address or a network such as 10.0.0.0/8, found {found}"
                raise ConfigValueError("proxy_trusted", problem) from error

    @property
    def certificates(self) -> Iterator[CertificateConfig]:
        """The certificates of the broker, that of `certfile` first."""
        if self.certfile and self.keyfile:
            yield CertificateConfig(self.certfile, self.keyfile)
        yield from self.tls_certificates or []

    def apply(self, other: ListenerConfig) -> None:
        """Take from another listener every value that still is the default here.

        Args:
            other: the listener to take the values from.

        """
        for each in dataclasses.fields(self):
            if getattr(self, each.name) == each.default:
                setattr(self, each.name, getattr(other, each.name))


def _check_paths(config: Dictable, *names: str) -> None:
    """Make paths of the options that name files or folders, which must exist.

    Args:
        config: the configuration that holds the options.
        names: names of the options.

    Raises:
        FileNotFoundError: a file or folder does not exist.

    """
    for name in names:
        value = getattr(config, name)
        if value is None:
            continue
        path = Path(value)
        if not path.exists():
            msg = f"'{name}' does not exist : {path}"
            raise FileNotFoundError(msg)
        setattr(config, name, path)
