"""Leave a service alone that does not answer."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable

_LOG_INTERVAL = 10.0


class CircuitBreaker:
    """Count the requests in a row that had no answer, and stop asking for a while.

    After the pause one request is let through; with its answer the service counts as up again.

    Args:
        name: names the service in the log.
        logger: where it is said that the service is down, or up again.
        limit: failures in a row after which it counts as down.
        pause: seconds between two attempts while it is down.
        clock: tells the time in seconds.

    """

    def __init__(
        self,
        name: str,
        logger: logging.Logger,
        limit: int,
        pause: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin with a service that is up."""
        self._name = name
        self._logger = logger
        self._limit = limit
        self._pause = pause
        self._clock = clock
        self._failures = 0
        self._next_attempt = 0.0
        self._last_failure: float | None = None
        self._not_asked = 0
        self._next_log = 0.0

    @property
    def is_down(self) -> bool:
        """Whether the service counts as down."""
        return self._failures >= self._limit

    def allows_request(self) -> bool:
        """Tell whether the service is to be asked now; the answer decides how it goes on.

        Returns:
            False while it is down, except once after each pause.

        """
        if not self.is_down:
            return True
        now = self._clock()
        if now >= self._next_attempt:
            self._next_attempt = now + self._pause
            return True
        self._not_asked += 1
        if now >= self._next_log:
            self._next_log = now + _LOG_INTERVAL
            self._logger.warning(
                "%s is down: %d requests were not made since the last record",
                self._name,
                self._not_asked,
            )
            self._not_asked = 0
        return False

    def succeeded(self) -> None:
        """Note that the service has answered, whatever it said."""
        if self.is_down:
            self._logger.info("%s answers again", self._name)
        self._failures = 0

    def failed(self) -> None:
        """Note that a request had no answer."""
        was_down = self.is_down
        self._failures += 1
        self._last_failure = self._clock()
        if self.is_down:
            self._next_attempt = self._last_failure + self._pause
            if not was_down:
                self._logger.error(
                    "%s is down: %d requests in a row had no answer; it is asked again in %g s",
                    self._name,
                    self._failures,
                    self._pause,
                )

    def failed_within(self, seconds: float) -> bool:
        """Tell whether a request had no answer, or was not made, a short time ago."""
        if self.is_down:
            return True
        return self._last_failure is not None and self._clock() - self._last_failure < seconds
