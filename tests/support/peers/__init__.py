"""MQTT clients of other projects behind one asyncio interface, for interoperability tests."""

import importlib.util
import shutil

from .aiomqtt_peer import AiomqttPeer
from .base import Acknowledged, Message, Peer, PeerOptions, Properties, Will
from .gmqtt_peer import GmqttPeer
from .host import Host
from .hosted_peer import HostedPeer, LonePeer
from .hosts import HOSTS, MissingToolError, make_host
from .mosquitto_peer import MosquittoPeer
from .paho_peer import PahoPeer

_CLASSES = {
    "mosquitto": MosquittoPeer,
    "paho": PahoPeer,
    "aiomqtt": AiomqttPeer,
    "gmqtt": GmqttPeer,
}
KINDS = (*_CLASSES, *HOSTS)
_TRANSPORTS = {
    "mosquitto": ("tcp", "tls"),
    "gmqtt": ("tcp", "tls"),
    "chromium": ("ws", "wss"),
}
TRANSPORTS = {kind: _TRANSPORTS.get(kind, ("tcp", "tls", "ws", "wss")) for kind in KINDS}
SECURE_TRANSPORTS = [
    (kind, transport) for kind in KINDS for transport in TRANSPORTS[kind] if transport != "tcp"
]

__all__ = [
    "HOSTS",
    "KINDS",
    "SECURE_TRANSPORTS",
    "TRANSPORTS",
    "Acknowledged",
    "Host",
    "Message",
    "MissingToolError",
    "Peer",
    "PeerOptions",
    "Properties",
    "Will",
    "make_host",
    "missing_tool",
    "open_peer",
]


def missing_tool(kind: str) -> str | None:
    """Return what is not installed of that kind of client, None if all is there.

    For a client in a host process ``make_host`` tells.
    """
    if kind in HOSTS:
        return None
    if kind == "mosquitto":
        names = ("mosquitto_pub", "mosquitto_sub", "stdbuf")
        tools = [name for name in names if not shutil.which(name)]
        return f"{' and '.join(tools)} not found" if tools else None
    module = {"paho": "paho.mqtt"}.get(kind, kind)
    try:
        found = importlib.util.find_spec(module)
    except ModuleNotFoundError:
        found = None
    return None if found else f"the Python package {module} is not installed"


def open_peer(kind: str, options: PeerOptions, host: Host | None) -> Peer:
    """Return an unconnected client of that kind, in ``host`` if its kind needs one."""
    if kind not in HOSTS:
        return _CLASSES[kind](options)
    if host is None:
        msg = f"the client {kind} needs its host process"
        raise ValueError(msg)
    # Its library looks at a new socket only when a second has passed, or another socket is ready.
    return (LonePeer if kind == "paho-c" else HostedPeer)(options, host)
