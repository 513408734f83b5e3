"""Let a Python module decide that was written for mosquitto_pyauth."""

from amqtt.contrib.pyauth.module import AuthModuleError
from amqtt.contrib.pyauth.plugin import PyAuthPlugin

__all__ = ["AuthModuleError", "PyAuthPlugin"]
