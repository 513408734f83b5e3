"""The Python MQTT clients beside each other: one driver a client, one process a measurement."""
