"""The command `ca_creds`: make the key and certificate of a certification authority."""

from __future__ import annotations

import logging
from typing import Annotated

import typer

from amqtt.scripts._app import make_app
from amqtt.scripts._credentials import (
    REQUIRED,
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
def ca_creds(
    country: CountryOption = REQUIRED,
    state: Annotated[str, typer.Option("--state", help="State or province.")] = REQUIRED,
    locality: Annotated[str, typer.Option("--locality", help="Town.")] = REQUIRED,
    org_name: OrganisationOption = REQUIRED,
    cn: Annotated[str, typer.Option("--cn", help="Common name of the authority.")] = REQUIRED,
    output_dir: OutputOption = ".",
    force: ForceOption = False,
) -> None:
    """Make the key and the certificate of a certification authority: ca.key and ca.crt.

    The certificate is valid for ten years, its RSA key has 4,096 bits.
    """
    # Imported here: the help does not need the packages of the extra.
    from amqtt.contrib import cert

    folder = new_files(output_dir, "ca", force=force)
    key, certificate = cert.generate_root_creds(country, state, locality, org_name, cn)
    cert.write_key_and_crt(key, certificate, "ca", folder)


def main() -> None:
    """Run the command."""
    run(app, "ca_creds")


if __name__ == "__main__":
    main()
