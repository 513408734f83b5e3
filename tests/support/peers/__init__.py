"""MQTT clients of other projects behind one asyncio interface, for interoperability tests."""

import importlib.util
import shutil

from .aiomqtt_peer import AiomqttPeer
from .base import Message, Peer, PeerOptions, Properties, Will
from .mosquitto_peer import MosquittoPeer
from .node_peer import NodeHost, NodePeer
from .paho_peer import PahoPeer

KINDS = ("mosquitto", "paho", "aiomqtt", "node")
# What each can do beside TCP; the command line clients of Mosquitto speak no WebSocket.
SECURE_TRANSPORTS = [
    (kind, transport)
    for kind in KINDS
    for transport in ("tls", "ws", "wss")
    if kind != "mosquitto" or transport == "tls"
]

__all__ = [
    "KINDS",
    "SECURE_TRANSPORTS",
    "Message",
    "NodeHost",
    "Peer",
    "PeerOptions",
    "Properties",
    "Will",
    "missing_tool",
    "open_peer",
]


def missing_tool(kind: str) -> str | None:
    """Return what is not installed of that kind of client, None if all is there."""
    if kind == "mosquitto":
        names = ("mosquitto_pub", "mosquitto_sub", "stdbuf")
        tools = [name for name in names if not shutil.which(name)]
        return f"{' and '.join(tools)} not found" if tools else None
    if kind == "node":
        tools = [name for name in ("node", "npm") if not shutil.which(name)]
        return f"{' and '.join(tools)} not found" if tools else None
    module = {"paho": "paho.mqtt", "aiomqtt": "aiomqtt"}[kind]
    try:
        found = importlib.util.find_spec(module)
    except ModuleNotFoundError:
        found = None
    return None if found else f"the Python package {module} is not installed"


def open_peer(kind: str, options: PeerOptions, node: NodeHost | None) -> Peer:
    """Return an unconnected client of that kind."""
    if kind == "mosquitto":
        return MosquittoPeer(options)
    if kind == "paho":
        return PahoPeer(options)
    if kind == "aiomqtt":
        return AiomqttPeer(options)
    if node is None:
        msg = "the node client needs its host process"
        raise ValueError(msg)
    return NodePeer(options, node)
