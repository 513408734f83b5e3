"""Run a broker that admits everyone on this machine."""

from __future__ import annotations

import asyncio

from serving import options, serve


def main() -> None:
    """Serve clients until SIGINT or SIGTERM."""
    bind = options(__doc__).parse_args().bind
    config = {
        "listeners": {"default": {"type": "tcp", "bind": bind}},
        "plugins": {
            "amqtt.plugins.logging_amqtt.EventLoggerPlugin": {},
            "amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True},
        },
    }
    asyncio.run(serve(config))


if __name__ == "__main__":
    main()
