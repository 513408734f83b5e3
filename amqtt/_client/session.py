"""The session object of a client, made of its configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING

from amqtt._client.endpoint import Target, parse_uri
from amqtt._client.packets import as_bytes
from amqtt._engine.codec import PROTOCOL_5_0
from amqtt.errors import ClientError
from amqtt.mqtt.constants import QOS_0
from amqtt.session import Session

if TYPE_CHECKING:
    from pathlib import Path

    from amqtt.contexts import ClientConfig


def new_session(
    config: ClientConfig,
    client_id: str,
    uri: str | None,
    cafile: str | Path | None,
    capath: str | Path | None,
    cadata: str | None,
) -> Session:
    """Make the session of a connect.

    Args:
        config: the configuration of the client.
        client_id: its client identifier.
        uri: of the broker; None means that of the configuration, as for the rest.
        cafile: file with the certificates that the broker's is checked against.
        capath: folder with such certificates.
        cadata: such certificates in PEM form.

    Returns:
        The session, which is not connected.

    Raises:
        ClientError: there is no URI, or it is wrong.

    """
    connection = config.connection
    uri = uri or connection.uri
    if not uri:
        msg = "Missing connection parameter 'uri'"
        raise ClientError(msg)
    target = parse_uri(uri)
    _check_combination(target, client_id, config)
    session = Session()
    session.broker_uri = target.uri
    session.client_id = client_id
    session.protocol_version = config.protocol_version
    session.cafile = cafile or connection.cafile
    session.capath = capath or connection.capath
    session.cadata = cadata or connection.cadata
    session.username = target.username
    session.password = target.password
    session.clean_session = config.cleansession is not False
    # When to ping; the broker is told keep_alive itself.
    if config.keep_alive:
        session.keep_alive = max(1, config.keep_alive - (config.ping_delay or 0))
    if config.will is not None:
        session.will_flag = True
        session.will_topic = config.will.topic
        session.will_message = as_bytes(config.will.message)
        session.will_qos = config.will.qos or QOS_0
        session.will_retain = bool(config.will.retain)
    return session


def _check_combination(target: Target, client_id: str, config: ClientConfig) -> None:
    """Refuse what MQTT 3 does not let a CONNECT have."""
    if config.protocol_version == PROTOCOL_5_0:
        return
    if not client_id and config.cleansession is False:
        msg = "[MQTT-3.1.3-7] A client without an identifier needs cleansession in MQTT 3"
        raise ClientError(msg)
    if target.password and not target.username:
        msg = "[MQTT-3.1.2-22] A password needs a user name in MQTT 3"
        raise ClientError(msg)
