"""The parts of `Broker`."""
