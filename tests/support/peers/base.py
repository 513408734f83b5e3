"""What the tests ask of a client, whichever project it comes from."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

LIMIT = 30.0


@dataclass(frozen=True)
class Properties:
    """The properties of MQTT 5.0 that travel with a message; in 3.1.1 there are none."""

    user: tuple[tuple[str, str], ...] = ()
    content_type: str | None = None
    response_topic: str | None = None
    correlation_data: bytes | None = None
    expiry: int | None = None
    subscription_ids: tuple[int, ...] = ()


NO_PROPERTIES = Properties()


@dataclass(frozen=True)
class Message:
    """A message as the client saw it."""

    topic: str
    payload: bytes
    qos: int
    retain: bool
    properties: Properties = NO_PROPERTIES

    def __repr__(self) -> str:
        """Show long payloads by their length."""
        payload = self.payload if len(self.payload) < 80 else f"<{len(self.payload)} bytes>"
        more = "" if self.properties == NO_PROPERTIES else f", {self.properties}"
        return f"Message({self.topic!r}, {payload!r}, qos={self.qos}, retain={self.retain}{more})"


@dataclass(frozen=True)
class Acknowledged:
    """What the broker said to a publication: code and reason string of PUBACK or PUBREC."""

    code: int = 0
    reason: str | None = None


@dataclass(frozen=True)
class Will:
    """A will to connect with."""

    topic: str
    payload: bytes
    qos: int = 0
    retain: bool = False
    properties: Properties = NO_PROPERTIES
    delay: int | None = None


@dataclass(frozen=True)
class PeerOptions:
    """How a client connects. The user name makes persistent sessions possible everywhere.

    The transport is one of ``tcp``, ``tls``, ``ws`` and ``wss``; for the encrypted ones ``cafile``
    has the authority of the broker's certificate.

    In MQTT 5.0, ``version`` 5, a session that is not clean outlives its connection by
    ``session_expiry`` seconds, ``topic_aliases`` is the Topic Alias Maximum, ``receive_maximum``
    and ``problem_information`` are Receive Maximum and Request Problem Information, and an empty
    ``client_id`` lets the broker choose. Not every client has all of these. One that does not
    acknowledge by itself waits for ``acknowledge``.
    """

    port: int
    client_id: str
    clean: bool = True
    will: Will | None = None
    username: str = "interop"
    transport: str = "tcp"
    cafile: str | None = None
    version: int = 4
    session_expiry: int = 3600
    topic_aliases: int = 0
    receive_maximum: int | None = None
    problem_information: bool | None = None
    acknowledges: bool = True

    @property
    def kept_for(self) -> int:
        """Return the seconds that a session of MQTT 5.0 is to outlive its connection."""
        return 0 if self.clean else self.session_expiry


class Peer(ABC):
    """One client. Messages that arrive are kept until ``receive`` takes them.

    Attributes:
        session_present: what CONNACK said, None for a client that does not tell.
        assigned_id: the client id that the broker chose.

    """

    session_present: bool | None = None
    assigned_id: str | None = None

    def __init__(self, options: PeerOptions) -> None:
        """Remember how to connect."""
        self.options = options
        self.inbox: asyncio.Queue[Message] = asyncio.Queue()

    @abstractmethod
    async def connect(self) -> None:
        """Connect and wait for CONNACK."""

    @abstractmethod
    async def subscribe(self, topic_filter: str, qos: int, identifier: int | None = None) -> None:
        """Subscribe and wait for SUBACK.

        ``identifier`` is the Subscription Identifier. Mosquitto's client subscribes once.
        """

    @abstractmethod
    async def publish(
        self,
        topic: str,
        payload: bytes,
        qos: int = 0,
        *,
        retain: bool = False,
        properties: Properties = NO_PROPERTIES,
    ) -> Acknowledged | None:
        """Publish and wait for the acknowledgement that the QoS asks for.

        Returns:
            What it says, None for a client that does not tell.

        """

    @abstractmethod
    async def disconnect(self) -> None:
        """Send DISCONNECT and close."""

    @abstractmethod
    async def abort(self) -> None:
        """Vanish without DISCONNECT."""

    def acknowledge(self) -> None:
        """Acknowledge the oldest message that is not."""
        raise NotImplementedError

    async def resume(self, topic_filter: str, qos: int) -> None:  # noqa: ARG002
        """Connect to a session that has this subscription, without subscribing again."""
        await self.connect()

    async def publish_all(self, topic: str, payloads: Sequence[bytes], qos: int) -> None:
        """Publish lines of text in order."""
        for payload in payloads:
            await self.publish(topic, payload, qos)

    async def receive(self) -> Message:
        """Return the next message."""
        return await asyncio.wait_for(self.inbox.get(), LIMIT)

    async def receive_many(self, count: int) -> list[Message]:
        """Return the next ``count`` messages."""
        return [await self.receive() for _ in range(count)]
