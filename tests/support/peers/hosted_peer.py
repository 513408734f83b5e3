"""A client in a host process: one class for the clients of every language but Python."""

import asyncio
import base64
from typing import Any

from .base import NO_PROPERTIES, Acknowledged, Peer, PeerOptions, Properties
from .host import Host, properties_to_json


class HostedPeer(Peer):
    """A client that lives in ``host``."""

    def __init__(self, options: PeerOptions, host: Host) -> None:
        """Choose a name for it: that of the client id may be left to the broker."""
        super().__init__(options)
        self._host = host
        self._name = options.client_id or f"unnamed-{id(self)}"
        self._open = False
        host.register(self._name, self.inbox)

    async def connect(self) -> None:
        """Connect and wait for CONNACK."""
        options = self.options
        how: dict[str, Any] = {}
        if options.cafile:
            how["ca"] = options.cafile
        if options.will:
            how["will"] = self._will()
        if options.version == 5:
            if options.kept_for:
                how["session_expiry"] = options.kept_for
            if options.topic_aliases:
                how["topic_aliases"] = options.topic_aliases
            if options.receive_maximum:
                how["receive_maximum"] = options.receive_maximum
            if options.problem_information is not None:
                how["problem_information"] = options.problem_information
        result = await self._ask(
            "connect",
            transport=options.transport,
            port=options.port,
            client_id=options.client_id,
            version=options.version,
            clean=options.clean,
            username=options.username,
            **how,
        )
        self._open = True
        self.session_present = result.get("session_present")
        self.assigned_id = result.get("assigned_id")

    async def subscribe(self, topic_filter: str, qos: int, identifier: int | None = None) -> None:
        """Subscribe and wait for SUBACK."""
        more = {} if identifier is None else {"identifier": identifier}
        result = await self._ask("subscribe", filter=topic_filter, qos=qos, **more)
        assert result["codes"] == [qos]

    async def publish(
        self,
        topic: str,
        payload: bytes,
        qos: int = 0,
        *,
        retain: bool = False,
        properties: Properties = NO_PROPERTIES,
    ) -> Acknowledged:
        """Publish and wait for the acknowledgement."""
        result = await self._ask(
            "publish",
            topic=topic,
            payload=base64.b64encode(payload).decode(),
            qos=qos,
            retain=retain,
            properties=properties_to_json(properties),
        )
        return Acknowledged(result.get("code", 0), result.get("reason"))

    async def disconnect(self) -> None:
        """Send DISCONNECT and close."""
        await self._close("disconnect")

    async def abort(self) -> None:
        """Drop the connection."""
        await self._close("abort")

    def _will(self) -> dict[str, Any]:
        will = self.options.will
        assert will is not None
        made: dict[str, Any] = {
            "topic": will.topic,
            "payload": base64.b64encode(will.payload).decode(),
            "qos": will.qos,
            "retain": will.retain,
            "properties": properties_to_json(will.properties),
        }
        return made if will.delay is None else {**made, "delay": will.delay}

    async def _close(self, op: str) -> None:
        if self._open:
            self._open = False
            await self._ask(op)
            self._host.forget(self._name)

    async def _ask(self, op: str, **arguments: object) -> dict[str, Any]:
        return await self._host.ask(op, self._name, **arguments)


class LonePeer(HostedPeer):
    """A client that has a process of its own, for a library that serves many clients badly."""

    def __init__(self, options: PeerOptions, host: Host) -> None:
        """Make one more of ``host``."""
        super().__init__(options, host.another())

    async def disconnect(self) -> None:
        """Send DISCONNECT and end the process."""
        try:
            await super().disconnect()
        finally:
            await asyncio.to_thread(self._host.stop)

    async def abort(self) -> None:
        """Kill the process."""
        self._open = False
        await asyncio.to_thread(self._host.kill)
