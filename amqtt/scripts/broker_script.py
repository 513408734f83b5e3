"""The command `amqtt`: run a broker."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from amqtt.contexts import BrokerConfig
from amqtt.errors import BrokerError, PluginError, PluginLoadError
from amqtt.scripts._common import (
    DEBUG_LOG_FORMAT,
    DebugOption,
    StopSignals,
    VersionOption,
    configure_logging,
    explain,
    fail,
    load_config,
    make_app,
)

if TYPE_CHECKING:
    from amqtt.broker import Broker

logger = logging.getLogger(__name__)

DEFAULT_CONFIG_FILE = Path(__file__).with_name("default_broker.yaml")

app = make_app()


def main() -> None:
    """Run the command."""
    app(prog_name="amqtt")


@app.command(name="amqtt", help="Run an MQTT broker until it is told to stop.")
def broker_main(
    config_file: Annotated[
        str | None, typer.Option("-c", help="Configuration file of the broker (YAML).")
    ] = None,
    debug: DebugOption = False,
    check: Annotated[
        bool, typer.Option("--check", help="Check the configuration file and exit.")
    ] = False,
    version: VersionOption = False,  # noqa: ARG001  # its callback ends the command
) -> None:
    """Run a broker.

    Args:
        config_file: path of the configuration file; None means the packaged one.
        debug: whether to log at DEBUG.
        check: whether to check the configuration instead of running the broker.
        version: whether to print the version instead of running the broker.

    Raises:
        typer.Exit: the configuration is wrong or the broker cannot start (status 1).

    """
    configure_logging(debug, DEBUG_LOG_FORMAT)
    source = config_file if config_file is not None else str(DEFAULT_CONFIG_FILE)
    config = load_config(BrokerConfig, source)
    if check:
        asyncio.run(_check(config, source))
        typer.echo(f"{source}: ok")
    else:
        with StopSignals() as signals:
            asyncio.run(_serve(config, source, signals))


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
    try:
        broker.check_listeners()
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


if __name__ == "__main__":
    main()
