"""Helpers of the tests: brokers as subprocesses, raw MQTT peers, wire cases."""
