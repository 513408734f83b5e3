"""Run a broker until it is told to stop, or check its configuration."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from amqtt.contexts import BrokerConfig
from amqtt.errors import BrokerError, PluginError, PluginLoadError
from amqtt.scripts._common import (
    DEBUG_LOG_FORMAT,
    configure_logging,
    explain,
    fail,
    load_config,
)
from amqtt.scripts._signals import BrokerSignals, guard_of

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
    if BrokerSignals.active is not None:
        _run(config_file, debug, BrokerSignals.active)
        return
    with BrokerSignals() as signals:
        _run(config_file, debug, signals)


def _run(config_file: str | None, debug: bool, signals: BrokerSignals) -> None:
    with signals.ending_at_once():
        config, source = _read(config_file, debug)
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
    from amqtt._broker.listening import inspect_listener

    try:
        broker.check_listeners()
        for name, listener in config.listeners.items():
            for warning in inspect_listener(name, listener):
                logger.warning("%s", warning)
    except BrokerError as error:
        fail(f"Broker failed to start: {explain(error)} (configured in {source})")


async def _serve(config: BrokerConfig, source: str, signals: BrokerSignals) -> None:
    """Run the broker until a signal arrives."""
    stop = asyncio.Event()
    with signals.ending_at_once():
        broker = _make_broker(config, source)
    signals.call(stop.set)
    signals.guard(guard_of(broker._stop_engine, broker._end_process, config.shutdown_timeout))
    try:
        if not await _start(broker, stop):
            return
    except BrokerError as error:
        fail(f"Broker failed to start: {explain(error)}")
    # Tasks are held weakly by the loop itself.
    reloads: set[asyncio.Task[None]] = set()

    def reload_soon() -> None:
        task = asyncio.get_running_loop().create_task(_reload(broker))
        reloads.add(task)
        task.add_done_callback(reloads.discard)

    signals.call_on_hangup(reload_soon)
    await stop.wait()
    await broker.shutdown()


async def _start(broker: Broker, stop: asyncio.Event) -> bool:
    """Start the broker; return False if it was asked to stop before it had started."""
    starting = asyncio.ensure_future(broker.start())
    stopping = asyncio.ensure_future(stop.wait())
    await asyncio.wait((starting, stopping), return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if starting.done():
        await starting
        return True
    starting.cancel()
    # What a cancelled start raises is a consequence of the signal.
    with contextlib.suppress(Exception, asyncio.CancelledError):
        await starting
        await broker.shutdown()  # it had just started
    return False


async def _reload(broker: Broker) -> None:
    try:
        await broker.reload()
    except BrokerError as error:
        logger.error("Certificates stay as they are: %s", error)
