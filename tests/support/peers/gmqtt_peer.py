"""gmqtt: a client on asyncio with its own codec."""

import asyncio
import ssl
from typing import Any

from .base import LIMIT, NO_PROPERTIES, Message, Peer, Properties

_NAMES = {
    "content_type": "content_type",
    "response_topic": "response_topic",
    "correlation_data": "correlation_data",
    "expiry": "message_expiry_interval",
}


def _to_gmqtt(given: Properties) -> dict[str, Any]:
    made: dict[str, Any] = {"user_property": list(given.user)} if given.user else {}
    for ours, theirs in _NAMES.items():
        if (value := getattr(given, ours)) is not None:
            made[theirs] = value
    return made


def _from_gmqtt(seen: dict[str, Any]) -> Properties:
    found = {ours: seen[theirs][0] for ours, theirs in _NAMES.items() if theirs in seen}
    return Properties(
        user=tuple(seen.get("user_property", ())),
        subscription_ids=tuple(seen.get("subscription_identifier", ())),
        **found,
    )


class GmqttPeer(Peer):
    """The client of the gmqtt project, which has TCP and TLS."""

    _client: Any = None

    async def connect(self) -> None:
        """Connect and wait for CONNACK."""
        import gmqtt

        options = self.options
        is_v5 = options.version == 5
        will = None
        if given := options.will:
            more = _to_gmqtt(given.properties) if is_v5 else {}
            if given.delay is not None:
                more["will_delay_interval"] = given.delay
            will = gmqtt.Message(given.topic, given.payload, given.qos, given.retain, **more)
        client = gmqtt.Client(
            options.client_id, options.clean, will_message=will, **self._connect_properties()
        )
        client.set_auth_credentials(options.username)
        client.set_config({"reconnect_retries": 0})
        client.on_connect = self._on_connect
        client.on_message = self._on_message
        client.on_subscribe = self._on_subscribe
        self._granted: asyncio.Future[tuple[int, ...]] | None = None
        context = ssl.create_default_context(cafile=options.cafile) if options.cafile else False
        connecting = client.connect("127.0.0.1", options.port, context, version=options.version)
        await asyncio.wait_for(connecting, LIMIT)
        self._client = client

    async def subscribe(self, topic_filter: str, qos: int, identifier: int | None = None) -> None:
        """Subscribe and wait for SUBACK."""
        granted = self._granted = asyncio.get_running_loop().create_future()
        more = {} if identifier is None else {"subscription_identifier": identifier}
        self._client.subscribe(topic_filter, qos, **more)
        assert await asyncio.wait_for(granted, LIMIT) == (qos,)

    async def publish(
        self,
        topic: str,
        payload: bytes,
        qos: int = 0,
        *,
        retain: bool = False,
        properties: Properties = NO_PROPERTIES,
    ) -> None:
        """Publish and wait until nothing that was published lacks its acknowledgement."""
        more = _to_gmqtt(properties) if self.options.version == 5 else {}
        self._client.publish(topic, payload, qos, retain, **more)
        await asyncio.wait_for(self._client._persistent_storage.wait_empty(), LIMIT)

    async def disconnect(self) -> None:
        """Send DISCONNECT and close."""
        if self._client is not None:
            client, self._client = self._client, None
            await client.disconnect()

    async def abort(self) -> None:
        """Drop the connection under the client."""
        if self._client is not None:
            client, self._client = self._client, None
            client._is_active = False  # else it comes back
            client._connection._transport.abort()
            await client._connection.close()

    def _connect_properties(self) -> dict[str, Any]:
        options = self.options
        wanted = {
            "session_expiry_interval": options.kept_for or None,
            "topic_alias_maximum": options.topic_aliases or None,
            "receive_maximum": options.receive_maximum,
            "request_problem_info": options.problem_information,
        }
        return {name: value for name, value in wanted.items() if value is not None}

    def _on_connect(self, _client: Any, flags: int, _code: int, more: Any) -> None:
        self.session_present = bool(flags)
        self.assigned_id = next(iter(more.get("assigned_client_identifier", ())), None)

    def _on_message(self, _client: Any, topic: str, payload: bytes, qos: int, more: Any) -> None:
        retain = bool(more["retain"])
        self.inbox.put_nowait(Message(topic, bytes(payload), qos, retain, _from_gmqtt(more)))

    def _on_subscribe(self, _client: Any, _mid: int, codes: tuple[int, ...], _more: Any) -> None:
        if self._granted is not None and not self._granted.done():
            self._granted.set_result(codes)
