"""States that triggers change, without the log records of a library for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Container


class StateMachine:
    """Keep a state; the triggers of subclasses change it, beginning with `new`."""

    __slots__ = ("state",)

    def __init__(self) -> None:
        """Begin in the state `new`."""
        self.state = "new"

    def _enter(self, trigger: str, sources: Container[str], destination: str) -> bool:
        """Change the state if it is one of `sources`.

        Returns:
            True.

        Raises:
            transitions.MachineError: the state is another.

        """
        if self.state not in sources:
            from transitions import MachineError  # of the library only this, and that seldom

            msg = f"Can't trigger event {trigger} from state {self.state}!"
            raise MachineError(msg)
        self.state = destination
        return True

    def is_new(self) -> bool:
        """Tell whether nothing has happened yet."""
        return self.state == "new"


class BrokerTransitions(StateMachine):
    """Keep the state of a broker.

    Triggers return True, and raise `transitions.MachineError` in a state that they do not fit.
    """

    __slots__ = ()

    def start(self) -> bool:
        """Enter `starting`, from `new`, `stopped` or `not_started`."""
        return self._enter("start", ("new", "stopped", "not_started"), "starting")

    def starting_fail(self) -> bool:
        """Enter `not_started`, from `starting`."""
        return self._enter("starting_fail", ("starting",), "not_started")

    def starting_success(self) -> bool:
        """Enter `started`, from `starting`."""
        return self._enter("starting_success", ("starting",), "started")

    def shutdown(self) -> bool:
        """Enter `stopping`, from `started`."""
        return self._enter("shutdown", ("started",), "stopping")

    def stopping_success(self) -> bool:
        """Enter `stopped`, from `stopping`."""
        return self._enter("stopping_success", ("stopping",), "stopped")

    def stopping_failure(self) -> bool:
        """Enter `not_stopped`, from `stopping`."""
        return self._enter("stopping_failure", ("stopping",), "not_stopped")

    def is_starting(self) -> bool:
        """Tell whether the broker is about to run."""
        return self.state == "starting"

    def is_started(self) -> bool:
        """Tell whether the broker runs."""
        return self.state == "started"

    def is_not_started(self) -> bool:
        """Tell whether the last start has failed."""
        return self.state == "not_started"

    def is_stopping(self) -> bool:
        """Tell whether the broker is about to stop."""
        return self.state == "stopping"

    def is_stopped(self) -> bool:
        """Tell whether the broker has run and was stopped."""
        return self.state == "stopped"

    def is_not_stopped(self) -> bool:
        """Tell whether stopping has failed."""
        return self.state == "not_stopped"
