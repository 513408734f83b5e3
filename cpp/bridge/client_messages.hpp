// What crosses between the engine of clients and Python. Tickets are chosen by Python: every
// command with one is answered by exactly one event with it; ticket 0 means nobody waits.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/message.hpp"
#include "base/qos.hpp"
#include "base/time.hpp"

namespace amqtt {

using client_handle = std::uint64_t;

struct will_settings {
    std::string topic;
    std::string payload;
    qos level = qos::at_most_once;
    bool retain = false;
};

struct connect_settings {
    std::string host;
    std::uint16_t port = 1883;
    std::string client_id;
    bool clean_session = true;
    std::uint16_t keep_alive = 0;  // seconds, as sent in CONNECT
    std::uint16_t ping_after = 0;  // seconds without sending; 0: no automatic PINGREQ
    std::optional<std::string> user_name;
    std::optional<std::string> password;  // any bytes
    std::optional<will_settings> will;
};

// -- to the engine

struct connect_command {
    std::uint64_t ticket;
    connect_settings settings;
};
// At QoS 0 answered once it is sent, give or take a bounded output.
struct client_publish_command {
    std::uint64_t ticket;
    message_ptr content;
};
struct subscribe_command {
    std::uint64_t ticket;
    std::vector<std::pair<std::string, qos>> filters;
};
struct unsubscribe_command {
    std::uint64_t ticket;
    std::vector<std::string> filters;
};
struct ping_command {
    std::uint64_t ticket;
};
// Sends DISCONNECT, closes, and answers when the connection is closed.
struct disconnect_command {
    std::uint64_t ticket;
};
// Closes without DISCONNECT; answered like disconnect_command.
struct abort_command {
    std::uint64_t ticket;
};
// Nobody waits for the ticket any more: forget the message in flight under it, or the attempt
// to connect. Not answered, and neither is the command that had the ticket.
struct cancel_command {
    std::uint64_t ticket;
};
// The client is gone; its handle must not be used again.
struct forget_command {};

struct client_command {
    client_handle client;
    std::variant<connect_command, client_publish_command, subscribe_command, unsubscribe_command,
                 ping_command, disconnect_command, abort_command, cancel_command, forget_command>
        what;
};

// -- from the engine

// The transport is up and CONNACK has come, whatever its code says.
struct connack_event {
    std::uint64_t ticket;
    std::uint8_t return_code;
    bool session_present;
};
// A command failed, because there is no connection or it was lost; ENOBUFS: because all packet
// identifiers are in use.
struct failure_event {
    std::uint64_t ticket;
    int error;  // errno, or 0
    std::string text;
};
// The QoS flow of a publish is complete, or PINGRESP, UNSUBACK or the close has come.
struct completion_event {
    std::uint64_t ticket;
    std::uint16_t packet_id;
};
struct suback_event {
    std::uint64_t ticket;
    std::vector<std::uint8_t> codes;
};
struct message_event {
    message_ptr content;
    std::uint16_t packet_id;
    bool dup;
};
// The connection is gone without having been asked to go.
struct connection_lost_event {
    std::string text;
};

struct client_event {
    client_handle client;
    std::variant<connack_event, failure_event, completion_event, suback_event, message_event,
                 connection_lost_event>
        what;
};

}  // namespace amqtt
