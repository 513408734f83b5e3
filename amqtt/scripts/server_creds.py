"""The command `server_creds`: make the key and certificate of a broker."""

from __future__ import annotations

import logging
from typing import Annotated

import typer

from amqtt.scripts._app import make_app
from amqtt.scripts._credentials import (
    REQUIRED,
    CaCertificateOption,
    CaKeyOption,
    CountryOption,
    ForceOption,
    OrganisationOption,
    OutputOption,
    new_files,
    run,
)

logger = logging.getLogger(__name__)

app = make_app()


@app.command()
def server_creds(
    country: CountryOption = REQUIRED,
    org_name: OrganisationOption = REQUIRED,
    cn: Annotated[str, typer.Option("--cn", help="Host name of the broker.")] = REQUIRED,
    output_dir: OutputOption = ".",
    ca_key_fn: CaKeyOption = "ca.key",
    ca_crt_fn: CaCertificateOption = "ca.crt",
    force: ForceOption = False,
) -> None:
    """Make the key and the certificate of a broker: server.key and server.crt.

    The certificate is valid for one year, its RSA key has 2,048 bits. It is for the host name and
    for 127.0.0.1.
    """
    # Imported here: the help does not need the packages of the extra.
    from amqtt.contrib import cert

    ca_key, ca_cert = cert.load_ca(ca_key_fn, ca_crt_fn)
    folder = new_files(output_dir, "server", force=force)
    key, request = cert.generate_server_csr(country, org_name, cn)
    cert.write_key_and_crt(key, cert.sign_csr(request, ca_key, ca_cert), "server", folder)


def main() -> None:
    """Run the command."""
    run(app, "server_creds")


if __name__ == "__main__":
    main()
