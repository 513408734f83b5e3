"""Sessions and retained messages in a SQL database: `SessionDBPlugin`."""

from __future__ import annotations

from amqtt.contrib.persistence.models import (
    Base,
    RetainedMessage,
    StoredMessage,
    StoredSession,
    Subscription,
)
from amqtt.contrib.persistence.plugin import SessionDBPlugin

__all__ = [
    "Base",
    "RetainedMessage",
    "SessionDBPlugin",
    "StoredMessage",
    "StoredSession",
    "Subscription",
]
