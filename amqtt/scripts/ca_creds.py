"""The command `ca_creds`: make the key and certificate of a certification authority."""

from __future__ import annotations

from amqtt.scripts._unavailable import exit_unavailable


def main() -> None:
    """Run the command."""
    exit_unavailable("ca_creds")


if __name__ == "__main__":
    main()
