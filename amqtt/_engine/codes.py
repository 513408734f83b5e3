"""Numbers that Python and the engine agree on."""

from __future__ import annotations

QOS_0 = 0
"""At most once: sent without acknowledgement."""

QOS_1 = 1
"""At least once: repeated until it is acknowledged."""

QOS_2 = 2
"""Exactly once: a handshake of four packets."""

# The first item of a client's event, as in cpp/bindings/register_client.cpp.
(
    CONNACK,
    FAILURE,
    COMPLETION,
    SUBACK,
    MESSAGE,
    LOST,
    AUTH,
    SERVER_DISCONNECT,
    PACKET,
    STATE,
) = range(10)

# The first item of a broker's event, as in cpp/bindings/broker_events.cpp.
(
    LOG_RECORDS,
    AUTHENTICATE,
    CHECK_TOPIC,
    CLIENT_CONNECTED,
    CLIENT_DISCONNECTED,
    CLIENT_REFUSED,
    SESSION_ENDED,
    CLIENT_SUBSCRIBED,
    CLIENT_UNSUBSCRIBED,
    MESSAGE_EVENT,
    PACKET_EVENT,
    LOCAL_MESSAGE,
    AUTHENTICATION_STEP,
    AUTHENTICATION_ENDED,
    EXTERNAL_ENDED,
    PSK_KEY,
    STATE_CHANGES,
) = range(17)
