"""The command `topic_mgr`: manage the topics of an authentication database."""

from __future__ import annotations

from amqtt.scripts._unavailable import exit_unavailable


def main() -> None:
    """Run the command."""
    exit_unavailable("topic_mgr")


if __name__ == "__main__":
    main()
