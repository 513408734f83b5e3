"""Run a broker that speaks TLS, with the certificate that README.md shows how to make."""

from __future__ import annotations

import asyncio

from serving import options, serve


def main() -> None:
    """Serve clients until SIGINT or SIGTERM."""
    parser = options(__doc__, bind="127.0.0.1:8883")
    parser.add_argument("--certfile", default="server.crt", help="the certificate, in PEM form")
    parser.add_argument("--keyfile", default="server.key", help="its key")
    arguments = parser.parse_args()
    listener = {
        "type": "tcp",
        "bind": arguments.bind,
        "ssl": True,
        "certfile": arguments.certfile,
        "keyfile": arguments.keyfile,
    }
    config = {
        "listeners": {"default": listener},
        "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {}},
    }
    asyncio.run(serve(config))


if __name__ == "__main__":
    main()
