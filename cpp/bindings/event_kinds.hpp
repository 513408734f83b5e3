// The first item of the tuple that an event is in Python.
#pragma once

namespace amqtt {

// Of a broker's engine.
enum class broker_event_kind : int {
    log_records,
    authenticate,
    check_topic,
    client_connected,
    client_disconnected,
    client_refused,
    session_ended,
    client_subscribed,
    client_unsubscribed,
    message,
    packet,
    local_message,
    authentication_step,
    authentication_ended,
    external_ended,
    psk_key,
    state_changes,
};

// Of a client's.
enum class client_event_kind : int {
    connack,
    failure,
    completion,
    suback,
    message,
    lost,
    auth,
    server_disconnect,
    packet,
    state,
};

}  // namespace amqtt
