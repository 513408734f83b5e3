"""The parts of `MQTTClient`."""
