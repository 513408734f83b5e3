"""Run a broker on a Unix socket, which only the user and the group of this process may open."""

from __future__ import annotations

import asyncio

from serving import options, serve


def main() -> None:
    """Serve clients until SIGINT or SIGTERM."""
    bind = options(__doc__, bind="unix:amqtt.socket").parse_args().bind
    config = {
        "listeners": {"default": {"type": "tcp", "bind": bind, "unix_mode": "660"}},
        "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {}},
    }
    asyncio.run(serve(config))


if __name__ == "__main__":
    main()
