"""Be an MQTT client on a connection that the application has opened."""

from __future__ import annotations

from typing import TYPE_CHECKING

from amqtt.errors import ProtocolHandlerError
from amqtt.mqtt.pingresp import PingRespPacket
from amqtt.mqtt.protocol._tunnel import connect_packet_of
from amqtt.mqtt.protocol.handler import ProtocolHandler

if TYPE_CHECKING:
    from amqtt._client.context import ClientContext  # noqa: F401  # in a text below

__all__ = ["ClientProtocolHandler", "ProtocolHandler"]


class ClientProtocolHandler(ProtocolHandler["ClientContext"]):
    """Connect, subscribe and publish through a reader and a writer of the application.

    First `attach()` the connection, then `mqtt_connect()`; at the end `mqtt_disconnect()` and
    `stop()`.
    """

    async def mqtt_connect(self) -> int | None:
        """Send CONNECT, made of the session, and wait for CONNACK.

        Without a client identifier the session gets a random one.

        Returns:
            The return code; 0 when the broker has accepted the client.

        Raises:
            ConnectionError: the connection ended before that.
            ProtocolHandlerError: the handler has no connection, or has sent CONNECT on it.

        """
        session, _, _ = self._attached()
        if self._reactor is not None:
            msg = "CONNECT can be sent once only (MQTT-3.1.0-2), and before everything else"
            raise ProtocolHandlerError(msg)
        code, present = await self._open(connect_packet_of(session))
        session.parent = int(present)
        return code

    async def mqtt_disconnect(self) -> None:
        """Send DISCONNECT and close the connection."""
        await self._end()

    async def mqtt_ping(self) -> PingRespPacket:
        """Send PINGREQ and wait for PINGRESP.

        Returns:
            A PINGRESP.

        Raises:
            ProtocolHandlerError: there is no connection, or it was lost.

        """
        await self._request("ping")
        return PingRespPacket.build()

    async def mqtt_subscribe(
        self,
        topics: list[tuple[str, int]],
        packet_id: int,  # noqa: ARG002  # part of the signature
    ) -> list[int]:
        """Subscribe to topic filters.

        Args:
            topics: pairs of filter and the highest QoS to receive.
            packet_id: has no effect: the engine takes one that is not in flight.

        Returns:
            A return code for each filter: the QoS that was granted, or 0x80.

        Raises:
            AMQTTError: there is no filter, or a QoS is out of range.
            ProtocolHandlerError: there is no connection, or it was lost.

        """
        filters = [(topic, (qos, False, False, 0)) for topic, qos in topics]
        codes, _ = await self._request("subscribe", filters)
        return list(codes)

    async def mqtt_unsubscribe(
        self,
        topics: list[str],
        packet_id: int,  # noqa: ARG002  # part of the signature
    ) -> None:
        """Remove subscriptions and wait for UNSUBACK.

        Args:
            topics: the filters.
            packet_id: has no effect: the engine takes one that is not in flight.

        Raises:
            AMQTTError: there is no filter.
            ProtocolHandlerError: there is no connection, or it was lost.

        """
        await self._request("unsubscribe", list(topics))

    async def wait_disconnect(self) -> None:
        """Wait until the connection is closed, by the peer or by `stop()`."""
        await self._closed.wait()
