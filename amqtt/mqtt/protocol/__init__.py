"""MQTT on a connection that the application brings."""
