"""The exceptions of this package.

`AMQTTError`, `MQTTError`, `BrokerError` and `ClientError` are unrelated to each other, so that an
application can handle each of them on its own.
"""

from __future__ import annotations

from typing import Any


class AMQTTError(Exception):
    """Report that the engine cannot do what was asked of it."""


class MQTTError(Exception):
    """Report data that the rules of MQTT forbid."""


class CodecError(Exception):
    """Report a fixed header that cannot be encoded."""


class NoDataError(Exception):
    """Report a stream that ended inside a packet."""


class ZeroLengthReadError(NoDataError):
    """Report a read that returned no bytes at all."""

    def __init__(self) -> None:
        """Make the error; it takes no arguments."""
        super().__init__("read returned no bytes")


class BrokerError(Exception):
    """Report a broker that is wrongly configured or cannot be started or stopped."""


class PluginError(Exception):
    """Base of the errors that a plugin class causes while it is loaded."""


class PluginImportError(PluginError):
    """Report a plugin that cannot be imported, or an event handler that is not a coroutine."""


class PluginCoroError(PluginError):
    """Report a decision method of a plugin that is not a coroutine function."""


class PluginInitError(PluginError):
    """Report a plugin whose constructor raised; the cause is chained.

    Args:
        plugin: the plugin class.

    """

    def __init__(self, plugin: Any) -> None:
        """Remember the plugin class."""
        super().__init__(plugin)
        self.plugin = plugin

    def __str__(self) -> str:
        """Name the plugin class."""
        return f"Plugin init failed: {self.plugin!r}"


class PluginLoadError(Exception):
    """Report a plugin that is none, or one whose options are wrong."""


class ClientError(Exception):
    """Report a wrong use of the client."""


class SessionFileError(ClientError):
    """Report that the file that keeps the state of a client cannot be used."""


class ConnectError(ClientError):
    """Report that a client could not connect."""

    return_code: int | None = None
    """The code of the CONNACK packet that refused the connection, if there was one; in MQTT 5.0
    its Reason Code."""

    def __init__(self, *args: object, properties: dict[str, Any] | None = None) -> None:
        """Make an error.

        Args:
            args: as of every exception.
            properties: of the CONNACK, by name.

        """
        super().__init__(*args)
        self.properties = properties or {}

    @property
    def reason_string(self) -> str | None:
        """What the server says about the refusal, if it says something (MQTT 5.0)."""
        return self.properties.get("reason_string")

    @property
    def server_reference(self) -> str | None:
        """The server to use instead, if this one names one (MQTT 5.0, section 4.11)."""
        return self.properties.get("server_reference")


class PublishError(ClientError):
    """Report that the server has refused a message (MQTT 5.0).

    Args:
        reason_code: the Reason Code of PUBACK, PUBREC or PUBCOMP.
        properties: its properties by name.
        topic: of the message.
        server: the server's name.

    """

    def __init__(
        self,
        reason_code: int,
        properties: dict[str, Any] | None = None,
        *,
        topic: str = "",
        server: str = "",
    ) -> None:
        """Make an error."""
        self.reason_code = reason_code
        self.properties = properties or {}
        by_whom = f"The server {server}" if server else "The server"
        what = f"the message for '{topic}'" if topic else "the message"
        text = f"{by_whom} has refused {what} with reason code 0x{reason_code:02X}"
        reason = self.reason_string
        super().__init__(f"{text}: {reason}" if reason else text)

    @property
    def reason_string(self) -> str | None:
        """What the server says about the refusal, if it says something."""
        return self.properties.get("reason_string")


class ProtocolHandlerError(Exception):
    """Report a protocol handler that cannot be attached or started, or cannot write."""
