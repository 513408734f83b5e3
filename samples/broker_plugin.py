"""Run a broker with plugins of its own: one decides who may connect, one counts messages."""

from __future__ import annotations

import asyncio
import hmac
from collections import Counter
from dataclasses import dataclass

from serving import options, serve

from amqtt.broker import BrokerContext
from amqtt.contexts import BaseContext
from amqtt.plugins.base import BaseAuthPlugin, BasePlugin
from amqtt.session import ApplicationMessage, Session


class TokenAuthPlugin(BaseAuthPlugin):
    """Admit clients whose password is the token."""

    @dataclass
    class Config:
        """The options of the plugin, as they stand in the configuration."""

        token: str

    def __init__(self, context: BaseContext) -> None:
        """Take the token from the options."""
        super().__init__(context)
        self._token: str = self.config.token

    async def authenticate(self, *, session: Session) -> bool:
        """Compare the password, in a time that does not depend on where it differs."""
        password = session.password or ""
        given = password.encode() if isinstance(password, str) else password
        return hmac.compare_digest(given, self._token.encode())


class MessageCountPlugin(BasePlugin[BrokerContext]):
    """Count the messages of each client, and print the count when it leaves."""

    def __init__(self, context: BrokerContext) -> None:
        """Begin with nothing."""
        super().__init__(context)
        self._messages: Counter[str] = Counter()

    async def on_broker_message_received(
        self, *, client_id: str, message: ApplicationMessage
    ) -> None:
        """Count a message, unless it is empty."""
        if message.data:
            self._messages[client_id] += 1

    async def on_broker_client_disconnected(
        self, *, client_id: str, client_session: Session
    ) -> None:
        """Print the count of a client."""
        count = self._messages.pop(client_id, 0)
        print(f"messages of {client_session.username}: {count}", flush=True)


def main() -> None:
    """Serve clients until SIGINT or SIGTERM."""
    parser = options(__doc__)
    parser.add_argument("--token", default="secret", help="what clients send as password")
    arguments = parser.parse_args()
    config = {
        "listeners": {"default": {"type": "tcp", "bind": arguments.bind}},
        "plugins": {
            # The dotted path of the class: here this file, elsewhere that of its module.
            f"{__name__}.TokenAuthPlugin": {"token": arguments.token},
            f"{__name__}.MessageCountPlugin": {},
        },
    }
    asyncio.run(serve(config))


if __name__ == "__main__":
    main()
