"""What is new in MQTT 5.0, with the clients of other projects."""

import asyncio
import time
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from support.peers import KINDS, Message, Properties, Will

if TYPE_CHECKING:
    from conftest import Peers

pytestmark = pytest.mark.parametrize("version", [5], ids=["v5"], indirect=True)
each_kind = pytest.mark.parametrize("kind", KINDS)

# The clients that show CONNACK and leave their id to the broker.
TELLING = ("paho", "node", "chromium", "paho-go", "paho-c")

FULL = Properties(
    user=(("a", "1"), ("a", "2"), ("b", "ü"), ("c", "3")),
    content_type="text/plain",
    response_topic="reply/to",
    correlation_data=b"number-7",
    expiry=1000,
)


@each_kind
@pytest.mark.parametrize("qos", [0, 1, 2])
async def test_properties_reach_every_client(peers: "Peers", kind: str, qos: int) -> None:
    """All of them in order; a subscriber of 3.1.1 gets the message without."""
    topic = f"{peers.unique}/t"
    receivers = [await peers.open(other, f"r-{other}") for other in KINDS]
    old = await peers.open("paho", "old", version=4)
    await asyncio.gather(*(peer.subscribe(topic, qos) for peer in [*receivers, old]))
    sender = await peers.open(kind, "s")
    await sender.publish(topic, b"x", qos, properties=FULL)
    for peer in receivers:
        assert await peer.receive() == Message(topic, b"x", qos, False, FULL)
    assert await old.receive() == Message(topic, b"x", qos, False)


@each_kind
async def test_request_and_response(peers: "Peers", kind: str) -> None:
    """Every client answers a request of this one, and this one those of every client."""
    services = [await peers.open(other, f"s-{other}") for other in KINDS]
    for other, service in zip(KINDS, services, strict=True):
        await service.subscribe(f"{peers.unique}/ask/{other}", 1)
    answers = f"{peers.unique}/answers"
    client = await peers.open(kind, "c")
    await client.subscribe(answers, 1)
    for number, other in enumerate(KINDS):
        mark = f"request-{number}".encode()
        ask = Properties(response_topic=answers, correlation_data=mark)
        await client.publish(f"{peers.unique}/ask/{other}", b"2 + 2", 1, properties=ask)
        request = await services[number].receive()
        assert request.properties == ask
        assert request.properties.response_topic is not None
        answer = Properties(correlation_data=request.properties.correlation_data)
        await services[number].publish(
            request.properties.response_topic, b"4", 1, properties=answer
        )
        assert await client.receive() == Message(answers, b"4", 1, False, answer)


@each_kind
async def test_message_expiry(peers: "Peers", kind: str) -> None:
    """Of two messages that wait for the client one expires; the other says what it has left."""
    topic = f"{peers.unique}/t"
    first = await peers.open(kind, "r", clean=False)
    await first.subscribe(topic, 1)
    await first.disconnect()
    sender = await peers.open(kind, "s")
    await sender.publish(topic, b"short", 1, properties=Properties(expiry=1))
    await sender.publish(topic, b"long", 1, properties=Properties(expiry=1000))
    await asyncio.sleep(1.5)
    again = peers.make(kind, "r", clean=False)
    await again.resume(topic, 1)
    got = await again.receive()
    assert got.payload == b"long"
    assert got.properties.expiry is not None
    assert 900 < got.properties.expiry < 1000


@each_kind
async def test_session_expiry(peers: "Peers", kind: str) -> None:
    """A session is there before its time has passed, and gone after it."""
    topic = f"{peers.unique}/t"
    first = await peers.open(kind, "r", clean=False, session_expiry=2)
    await first.subscribe(topic, 1)
    await first.disconnect()
    sender = await peers.open(kind, "s")
    await sender.publish(topic, b"kept", 1)
    second = peers.make(kind, "r", clean=False, session_expiry=2)
    await second.resume(topic, 1)
    assert await second.receive() == Message(topic, b"kept", 1, retain=False)
    await second.disconnect()
    await sender.publish(topic, b"lost", 1)
    await asyncio.sleep(2.5)
    third = await peers.open(kind, "r", clean=False, session_expiry=2)
    await third.subscribe(topic, 1)
    await sender.publish(topic, b"live", 1)
    assert await third.receive() == Message(topic, b"live", 1, retain=False)


@each_kind
async def test_will_with_delay_and_properties(peers: "Peers", kind: str) -> None:
    """The will comes after its delay with its properties, unless the client is back by then."""
    topic = f"{peers.unique}/will"
    receiver = await peers.open("paho", "r")
    await receiver.subscribe(topic, 1)
    # The client in Go sends no other properties of a will.
    given = Properties(user=FULL.user) if kind == "paho-go" else FULL
    will = Will(topic, b"gone", 1, properties=given, delay=2)
    for name in ("back", "away"):
        peer = await peers.open(kind, name, clean=False, will=will)
        await peer.abort()
    start = time.monotonic()
    await peers.open(kind, "back", clean=False, will=Will(f"{topic}/other", b"x"))
    assert await receiver.receive() == Message(topic, b"gone", 1, False, given)
    assert time.monotonic() - start > 1
    await asyncio.sleep(0.5)
    assert receiver.inbox.empty()


