"""A module for mosquitto_pyauth: how it is imported and called."""

from __future__ import annotations

import asyncio
import concurrent.futures
import importlib
import inspect
import logging
import sys
import weakref
from typing import TYPE_CHECKING, Any

from amqtt.contrib.pyauth import mosquitto_auth
from amqtt.contrib.pyauth.worker import Worker, ended_by

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from amqtt.logs import LogLimiter

_HELPER = "mosquitto_auth"
_WITH_PAYLOAD = 5

FUNCTIONS = (
    "plugin_init",
    "plugin_cleanup",
    "unpwd_check",
    "acl_check",
    "psk_key_get",
    "security_init",
    "security_cleanup",
)


class AuthModuleError(Exception):
    """Report a module that cannot be used."""


class AuthModule:
    """Import a module and call its functions.

    All that is not a coroutine function runs in threads of the module's own; so does the import.
    With one thread a module may count on being called from there only, as mosquitto does it.

    Args:
        name: name to import the module by.
        folder: folder to look for it before all others; None means where Python looks.
        threads: how many threads there are.
        timeout: seconds that a call may take.
        peer_log: where it is said what is wrong with the module.

    Raises:
        AuthModuleError: the module cannot be imported, has none of the functions, or what it
            calls one of them cannot be called.

    """

    def __init__(
        self, name: str, folder: str | None, threads: int, timeout: float, peer_log: LogLimiter
    ) -> None:
        """Import the module; this waits for it."""
        self._name = name
        self._timeout = timeout
        self._peer_log = peer_log
        self._worker = Worker(threads, f"pyauth {name}")
        # Not when the broker ends: it may be started again, and the module wants its thread.
        weakref.finalize(self, self._worker.stop).atexit = False
        provide_helper(peer_log.logger)
        module = self._wait(self._worker.submit(_import, name, folder), "its import")
        self._functions = {each: getattr(module, each, None) for each in FUNCTIONS}
        self._check()
        self.takes_payload = _count_arguments(self._functions["acl_check"]) >= _WITH_PAYLOAD

    def _check(self) -> None:
        for name, function in self._functions.items():
            if function is not None and not callable(function):
                msg = f"'{name}' of module '{self._name}' is no function"
                raise AuthModuleError(msg)
        if not any(self._functions.values()):
            msg = f"module '{self._name}' has none of the functions {', '.join(FUNCTIONS)}"
            raise AuthModuleError(msg)

    def has(self, function: str) -> bool:
        """Tell whether the module has a function."""
        return self._functions[function] is not None

    def waits(self, function: str) -> bool:
        """Tell whether a function is a coroutine function, which occupies no thread."""
        return inspect.iscoroutinefunction(self._functions[function])

    def _wait(self, future: Future[Any], what: str) -> Any:
        """Wait in the thread that makes the broker; there is nobody to serve yet."""
        done, _ = concurrent.futures.wait([future], self._timeout)
        error = future.exception() if done else None
        if done and error is None:
            return future.result()
        future.cancel()
        problem = f"failed: {error!r}" if done else f"takes more than {self._timeout:g} s"
        msg = f"module '{self._name}': {what} {problem}"
        raise AuthModuleError(msg) from error

    def call_now(self, function: str, *args: Any) -> bool:
        """Call a function, unless it is a coroutine function, and wait for it.

        Args:
            function: its name.
            args: its arguments.

        Returns:
            Whether that is done; a coroutine function has to be called by `call`.

        Raises:
            AuthModuleError: it has raised, or takes too long.

        """
        found = self._functions[function]
        if inspect.iscoroutinefunction(found):
            return False
        if found is not None:
            self._wait(self._worker.submit(found, *args), f"'{function}'")
        return True

    async def call(self, function: str, *args: Any) -> Any:
        """Call a function that the module has.

        Args:
            function: its name.
            args: its arguments.

        Returns:
            What it returns, awaited if need be; None when it raises or takes too long, which is
            logged.

        """
        task = asyncio.ensure_future(self._result_of(self._functions[function], args))
        try:
            # Not wait_for(): the function may raise TimeoutError itself.
            await asyncio.wait({task}, timeout=self._timeout)
        finally:
            task.cancel()  # does nothing to one that is done
        if not task.done():
            self._peer_log.log(
                logging.ERROR, "calls of the module that took too long", function,
                "module '%s': '%s' takes more than %g s", self._name, function, self._timeout,
            )  # fmt: skip
            return None
        error = task.exception()
        if error is None:
            return task.result()
        self._peer_log.log(
            logging.ERROR, "calls of the module that failed", function,
            "module '%s': '%s' failed", self._name, function, exc_info=error,
        )  # fmt: skip
        return None

    async def _result_of(self, function: Any, args: tuple[Any, ...]) -> Any:
        try:
            if inspect.iscoroutinefunction(function):
                return await function(*args)
            result = await asyncio.wrap_future(self._worker.submit(function, *args))
            return await result if inspect.isawaitable(result) else result
        except SystemExit as error:
            raise ended_by(error) from error


def provide_helper(logger: logging.Logger) -> None:
    """Make `import mosquitto_auth` work, for all of the process and from now on.

    Functions of the module may import it when they are called. A module of that name which
    somebody else has imported stays.
    """
    present = sys.modules.setdefault(_HELPER, mosquitto_auth)
    if present is not mosquitto_auth:
        logger.warning("'%s' is another module: %s", _HELPER, getattr(present, "__file__", ""))


def _import(name: str, folder: str | None) -> Any:
    if folder is not None and folder not in sys.path:
        sys.path.insert(0, folder)
    return importlib.import_module(name)


def _count_arguments(function: Callable[..., Any] | None) -> int:
    """Count the positional arguments of a function; those behind `*` do not count."""
    if function is None:
        return 0
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return 0
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(each.kind in positional for each in parameters)
