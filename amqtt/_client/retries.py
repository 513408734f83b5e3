"""Attempts to connect that are repeated."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from amqtt.errors import ConnectError

if TYPE_CHECKING:
    import logging
    from collections.abc import Awaitable, Callable

    from amqtt.contexts import ClientConfig

# CONNACK return codes, and Reason Codes of MQTT 5.0, that the next attempt would get again.
_PERMANENT_REFUSALS = (
    1, 2, 4, 5,
    0x81, 0x82, 0x84, 0x85, 0x86, 0x87, 0x8A, 0x8C, 0x90, 0x95, 0x99, 0x9A, 0x9B, 0x9C, 0x9D,
)  # fmt: skip


def is_permanent(error: ConnectError) -> bool:
    """Tell whether the next attempt would fail like this one."""
    return error.return_code in _PERMANENT_REFUSALS


async def until_connected(
    connect: Callable[[], Awaitable[int]],
    is_connected: Callable[[], bool],
    config: ClientConfig,
    logger: logging.Logger,
    accepted: int,
) -> int:
    """Connect, and again after each failure, with pauses that become longer.

    Args:
        connect: makes one attempt.
        is_connected: tells whether somebody else has connected meanwhile.
        config: says how often, and how long the pauses are at most.
        logger: is told of each failure.
        accepted: what is returned when somebody else has connected.

    Returns:
        What `connect` returns.

    Raises:
        ConnectError: all attempts have failed, or one in a way that the next would too.

    """
    retries = 2 if config.reconnect_retries is None else config.reconnect_retries
    longest = config.reconnect_max_interval or 10
    attempt = 0
    while not is_connected():
        attempt += 1
        try:
            return await connect()
        except ConnectError as error:
            if is_permanent(error):
                raise
            logger.warning("Reconnection attempt %d failed: %s", attempt, error)
            if 0 <= retries < attempt:
                msg = f"Too many failed attempts: {error}"
                failure = ConnectError(msg, properties=error.properties)
                failure.return_code = error.return_code
                raise failure from (error.__cause__ or error)
        # 2**attempt would grow without end with unlimited retries.
        await asyncio.sleep(min(longest, 2 ** min(attempt, 16)))
    return accepted
