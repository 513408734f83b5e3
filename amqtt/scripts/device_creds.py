"""The command `device_creds`: make the key and certificate of a device."""

from __future__ import annotations

import logging
from typing import Annotated

import typer

from amqtt.logs import printable
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
def device_creds(
    country: CountryOption = REQUIRED,
    org_name: OrganisationOption = REQUIRED,
    device_id: Annotated[
        str, typer.Option("--device-id", help="Identifier of the device: its client identifier.")
    ] = REQUIRED,
    uri: Annotated[
        str, typer.Option("--uri", help="Domain: `uri_domain` of the plugin.")
    ] = REQUIRED,
    output_dir: OutputOption = ".",
    ca_key_fn: CaKeyOption = "ca.key",
    ca_crt_fn: CaCertificateOption = "ca.crt",
    force: ForceOption = False,
) -> None:
    """Make the key and the certificate of a device: files with its identifier as name.

    The certificate is valid for one year, its RSA key has 2,048 bits. It is for the URI
    spiffe://URI/device/DEVICE_ID.
    """
    # Imported here: the help does not need the packages of the extra.
    from amqtt.contrib import cert

    ca_key, ca_cert = cert.load_ca(ca_key_fn, ca_crt_fn)
    folder = new_files(output_dir, device_id, force=force)
    key, request = cert.generate_device_csr(
        country, org_name, device_id, cert.device_uri(uri, device_id), f"{device_id}.local"
    )
    cert.write_key_and_crt(key, cert.sign_csr(request, ca_key, ca_cert), device_id, folder)
    logger.info("✅ Created: %s.crt and %s.key", printable(device_id), printable(device_id))


def main() -> None:
    """Run the command."""
    run(app, "device_creds")


if __name__ == "__main__":
    main()
