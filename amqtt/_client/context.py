"""What a client offers to its plugins."""

from __future__ import annotations

from amqtt.contexts import BaseContext, ClientConfig


class ClientContext(BaseContext):
    """Give a plugin of a client its environment.

    Attributes:
        config: the configuration of the client.

    """

    def __init__(self) -> None:
        """Make a context without a configuration."""
        super().__init__()
        self.config: ClientConfig | None = None
