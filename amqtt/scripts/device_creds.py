"""The command `device_creds`: make the key and certificate of a device."""

from __future__ import annotations

from amqtt.scripts._unavailable import exit_unavailable


def main() -> None:
    """Run the command."""
    exit_unavailable("device_creds")


if __name__ == "__main__":
    main()
