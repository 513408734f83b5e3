"""Constants of the MQTT protocol: the quality of service of a message."""

from __future__ import annotations

from amqtt._engine.codes import QOS_0, QOS_1, QOS_2

__all__ = ["QOS_0", "QOS_1", "QOS_2"]
