"""The types of control packets (section 2.2.1, in MQTT 5.0 section 2.1.2)."""

from __future__ import annotations

RESERVED_0 = 0
CONNECT = 1
CONNACK = 2
PUBLISH = 3
PUBACK = 4
PUBREC = 5
PUBREL = 6
PUBCOMP = 7
SUBSCRIBE = 8
SUBACK = 9
UNSUBSCRIBE = 10
UNSUBACK = 11
PINGREQ = 12
PINGRESP = 13
DISCONNECT = 14
RESERVED_15 = 15
AUTH = 15
"""Authentication exchange, in MQTT 5.0 only."""
