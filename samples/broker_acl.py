"""Run a broker with passwords, on which each user has topics of their own.

The users are `sensor`, who publishes measurements, and `panel`, who reads the temperatures. The
password of each is the user's name.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from serving import options, serve

PASSWORDS = Path(__file__).with_name("passwords.txt")


def main() -> None:
    """Serve clients until SIGINT or SIGTERM."""
    bind = options(__doc__).parse_args().bind
    config = {
        "listeners": {"default": {"type": "tcp", "bind": bind}},
        "plugins": {
            "amqtt.plugins.authentication.FileAuthPlugin": {"password_file": PASSWORDS},
            "amqtt.plugins.topic_checking.TopicAccessControlListPlugin": {
                "publish_acl": {"sensor": ["measurements/#"]},
                "subscribe_acl": {"panel": ["measurements/+/temperature"]},
                "receive_acl": {"panel": ["measurements/#"]},
            },
        },
    }
    asyncio.run(serve(config))


if __name__ == "__main__":
    main()
