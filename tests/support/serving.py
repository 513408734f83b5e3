"""A broker in the process of the test, and its log."""

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from amqtt.broker import Broker
from support.endpoints import LIMIT, Trust


class Log(logging.Handler):
    """What the broker logs, to be waited for on the event loop."""

    def __init__(self) -> None:
        """Begin with nothing."""
        super().__init__(logging.INFO)
        self.lines: list[str] = []
        self._changed = asyncio.Event()

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record."""
        self.lines.append(f"{record.levelname} {record.getMessage()}")
        self._changed.set()

    async def wait_for(self, text: str) -> str:
        """Return the first line that has this text, and forget it and those before."""
        while True:
            for at, line in enumerate(self.lines):
                if text in line:
                    del self.lines[: at + 1]
                    return line
            self._changed.clear()
            try:
                await asyncio.wait_for(self._changed.wait(), LIMIT)
            except asyncio.TimeoutError as error:
                msg = f"no log record with '{text}' but {self.lines}"
                raise AssertionError(msg) from error


class Serving:
    """A broker with one listener."""

    def __init__(self, broker: Broker, log: Log) -> None:
        """Use a broker that was started."""
        self.broker = broker
        self.log = log
        self.host, self.port = broker.addresses["default"][0]

    async def certificate(self, trust: Trust, name: str = "localhost", **settings: Any) -> bytes:
        """Return the certificate that a client is shown who asks for a host, in DER."""
        context = trust.context(check_hostname=False, **settings)
        _, writer = await asyncio.open_connection(
            self.host, self.port, ssl=context, server_hostname=name
        )
        found: bytes = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        writer.close()
        return found


def der(certfile: str) -> bytes:
    """Return a certificate of a file in DER."""
    return ssl.PEM_cert_to_DER_cert(Path(certfile).read_text())


@asynccontextmanager
async def serving(listener: dict[str, Any], **config: Any) -> AsyncIterator[Serving]:
    """Run a broker with one listener on a port of its own."""
    log, logger = Log(), logging.getLogger("amqtt")
    level = logger.level
    logger.addHandler(log)
    logger.setLevel(logging.INFO)
    broker = Broker({"listeners": {"default": {"bind": "127.0.0.1:0", **listener}}, **config})
    try:
        await broker.start()
        try:
            yield Serving(broker, log)
        finally:
            await broker.shutdown()
    finally:
        logger.removeHandler(log)
        logger.setLevel(level)
