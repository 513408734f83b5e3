"""Publish and receive on a connection that the application has opened."""

from __future__ import annotations

import asyncio
import logging
import weakref
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from amqtt._compat import wait_for
from amqtt._engine.reactor import ClientReactor, EngineError, client_reactor
from amqtt.contexts import BaseContext
from amqtt.errors import AMQTTError, ProtocolHandlerError
from amqtt.mqtt.constants import QOS_0, QOS_1, QOS_2
from amqtt.mqtt.protocol._tunnel import Tunnel, watcher
from amqtt.session import (
    INCOMING,
    OUTGOING,
    ApplicationMessage,
    IncomingApplicationMessage,
    OutgoingApplicationMessage,
    Session,
)
from amqtt.topics import check_topic_name

if TYPE_CHECKING:
    from amqtt.adapters import ReaderAdapter, WriterAdapter
    from amqtt.mqtt.connect import ConnectPacket
    from amqtt.plugins.manager import PluginManager

__all__ = [
    "INCOMING",
    "OUTGOING",
    "QOS_0",
    "QOS_1",
    "QOS_2",
    "ApplicationMessage",
    "IncomingApplicationMessage",
    "OutgoingApplicationMessage",
    "ProtocolHandler",
    "ProtocolHandlerError",
    "Session",
]

C = TypeVar("C", bound=BaseContext)


