"""What the command line tools have in common: messages, logging, configuration, signals."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, NoReturn, Protocol, TypeVar

import dacite
import yaml

from amqtt.scripts._log_lines import LineHandler
from amqtt.scripts._signals import SAME_REQUEST_TIME as SAME_REQUEST_TIME
from amqtt.scripts._signals import StopSignals as StopSignals
from amqtt.utils import load_yaml_config

LOG_FORMAT = "[%(asctime)s] :: %(levelname)s - %(message)s"
DEBUG_LOG_FORMAT = "[%(asctime)s] %(name)s:%(lineno)d :: %(levelname)s - %(message)s"

TIMED_OUT = 27
"""Exit status when the time of the option `-W` is over, which is also that of mosquitto_sub."""

_C = TypeVar("_C", covariant=True)


class ConfigClass(Protocol[_C]):
    """A configuration class that can be made from a dictionary."""

    def from_dict(self, d: dict[str, Any] | None) -> _C:
        """Make a configuration."""


def fail(message: str, status: int = 1) -> NoReturn:
    """Print an error and end the command.

    Args:
        message: what went wrong.
        status: exit status.

    Raises:
        typer.Exit: always.

    """
    import typer  # slow, and not needed by a broker that starts

    typer.echo(f"❌ {message}", err=True)
    raise typer.Exit(status)


def explain(error: BaseException) -> str:
    """Put an error and its cause into one line.

    Args:
        error: the error.

    Returns:
        Its text, and that of its cause where it says more.

    """
    text = str(error) or type(error).__name__
    cause = error.__cause__
    if cause is not None and str(cause) not in text:
        text = f"{text}: {explain(cause)}"
    return text


def configure_logging(debug: bool, debug_format: str = LOG_FORMAT) -> None:
    """Send log records to the standard error stream.

    Args:
        debug: whether to log at DEBUG instead of INFO.
        debug_format: format of the lines at DEBUG.

    """
    logging.basicConfig(
        handlers=[LineHandler()],
        level=logging.DEBUG if debug else logging.INFO,
        format=debug_format if debug else LOG_FORMAT,
    )


def load_config(config_class: ConfigClass[_C], config_file: str | Path) -> _C:
    """Make a configuration from a YAML file; end the command when that is not possible.

    Args:
        config_class: the configuration class.
        config_file: path of the file.

    Returns:
        The configuration.

    Raises:
        typer.Exit: the file cannot be read, is not YAML or does not fit the class; the error,
            with file and key, is printed.

    """
    try:
        content = load_yaml_config(config_file)
    except OSError as error:
        fail(f"Config file error: {error}")
    except UnicodeDecodeError as error:
        fail(f"Config file error: {config_file}: not UTF-8: {error}")
    except yaml.YAMLError as error:
        fail(f"Config file error: {config_file}: not valid YAML: {_explain_yaml(error)}")
    if content is None:
        # An empty file would mean the defaults, which admit everyone: more likely a mistake.
        fail(f"Config file error: {config_file}: expected a mapping, the file is empty")
    try:
        return config_class.from_dict(content)
    except (dacite.DaciteError, ValueError, KeyError, OSError) as error:
        fail(f"Config file error: {config_file}: {error}")


def _explain_yaml(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    if mark is None:
        return " ".join(str(error).split())
    problem = getattr(error, "problem", None) or "syntax error"
    return f"line {mark.line + 1}, column {mark.column + 1}: {problem}"


def run_until_signal(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a coroutine function; cancel it on SIGINT or SIGTERM and take that for a normal end.

    Args:
        main: the coroutine function.

    """
    with StopSignals() as signals:
        asyncio.run(_until_signal(main, signals))


async def _until_signal(
    main: Callable[[], Coroutine[Any, Any, None]], signals: StopSignals
) -> None:
    task = asyncio.ensure_future(main())
    signals.call(task.cancel)
    try:
        await task
    except (Exception, asyncio.CancelledError):
        # What a cancelled call raises is a consequence of the signal, no error of its own.
        if not signals.received:
            raise
