"""Every client's messages reach every other client, at every QoS."""

import asyncio
from typing import TYPE_CHECKING

import pytest
from support.peers import KINDS, Message

if TYPE_CHECKING:
    from conftest import Peers


@pytest.mark.parametrize("qos", [0, 1, 2])
async def test_from_each_client_to_each(peers: "Peers", qos: int) -> None:
    """Four publishers in turn; four subscribers each get all of it, in order."""
    topic = f"{peers.unique}/from"
    receivers = [await peers.open(kind, f"r-{kind}") for kind in KINDS]
    await asyncio.gather(*(peer.subscribe(f"{topic}/+", qos) for peer in receivers))
    expected = []
    for kind in KINDS:
        sender = await peers.open(kind, f"s-{kind}")
        for number in range(3):
            payload = f"{kind} ü {number}".encode()
            await sender.publish(f"{topic}/{kind}", payload, qos)
            expected.append(Message(f"{topic}/{kind}", payload, qos, retain=False))
        # At QoS 0 nothing says that the broker has it: see it arrive before the next one speaks.
        heard = [await peer.receive_many(3) for peer in receivers]
        assert heard == [expected[-3:]] * len(receivers)
    assert all(peer.inbox.empty() for peer in receivers)
