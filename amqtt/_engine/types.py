"""Types of the compiled module, for annotations of those that may not import it.

They are not there when the program runs, so that nobody can use them for anything else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from amqtt._core import BrokerEngine, Message

    __all__ = ["BrokerEngine", "Message"]
