"""The command `server_creds`: make the key and certificate of a broker."""

from __future__ import annotations

from amqtt.scripts._unavailable import exit_unavailable


def main() -> None:
    """Run the command."""
    exit_unavailable("server_creds")


if __name__ == "__main__":
    main()
