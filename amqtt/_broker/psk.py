"""Find the pre-shared keys that plugins have."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from amqtt.plugins.manager import PluginManager

# What OpenSSL takes.
_LONGEST_KEY = 512
# Of a shorter one, who records a handshake can try all that is likely (RFC 9257, 4.2).
_SHORTEST_SAFE_KEY = 16


async def find_psk(manager: PluginManager[Any], listener: str, identity: str) -> bytes:
    """Ask the plugins for the key of a client.

    Args:
        manager: the plugins; those with a method `psk_key` are asked, all at once.
        listener: name of the listener, for the log.
        identity: what the client calls itself.

    Returns:
        The key that the first of them has; empty when none has one, or one has failed.

    """
    able = [plugin for plugin in manager.plugins if hasattr(plugin, "psk_key")]
    found = await manager.ask(able, "psk_key", {"identity": identity, "hint": ""})
    if any(each is False for each in found.values()):
        return b""
    key = next((each for each in found.values() if each), b"")
    if not isinstance(key, bytes | bytearray) or len(key) > _LONGEST_KEY:
        manager.peer_log.log(
            logging.ERROR, "unusable pre-shared keys", identity,
            "listener '%s': a key of '%s' is no bytes, or more than %d", listener, identity,
            _LONGEST_KEY,
        )  # fmt: skip
        return b""
    if key and len(key) < _SHORTEST_SAFE_KEY:
        manager.peer_log.log(
            logging.WARNING, "short pre-shared keys", identity,
            "listener '%s': the key of '%s' has %d bytes; with fewer than %d it can be guessed",
            listener, identity, len(key), _SHORTEST_SAFE_KEY,
        )  # fmt: skip
    if not key:
        manager.peer_log.log(
            logging.DEBUG, "unknown pre-shared keys", identity,
            "listener '%s': no plugin has a key of '%s'", listener, identity,
        )  # fmt: skip
    return bytes(key)
