"""MQTT vocabulary: constants of the protocol."""
