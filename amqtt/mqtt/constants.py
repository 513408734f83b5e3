"""Constants of the MQTT protocol."""

from __future__ import annotations

QOS_0 = 0
"""At most once: sent without acknowledgement."""

QOS_1 = 1
"""At least once: repeated until it is acknowledged."""

QOS_2 = 2
"""Exactly once: a handshake of four packets."""
