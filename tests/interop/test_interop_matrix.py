"""Every client's messages reach every other client, at every QoS, in both protocol versions."""

import asyncio
from typing import TYPE_CHECKING

import pytest
from support.peers import KINDS, Message

if TYPE_CHECKING:
    from conftest import Peers


@pytest.mark.parametrize("qos", [0, 1, 2])
async def test_from_each_client_to_each(peers: "Peers", qos: int) -> None:
    """Each client publishes in turn, in both versions; all get all of it, in order."""
    topic = f"{peers.unique}/from"
    every = [(kind, level) for kind in KINDS for level in (4, 5)]
    receivers = [await peers.open(kind, f"r-{kind}{level}", version=level) for kind, level in every]
    await asyncio.gather(*(peer.subscribe(f"{topic}/+", qos) for peer in receivers))
    expected = []
    for kind, level in every:
        sender = await peers.open(kind, f"s-{kind}{level}", version=level)
        for number in range(3):
            payload = f"{kind} ü {number}".encode()
            await sender.publish(f"{topic}/{kind}{level}", payload, qos)
            expected.append(Message(f"{topic}/{kind}{level}", payload, qos, retain=False))
        # At QoS 0 nothing says that the broker has it: see it arrive before the next one speaks.
        heard = [await peer.receive_many(3) for peer in receivers]
        assert heard == [expected[-3:]] * len(receivers)
    assert all(peer.inbox.empty() for peer in receivers)
