"""The command `user_mgr`: manage the clients of an authentication database."""

from __future__ import annotations

from amqtt.scripts._database_command import run_app


def main() -> None:
    """Run the command."""
    run_app("amqtt.contrib.auth_db.user_mgr_cli", "user_app", "user_mgr")


if __name__ == "__main__":
    main()
