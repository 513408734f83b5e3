"""mqtt.js: one node process per test hosts all of its clients, driven by JSON lines."""

import asyncio
import base64
import itertools
import json
from pathlib import Path
from typing import Any

from .base import LIMIT, NO_PROPERTIES, Message, Peer, PeerOptions, Properties

_LINE_LIMIT = 64 << 20


class NodeHost:
    """The node process."""

    def __init__(self, folder: Path) -> None:
        """Remember the folder that holds the script and its packages."""
        self._folder = folder
        self._numbers = itertools.count(1)
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._inboxes: dict[str, asyncio.Queue[Message]] = {}
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start the process."""
        self._process = await asyncio.create_subprocess_exec(
            "node",
            "client.mjs",
            cwd=self._folder,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=_LINE_LIMIT,
        )
        self._reader = asyncio.create_task(self._read(self._process))

    async def stop(self) -> None:
        """End it by closing its input."""
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()
            await asyncio.wait_for(self._process.wait(), LIMIT)
            await self._reader

    def register(self, client: str, inbox: "asyncio.Queue[Message]") -> None:
        """Let the messages of ``client`` go to ``inbox``."""
        self._inboxes[client] = inbox

    async def ask(self, op: str, client: str, **arguments: object) -> dict[str, Any]:
        """Send a request and return its answer."""
        if self._process is None:
            await self.start()
        assert self._process is not None
        assert self._process.stdin is not None
        number = next(self._numbers)
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._answers[number] = answer
        request = {"id": number, "op": op, "client": client, **arguments}
        self._process.stdin.write(json.dumps(request).encode() + b"\n")
        await self._process.stdin.drain()
        result = await asyncio.wait_for(answer, LIMIT)
        assert "error" not in result, f"{op}: {result['error']}"
        return result

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        while line := await process.stdout.readline():
            value = json.loads(line)
            if "id" in value:
                self._answers.pop(value["id"]).set_result(value)
            else:
                payload = base64.b64decode(value["payload"])
                properties = _from_node(value["properties"])
                message = Message(
                    value["topic"], payload, value["qos"], value["retain"], properties
                )
                self._inboxes[value["client"]].put_nowait(message)


def _to_node(given: Properties) -> dict[str, Any]:
    made: dict[str, Any] = {}
    if given.user:
        user: dict[str, list[str]] = {}
        for name, value in given.user:
            user.setdefault(name, []).append(value)
        made["userProperties"] = user
    if given.content_type is not None:
        made["contentType"] = given.content_type
    if given.response_topic is not None:
        made["responseTopic"] = given.response_topic
    if given.correlation_data is not None:
        made["correlationData"] = base64.b64encode(given.correlation_data).decode()
    if given.expiry is not None:
        made["messageExpiryInterval"] = given.expiry
    return made


def _from_node(seen: dict[str, Any]) -> Properties:
    data = seen.get("correlationData")
    user: list[tuple[str, str]] = []
    for name, values in seen.get("userProperties", {}).items():
        user += [(name, value) for value in (values if isinstance(values, list) else [values])]
    return Properties(
        user=tuple(user),
        content_type=seen.get("contentType"),
        response_topic=seen.get("responseTopic"),
        correlation_data=None if data is None else base64.b64decode(data),
        expiry=seen.get("messageExpiryInterval"),
    )


class NodePeer(Peer):
    """The npm client ``mqtt``."""

    def __init__(self, options: PeerOptions, host: NodeHost) -> None:
        """Use ``host`` for the client."""
        super().__init__(options)
        self._host = host
        self._open = False
        host.register(options.client_id, self.inbox)

    async def connect(self) -> None:
        """Connect and wait for CONNACK."""
        options = self.options
        will: dict[str, Any] = {}
        if given := options.will:
            payload = base64.b64encode(given.payload).decode()
            will = {"topic": given.topic, "payload": payload}
            will |= {"qos": given.qos, "retain": given.retain}
            if options.version == 5:
                delay = {} if given.delay is None else {"willDelayInterval": given.delay}
                will["properties"] = _to_node(given.properties) | delay
        properties: dict[str, Any] = {}
        if options.version == 5 and options.kept_for:
            properties["sessionExpiryInterval"] = options.kept_for
        if options.topic_aliases:
            properties["topicAliasMaximum"] = options.topic_aliases
        await self._host.ask(
            "connect",
            options.client_id,
            port=options.port,
            clientId=options.client_id,
            clean=options.clean,
            username=options.username,
            protocolVersion=options.version,
            **({"properties": properties} if properties else {}),
            protocol={"tcp": "mqtt", "tls": "mqtts"}.get(options.transport, options.transport),
            **({"ca": Path(options.cafile).read_text()} if options.cafile else {}),
            **({"will": will} if will else {}),
        )
        self._open = True

    async def subscribe(self, topic_filter: str, qos: int) -> None:
        """Subscribe and wait for SUBACK."""
        result = await self._ask("subscribe", filter=topic_filter, qos=qos)
        assert result["granted"] == [qos]

    async def publish(
        self,
        topic: str,
        payload: bytes,
        qos: int = 0,
        *,
        retain: bool = False,
        properties: Properties = NO_PROPERTIES,
    ) -> None:
        """Publish and wait for the acknowledgement."""
        body = base64.b64encode(payload).decode()
        more = {"properties": _to_node(properties)} if self.options.version == 5 else {}
        await self._ask("publish", topic=topic, payload=body, qos=qos, retain=retain, **more)

    async def disconnect(self) -> None:
        """Send DISCONNECT and close."""
        if self._open:
            self._open = False
            await self._ask("disconnect")

    async def abort(self) -> None:
        """Destroy the socket."""
        if self._open:
            self._open = False
            await self._ask("abort")

    async def _ask(self, op: str, **arguments: object) -> dict[str, Any]:
        return await self._host.ask(op, self.options.client_id, **arguments)
