"""Run a broker until it is told to stop, or check its configuration."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from amqtt.contexts import BrokerConfig
from amqtt.errors import BrokerError, PluginError, PluginLoadError
from amqtt.scripts._common import (
    DEBUG_LOG_FORMAT,
    StopSignals,
    configure_logging,
    explain,
    fail,
    load_config,
)

if TYPE_CHECKING:
    from amqtt.broker import Broker

logger = logging.getLogger("amqtt.scripts.broker_script")

DEFAULT_CONFIG_FILE = Path(__file__).with_name("default_broker.yaml")


def run_broker(config_file: str | None = None, debug: bool = False) -> None:
    """Run a broker until a signal arrives.

    Args:
        config_file: path of the configuration file; None means the packaged one.
        debug: whether to log at DEBUG.

    Raises:
        typer.Exit: the configuration is wrong or the broker cannot start (status 1).

    """
    config, source = _read(config_file, debug)
    with StopSignals() as signals:
        asyncio.run(_serve(config, source, signals))


def check_broker(config_file: str | None = None, debug: bool = False) -> str:
    """Check the configuration of a broker, as far as that needs no socket.

    What is suspicious, as a certificate that has expired, is logged as a warning.

    Args:
        config_file: as for `run_broker`.
        debug: as for `run_broker`.

    Returns:
        The path of the configuration.

    Raises:
        typer.Exit: it is wrong (status 1).

    """
    config, source = _read(config_file, debug)
    asyncio.run(_check(config, source))
    return source


def _read(config_file: str | None, debug: bool) -> tuple[BrokerConfig, str]:
    configure_logging(debug, DEBUG_LOG_FORMAT)
    source = config_file if config_file is not None else str(DEFAULT_CONFIG_FILE)
    return load_config(BrokerConfig, source), source


def _make_broker(config: BrokerConfig, source: str) -> Broker:
    """Make the broker, which loads its plugins."""
    # Imported here: help, version and the errors of a configuration do not need the engine.
    from amqtt.broker import Broker

    try:
        return Broker(config)
    except (BrokerError, PluginError, PluginLoadError, ImportError) as error:
        fail(f"Broker failed to start: {explain(error)} (configured in {source})")


async def _check(config: BrokerConfig, source: str) -> None:
    broker = _make_broker(config, source)
    # Where the engine is loaded already.
    from amqtt._listening import inspect_listener

    try:
        broker.check_listeners()
        for name, listener in config.listeners.items():
            for warning in inspect_listener(name, listener):
                logger.warning("%s", warning)
    except BrokerError as error:
        fail(f"Broker failed to start: {explain(error)} (configured in {source})")


async def _serve(config: BrokerConfig, source: str, signals: StopSignals) -> None:
    """Run the broker until a signal arrives."""
    stop = asyncio.Event()
    signals.call(stop.set)
    broker = _make_broker(config, source)
    with _reload_on_hangup(broker):
        try:
            await broker.start()
        except BrokerError as error:
            fail(f"Broker failed to start: {explain(error)}")
        await stop.wait()
        await broker.shutdown()


@contextlib.contextmanager
def _reload_on_hangup(broker: Broker) -> Iterator[None]:
    """Let SIGHUP make a broker reload, where there is that signal."""
    loop = asyncio.get_running_loop()
    tasks: set[asyncio.Task[None]] = set()

    async def reload() -> None:
        try:
            await broker.reload()
        except BrokerError as error:
            logger.error("Certificates stay as they are: %s", error)

    def start() -> None:
        task = loop.create_task(reload())
        tasks.add(task)  # the loop itself holds tasks weakly
        task.add_done_callback(tasks.discard)

    number = getattr(signal, "SIGHUP", None)
    if number is None:
        yield
        return
    loop.add_signal_handler(number, start)
    try:
        yield
    finally:
        loop.remove_signal_handler(number)
