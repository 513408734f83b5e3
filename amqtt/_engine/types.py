"""Types of the compiled module, for annotations of those that may not import it."""

from amqtt._core import BrokerEngine, Message

__all__ = ["BrokerEngine", "Message"]