class ProtocolHandler(Generic[C]):
    """Speak MQTT 3.1.1 as a client, through a reader and a writer of the application.

    The engine does the protocol: packet identifiers, acknowledgements, repetition and pings. Use
    `amqtt.client.MQTTClient` where TCP is all you need; it also connects again after a loss.

    Args:
        plugins_manager: is told the packets, as `MQTTEvents`.
        session: where received messages are queued; may also be given to `attach()`.
        loop: the event loop; None means the running one.

    Attributes:
        logger: where the handler logs.
        session: the session, None before `attach()`.
        reader: where packets come from, None before `attach()`.
        writer: where packets go, None before `attach()`.
        plugins_manager: as given.
        keepalive_timeout: seconds without output after which a ping is sent; None means never.

    """

    def __init__(
        self,
        plugins_manager: PluginManager[C],
        session: Session | None = None,
        loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        """Make a handler that has no connection."""
        self.logger = logging.getLogger(__name__)
        self.session = session
        self.reader: ReaderAdapter | None = None
        self.writer: WriterAdapter | None = None
        self.plugins_manager = plugins_manager
        self.keepalive_timeout: int | None = None
        self._loop = loop
        self._reactor: ClientReactor | None = None
        self._handle = 0
        self._release: weakref.finalize[..., Any] | None = None
        self._tunnel: Tunnel | None = None
        self._closed = asyncio.Event()
        self._deliveries: set[asyncio.Future[Any]] = set()

    # -- the connection

    def attach(self, session: Session, reader: ReaderAdapter, writer: WriterAdapter) -> None:
        """Take a connection.

        Args:
            session: the session; its `keep_alive` tells when to ping.
            reader: where packets come from.
            writer: where packets go.

        Raises:
            ProtocolHandlerError: the handler has a connection already.

        """
        if self.reader is not None or self.writer is not None:
            msg = "Handler is already attached to a connection: call stop() and detach() first"
            raise ProtocolHandlerError(msg)
        self.session = session
        self.reader = reader
        self.writer = writer
        self.keepalive_timeout = session.keep_alive if session.keep_alive > 0 else None

    def detach(self) -> None:
        """Let go of the connection, which `stop()` has closed."""
        self.reader = None
        self.writer = None

    async def start(self) -> None:
        """Begin to receive.

        Raises:
            ProtocolHandlerError: the handler has no connection, or it is closed.

        """
        await self._engine()

    async def stop(self) -> None:
        """Send what is waiting to be sent and close the connection, without DISCONNECT.

        Pending calls of `mqtt_deliver_next_message()` return None.
        """
        if self._tunnel is not None:
            self._tunnel.keeps_disconnect = True
        await self._end()

    async def _end(self) -> None:
        """Let the engine finish, then close the writer."""
        tunnel, self._tunnel = self._tunnel, None
        reactor = self._reactor
        if tunnel is not None and reactor is not None:
            number, answer = reactor.ticket(self._handle)
            reactor.engine.disconnect(self._handle, number)
            await reactor.wait(self._handle, number, answer)
            reactor.fail_all(self._handle, "the connection was closed")
            await tunnel.close()
        self._note_closed()
        if self._release is not None:
            self._release()
            self._release = self._reactor = None
        if tunnel is None and self.writer is not None:  # otherwise the tunnel has closed it
            await self.writer.close()

    def _note_closed(self) -> None:
        self._closed.set()
        for delivery in self._deliveries:
            delivery.cancel()

    async def _open(self, connect: ConnectPacket | None) -> tuple[int, bool]:
        """Let the engine serve the connection.

        Returns:
            Return code and session present flag of CONNACK.

        Raises:
            ProtocolHandlerError: there is no connection.
            ConnectionError: it ended before CONNACK.

        """
        session, reader, writer = self._attached()
        self._closed.clear()
        self._reactor = reactor = client_reactor(asyncio.get_running_loop())
        self._handle = reactor.open(self)
        self._release = weakref.finalize(self, _forget, reactor, self._handle)
        self._tunnel = tunnel = Tunnel(
            reader, writer, connect, watcher(self.plugins_manager, session)
        )
        settings = await tunnel.open()
        settings["clean_session"] = bool(session.clean_session)
        settings["ping_after"] = self.keepalive_timeout or 0
        number, answer = reactor.ticket(self._handle)
        reactor.engine.connect(self._handle, number, settings)
        try:
            code, present, _ = await reactor.wait(self._handle, number, answer)
        except EngineError as error:
            await self.stop()
            raise ConnectionError(str(error)) from error
        return code, present

    def _attached(self) -> tuple[Session, ReaderAdapter, WriterAdapter]:
        if self.session is None or self.reader is None or self.writer is None:
            msg = "Handler is not attached to a connection: call attach() first"
            raise ProtocolHandlerError(msg)
        return self.session, self.reader, self.writer

    async def _engine(self) -> ClientReactor:
        """Return the engine's side of the connection, which is opened if need be."""
        if self._reactor is None:
            if self._closed.is_set():
                msg = "The connection is closed: attach another one with detach() and attach()"
                raise ProtocolHandlerError(msg)
            await self._open(None)
        assert self._reactor is not None
        return self._reactor

    async def _request(self, command: str, *arguments: Any) -> Any:
        """Give the engine a command and wait for its answer."""
        reactor = await self._engine()
        try:
            number, answer = reactor.send(self._handle, command, *arguments)
        except (ValueError, OverflowError) as error:
            raise AMQTTError(str(error)) from error
        try:
            return await reactor.wait(self._handle, number, answer)
        except EngineError as error:
            msg = f"{command} was cut off: {error}"
            raise ProtocolHandlerError(msg) from error

    # -- what the engine says

    def message_received(
        self,
        topic: str,
        payload: bytes,
        qos: int,
        retain: bool,
        packet_id: int,
        size: int,
        properties: dict[str, Any] | None,
    ) -> None:
        """Take a message from the engine; not for applications."""
        del size, properties
        if self.session is not None:
            message = IncomingApplicationMessage(packet_id or None, topic, qos, payload, retain)
            self.session.delivered_message_queue.put_nowait(message)

    def connection_lost(self, reason: str) -> None:
        """Note that the connection is gone; not for applications."""
        self.logger.debug("Connection lost: %s", reason)
        if self._reactor is not None:
            self._reactor.fail_all(self._handle, reason)
        self._note_closed()

    # -- messages

    async def mqtt_publish(
        self,
        topic: str,
        data: bytes | bytearray,
        qos: int | None,
        retain: bool,
        ack_timeout: int | None = None,
    ) -> OutgoingApplicationMessage:
        """Publish a message and wait until its QoS flow is complete.

        Args:
            topic: topic name, without wildcards.
            data: payload.
            qos: quality of service, 0 to 2; None means 0.
            retain: the retain flag.
            ack_timeout: seconds to wait for the acknowledgement; None or 0 means without end.

        Returns:
            The message as it was sent.

        Raises:
            AMQTTError: `qos` is out of range, or the engine refuses the message.
            MQTTError: the topic is no topic name (MQTT-3.3.2-2).
            ProtocolHandlerError: there is no connection, or it was lost.
            asyncio.TimeoutError: the acknowledgement did not come in time.

        """
        qos = QOS_0 if qos is None else qos
        if qos not in (QOS_0, QOS_1, QOS_2):
            msg = f"QoS {qos!r} is out of range: must be 0, 1 or 2"
            raise AMQTTError(msg)
        check_topic_name(topic)
        done = self._request("publish", topic, data, qos, retain)
        packet_id, _, _ = await wait_for(done, ack_timeout or None)
        return OutgoingApplicationMessage(packet_id or None, topic, qos, data, retain)

    async def mqtt_deliver_next_message(self) -> ApplicationMessage | None:
        """Return the next received message.

        Returns:
            The message; None when the connection was closed or lost meanwhile.

        Raises:
            AMQTTError: the handler has no session.

        """
        if self.session is None:
            msg = "Handler has no session: call attach() first"
            raise AMQTTError(msg)
        queue = self.session.delivered_message_queue
        if not queue.empty():
            message: ApplicationMessage = queue.get_nowait()
            return message
        if self._closed.is_set():
            return None
        delivery = asyncio.ensure_future(queue.get())
        self._deliveries.add(delivery)
        try:
            await asyncio.wait((delivery,))
            return None if delivery.cancelled() else delivery.result()
        finally:
            delivery.cancel()
            self._deliveries.discard(delivery)


def _forget(reactor: ClientReactor, handle: int) -> None:
    try:
        reactor.engine.forget(handle)
    except RuntimeError:  # this process was forked from the handler's, which goes on there
        return