async def test_shared_subscription(peers: "Peers") -> None:
    """Clients of every kind share the work; each message goes to one of them, none is lost."""
    topic = f"{peers.unique}/work"
    members = [await peers.open(kind, f"m-{kind}") for kind in KINDS]
    members += [await peers.open("paho", "m-old", version=4)]
    await asyncio.gather(*(peer.subscribe(f"$share/team/{topic}", 1) for peer in members))
    watcher = await peers.open("paho", "w")
    await watcher.subscribe(topic, 1)
    sender = await peers.open("aiomqtt", "s")
    jobs = [b"%d" % number for number in range(50)]
    await sender.publish_all(topic, jobs, 1)
    assert [message.payload for message in await watcher.receive_many(50)] == jobs
    done: Counter[bytes] = Counter()
    async with asyncio.timeout(30):
        while done.total() < 50:
            for peer in members:
                while not peer.inbox.empty():
                    done[peer.inbox.get_nowait().payload] += 1
            await asyncio.sleep(0.01)
    await asyncio.sleep(0.2)
    assert all(peer.inbox.empty() for peer in members)
    assert done == Counter(jobs)


@pytest.mark.parametrize("kind", ["paho", "gmqtt", "node", "chromium", "paho-go", "paho-c"])
async def test_topic_aliases(peers: "Peers", kind: str) -> None:
    """A client that accepts two aliases gets every message under its topic."""
    receiver = await peers.open(kind, "r", topic_aliases=2)
    await receiver.subscribe(f"{peers.unique}/#", 1)
    sender = await peers.open("paho", "s")
    expected = []
    for number in range(20):
        topic = f"{peers.unique}/{number % 4}"
        await sender.publish(topic, b"%d" % number, number % 2)
        expected.append(Message(topic, b"%d" % number, number % 2, retain=False))
    got = await receiver.receive_many(20)
    for qos in (0, 1):
        of_level = [message for message in expected if message.qos == qos]
        assert [message for message in got if message.qos == qos] == of_level


@each_kind
async def test_subscription_identifiers(peers: "Peers", kind: str) -> None:
    """A message says by which subscription it comes, and by which two."""
    topic = f"{peers.unique}/t"
    receiver = await peers.open(kind, "r")
    await receiver.subscribe(topic, 1, identifier=7)
    sender = await peers.open(kind, "s")
    await sender.publish(topic, b"one", 1)
    seen = await receiver.receive()
    assert seen == Message(topic, b"one", 1, False, Properties(subscription_ids=(7,)))
    if kind in ("mosquitto", "paho-go"):  # subscribes once, shows one identifier
        return
    await receiver.subscribe(f"{peers.unique}/#", 1, identifier=268_435_455)
    await sender.publish(topic, b"two", 1)
    identifiers: set[int] = set()
    while len(identifiers) < 2:  # in one message, or in one for each subscription
        identifiers.update((await receiver.receive()).properties.subscription_ids)
    assert identifiers == {7, 268_435_455}


@pytest.mark.parametrize("kind", TELLING)
async def test_assigned_client_id(peers: "Peers", kind: str) -> None:
    """A client without an id is given one, each another, and is told which."""
    first = await peers.open(kind, "a", client_id="")
    second = await peers.open(kind, "b", client_id="")
    assert first.assigned_id
    assert second.assigned_id
    assert first.assigned_id != second.assigned_id
    named = await peers.open(kind, "c")
    assert not named.assigned_id


@pytest.mark.parametrize("kind", [*TELLING, "gmqtt"])
async def test_session_present(peers: "Peers", kind: str) -> None:
    """CONNACK tells whether there was a session."""
    present = []
    for clean in (False, False, True, False):
        peer = await peers.open(kind, "r", clean=clean)
        present.append(peer.session_present)
        await peer.disconnect()
    assert present == [False, True, False, False]


@each_kind
@pytest.mark.parametrize("qos", [1, 2])
async def test_receive_maximum_of_one(peers: "Peers", kind: str, qos: int) -> None:
    """A client that takes one message at a time gets all of them, in order."""
    topic = f"{peers.unique}/t"
    receiver = await peers.open(kind, "r", receive_maximum=1)
    await receiver.subscribe(topic, qos)
    sender = await peers.open(kind, "s")
    payloads = [b"%d" % number for number in range(20)]
    await sender.publish_all(topic, payloads, qos)
    assert [message.payload for message in await receiver.receive_many(20)] == payloads


@pytest.mark.parametrize("qos", [1, 2])
async def test_receive_maximum_is_kept(peers: "Peers", qos: int) -> None:
    """Without acknowledgement no more than three come; each acknowledgement brings one more."""
    topic = f"{peers.unique}/t"
    receiver = await peers.open("paho", "r", receive_maximum=3, acknowledges=False)
    await receiver.subscribe(topic, qos)
    sender = await peers.open("paho", "s")
    await sender.publish_all(topic, [b"%d" % number for number in range(6)], qos)
    first = await receiver.receive_many(3)
    assert [message.payload for message in first] == [b"0", b"1", b"2"]
    for number in range(3, 6):
        await receiver.subscribe(f"{topic}/{number}", 0)  # what was sent before SUBACK is here
        assert receiver.inbox.empty()
        receiver.acknowledge()
        assert await receiver.receive() == Message(topic, b"%d" % number, qos, retain=False)
    for _ in range(3):
        receiver.acknowledge()


@each_kind
async def test_retained_properties(peers: "Peers", kind: str) -> None:
    """A retained message keeps its properties, for clients of every kind."""
    topic = f"{peers.unique}/t"
    kept = Properties(FULL.user, FULL.content_type, FULL.response_topic, FULL.correlation_data)
    sender = await peers.open(kind, "s")
    await sender.publish(topic, b"x", 1, retain=True, properties=kept)
    for other in KINDS:
        receiver = await peers.open(other, f"r-{other}")
        await receiver.subscribe(topic, 1)
        assert await receiver.receive() == Message(topic, b"x", 1, True, kept)
