"""Bring the bytes of a connection that the application holds to the engine, and back.

The engine opens its connections itself. It is let connect to a port of this process, and what it
sends there goes to the application's writer; what the application's reader has goes to the engine.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from amqtt._client.endpoint import direct_endpoint, engine_settings
from amqtt._client.plugins import wants_packets
from amqtt._compat import wait_for
from amqtt._engine.codec import PROTOCOL_3_1_1, read_or_raise
from amqtt.adapters import StreamReaderAdapter
from amqtt.errors import AMQTTError, MQTTError, NoDataError
from amqtt.events import MQTTEvents
from amqtt.mqtt import packet_from_bytes
from amqtt.mqtt.connack import ConnackPacket
from amqtt.mqtt.connect import ConnectPacket, ConnectPayload, ConnectVariableHeader
from amqtt.mqtt.packet import DISCONNECT, MQTTFixedHeader, MQTTPacket
from amqtt.utils import gen_client_id

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from amqtt.adapters import ReaderAdapter, WriterAdapter
    from amqtt.plugins.manager import PluginManager
    from amqtt.session import Session

    Watch = Callable[["Packet", bool], Awaitable[None]]

_LOOPBACK = "127.0.0.1"
# Of the CONNECT that ends in the tunnel.
_NAME = "tunnel"
# More than the CONNECT of the engine takes; a stranger gets no more memory than that.
_LONGEST_CONNECT = 1024
# Seconds that a peer has to take what was sent before the connection was closed.
_FLUSH_LIMIT = 5.0
_ENDINGS = (NoDataError, MQTTError, AMQTTError, OSError, asyncio.IncompleteReadError)

Packet = MQTTPacket[Any, Any, Any]
"""A control packet of any type."""


class Tunnel:
    """Join an engine's connection with a reader and a writer.

    Only the engine gets in: the password of its CONNECT is one that nobody else knows, and that
    CONNECT ends here.

    Args:
        reader: where the peer's packets come from.
        writer: where packets to the peer go.
        connect: the CONNECT that the peer gets; None when it has had one, or needs none. The
            engine is told then that its connection is accepted.
        watch: told each packet, and whether it was sent; None when nobody wants to know.

    Attributes:
        keeps_disconnect: whether the DISCONNECT of the engine is not for the peer.

    """

    def __init__(
        self,
        reader: ReaderAdapter,
        writer: WriterAdapter,
        connect: ConnectPacket | None,
        watch: Watch | None,
    ) -> None:
        """Make a tunnel that is not open."""
        import secrets  # a broker gets along without

        self._password = secrets.token_hex(32)
        self.keeps_disconnect = False
        self._reader = reader
        self._writer = writer
        self._connect = connect
        self._watch = watch
        self._server: asyncio.Server | None = None
        self._engine: asyncio.StreamWriter | None = None
        self._outward: asyncio.Task[None] | None = None
        self._inward: asyncio.Task[None] | None = None
        self._greetings: set[asyncio.Task[None]] = set()

    async def open(self) -> dict[str, Any]:
        """Wait for the engine.

        Returns:
            What the engine has to be given to connect.

        """
        self._server = await asyncio.start_server(self._greet, _LOOPBACK, 0)
        port: int = self._server.sockets[0].getsockname()[1]
        return engine_settings(
            direct_endpoint(_LOOPBACK, port),
            client_id=_NAME,
            user_name=_NAME,
            password=self._password.encode(),
        )

    async def close(self) -> None:
        """Send the peer what the engine has sent, then stop; the engine has ended its side.

        The writer is closed, as it also is when the engine ends the connection by itself.
        """
        if self._server is not None:
            self._server.close()
        for greeting in list(self._greetings):
            greeting.cancel()
        if self._outward is not None:
            await asyncio.wait((self._outward,), timeout=_FLUSH_LIMIT)
            self._outward.cancel()
            await asyncio.wait((self._outward,))
        if self._inward is not None:
            self._inward.cancel()
            await asyncio.wait((self._inward,))
        await self._close_writer()

    async def _close_writer(self) -> None:
        with suppress(*_ENDINGS, asyncio.TimeoutError):
            await wait_for(self._writer.close(), _FLUSH_LIMIT)

    async def _greet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._greetings.add(task)
        task.add_done_callback(self._greetings.discard)
        source = StreamReaderAdapter(reader)
        try:
            is_engine = self._engine is None and self._is_ours(
                await _read_packet(source, _LONGEST_CONNECT)
            )
        except _ENDINGS:
            is_engine = False
        if not is_engine or self._server is None:
            writer.close()
            return
        self._server.close()
        self._engine = writer
        self._outward = asyncio.create_task(self._carry_outward(source))
        self._inward = asyncio.create_task(self._carry_inward(writer))

    def _is_ours(self, data: bytes) -> bool:
        import hmac

        packet = packet_from_bytes(data)
        password = packet.password if isinstance(packet, ConnectPacket) else None
        return isinstance(password, str) and hmac.compare_digest(
            password.encode(), self._password.encode()
        )

    async def _carry_outward(self, engine: ReaderAdapter) -> None:
        """Bring packets of the engine to the peer until the engine closes."""
        try:
            if self._connect is not None:
                await self._send(self._connect.to_bytes())
            while True:
                data = await _read_packet(engine)
                if not (self.keeps_disconnect and data[0] >> 4 == DISCONNECT):
                    await self._send(data)
        except _ENDINGS:
            pass
        finally:
            await self._close_writer()

    async def _send(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()
        await self._tell(data, sent=True)

    async def _carry_inward(self, engine: asyncio.StreamWriter) -> None:
        """Bring packets of the peer to the engine until the peer closes, or is not understood."""
        try:
            if self._connect is None:
                engine.write(ConnackPacket.build(0, 0).to_bytes())
            while True:
                data = await _read_packet(self._reader)
                await self._tell(data, sent=False)
                engine.write(data)
                await engine.drain()
        except _ENDINGS:
            pass
        finally:
            engine.close()

    async def _tell(self, data: bytes, *, sent: bool) -> None:
        if self._watch is not None:
            with suppress(MQTTError):  # the engine closes the connection for it
                await self._watch(packet_from_bytes(data, PROTOCOL_3_1_1), sent)


async def _read_packet(reader: ReaderAdapter, most: int | None = None) -> bytes:
    """Read a whole packet, without looking into it.

    Args:
        reader: where to read from.
        most: the greatest Remaining Length; None means that of MQTT.

    Raises:
        NoDataError: the stream has ended.
        MQTTError: the Remaining Length is malformed or too great.

    """
    header = await MQTTFixedHeader.from_stream(reader)
    if header is None:
        msg = "No more data"
        raise NoDataError(msg)
    if most is not None and header.remaining_length > most:
        msg = f"a packet of {header.remaining_length} bytes, where at most {most} are expected"
        raise MQTTError(msg)
    rest = await read_or_raise(reader, header.remaining_length) if header.remaining_length else b""
    return header.to_bytes() + bytes(rest)


def watcher(manager: PluginManager[Any], session: Session) -> Watch | None:
    """Return what tells plugins the packets.

    Args:
        manager: the plugins.
        session: the session that they are told with the packets.

    Returns:
        To be called with a packet and whether it was sent; None when no plugin wants to know.

    """
    if not wants_packets(manager):
        return None

    async def watch(packet: Packet, sent: bool) -> None:
        event = MQTTEvents.PACKET_SENT if sent else MQTTEvents.PACKET_RECEIVED
        await manager.fire_event(event, packet=packet, session=session)

    return watch


def connect_packet_of(session: Session) -> ConnectPacket:
    """Make the CONNECT of a session.

    Args:
        session: the session; without a client identifier it gets a random one.

    Returns:
        The packet.

    """
    if session.client_id is None:
        session.client_id = gen_client_id()
    header = ConnectVariableHeader(keep_alive=session.keep_alive)
    payload = ConnectPayload(client_id=session.client_id)
    packet = ConnectPacket(variable_header=header, payload=payload)
    packet.clean_session_flag = bool(session.clean_session)
    if session.username:
        packet.username_flag = True
        packet.username = session.username
    if session.password:
        packet.password_flag = True
        packet.password = session.password
    if session.will_flag:
        packet.will_flag = True
        packet.will_topic = session.will_topic
        packet.will_message = session.will_message
        packet.will_qos = session.will_qos or 0
        packet.will_retain_flag = bool(session.will_retain)
    return packet
