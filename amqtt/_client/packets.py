"""What CONNECT and DISCONNECT of a client say, and what CONNACK answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from amqtt._engine.codec import PROTOCOL_5_0
from amqtt.errors import ClientError, ConnectError
from amqtt.mqtt.constants import QOS_0

if TYPE_CHECKING:
    from amqtt._client.endpoint import Target
    from amqtt.contexts import ClientConfig
    from amqtt.session import Session

CONNECTION_ACCEPTED = 0

# What a client may say in DISCONNECT (section 3.14.2.1 of 5.0).
_DISCONNECT_CODES = (0, 4, 0x80, 0x81, 0x82, 0x83, 0x90, *range(0x93, 0x9A))


def connect_fields(session: Session, config: ClientConfig) -> dict[str, Any]:
    """Return what the engine is given for a CONNECT, but for what only the connection knows."""
    waits = config.receive_policy == "wait"
    return {
        "protocol_version": config.protocol_version,
        "clean_session": bool(session.clean_session),
        "keep_alive": config.keep_alive or 0,
        "ping_after": session.keep_alive,
        "user_name": session.username,
        "password": as_bytes(session.password),
        "will": will_of(session, config),
        "manual_acknowledgement": config.manual_acknowledgement,
        **config.inflight_maxima(),
        "receive_messages": config.receive_buffer_messages if waits else 0,
        "receive_bytes": config.receive_buffer_bytes if waits else 0,
    }


def will_of(session: Session, config: ClientConfig) -> dict[str, Any] | None:
    """Return the will as the engine is given it; None for none."""
    if not session.will_flag or session.will_topic is None:
        return None
    return {
        "topic": session.will_topic,
        "payload": bytes(session.will_message or b""),
        "qos": session.will_qos or QOS_0,
        "retain": bool(session.will_retain),
        "properties": (config.will and config.will.properties) or None,
    }


def as_bytes(value: str | bytes | bytearray | None) -> bytes | None:
    """Return a text in UTF-8, and bytes as they are."""
    return value.encode() if isinstance(value, str) else None if value is None else bytes(value)


def refusal(target: Target, return_code: int, properties: dict[str, Any] | None) -> ConnectError:
    """Make the error of a CONNACK that refuses the client."""
    reason = (properties or {}).get("reason_string") or f"code {return_code}"
    msg = f"Connection rejected by broker {target}: {reason}"
    refused = ConnectError(msg, properties=properties)
    refused.return_code = return_code
    return refused


def check_disconnect(
    config: ClientConfig, reason_code: int, properties: dict[str, Any] | None
) -> None:
    """Refuse what DISCONNECT cannot say.

    Raises:
        ClientError: the reason code or a property is none of DISCONNECT, or the protocol has none.

    """
    if config.protocol_version < PROTOCOL_5_0:
        if reason_code or properties:
            msg = "Reason code and properties of DISCONNECT need protocol_version 5"
            raise ClientError(msg)
        return
    if reason_code not in _DISCONNECT_CODES:  # (5.0: MQTT-3.14.2-1)
        msg = f"Reason code {reason_code!r} is none that a client may disconnect with"
        raise ClientError(msg)
    expiry = (properties or {}).get("session_expiry_interval")
    if expiry and not config.connect_properties.get("session_expiry_interval"):
        msg = (  # section 3.14.2.2.2
            "session_expiry_interval of DISCONNECT must be 0 when connect_properties have none"
        )
        raise ClientError(msg)
