"""Plugins that need more packages than the broker does: `pip install amqtt[contrib]`."""
