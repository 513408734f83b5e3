"""The command `user_mgr`: manage the clients of an authentication database."""

from __future__ import annotations

from amqtt.scripts._unavailable import exit_unavailable


def main() -> None:
    """Run the command."""
    exit_unavailable("user_mgr")


if __name__ == "__main__":
    main()
