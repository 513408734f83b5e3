"""The command `topic_mgr`: manage the topics of an authentication database."""

from __future__ import annotations

from amqtt.scripts._database_command import run_app


def main() -> None:
    """Run the command."""
    run_app("amqtt.contrib.auth_db.topic_mgr_cli", "topic_app", "topic_mgr")


if __name__ == "__main__":
    main()
