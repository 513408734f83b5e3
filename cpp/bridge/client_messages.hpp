// What crosses between the engine of clients and Python. Tickets are chosen by Python: every
// command with one is answered by exactly one event with it; ticket 0 means nobody waits.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/message.hpp"
#include "base/qos.hpp"
#include "base/reason_code.hpp"
#include "base/time.hpp"
#include "codec/protocol_version.hpp"
#include "codec/subscribe.hpp"
#include "storage/client_state_change.hpp"

namespace amqtt {

class client_tls_context;

using client_handle = std::uint64_t;

// Properties of MQTT 5.0 as they are on the wire, Property Length first; empty: none.
using encoded_properties = std::vector<std::uint8_t>;

struct will_settings {
    std::string topic;
    std::string payload;
    qos level = qos::at_most_once;
    bool retain = false;
    encoded_properties properties;
};

// The opening handshake of a WebSocket connection.
struct websocket_request_settings {
    std::string host;    // of the Host header
    std::string target;  // path and query
    std::vector<std::pair<std::string, std::string>> headers;
};

struct proxy_settings {
    enum class kind : std::uint8_t { http, socks5 };
    kind how = kind::http;
    std::string host;
    std::uint16_t port = 0;
    std::string user_name;  // empty: without authentication
    std::string password;
};

// The way to the broker.
struct endpoint_settings {
    std::string host;
    std::uint16_t port = 1883;
    std::string unix_path;                          // in place of host and port
    std::shared_ptr<const client_tls_context> tls;  // null: not encrypted
    std::optional<websocket_request_settings> websocket;
    std::optional<proxy_settings> proxy;
};

// A message of QoS 1 or 2 as an earlier process has kept it; without content its PUBREC has come.
struct kept_message {
    std::uint64_t ticket;
    std::uint16_t packet_id;
    reason_code pubrec_code;
    message_ptr content;
};

// Session State of a client that was kept elsewhere, and from now on is.
struct kept_state {
    std::vector<kept_message> messages;  // in the order of sending
    std::vector<std::uint16_t> received;
};

struct connect_settings {
    endpoint_settings endpoint;
    protocol_version version = protocol_version::v3_1_1;
    std::string client_id;
    bool clean_session = true;
    bool forget_session = false;   // the client's own Session State, before it connects
    std::uint16_t keep_alive = 0;  // seconds, as sent in CONNECT
    std::uint16_t ping_after = 0;  // seconds without sending; 0: no automatic PINGREQ
    std::optional<std::string> user_name;
    std::optional<std::string> password;  // any bytes
    std::optional<will_settings> will;
    encoded_properties properties;
    bool manual_acknowledgement = false;
    std::uint16_t send_maximum = 65'535;  // QoS 1 and 2 messages on their way at a time
    std::uint16_t qos2_maximum = 65'535;  // those of QoS 2 among them
    bool watch_packets = false;           // client_packet_event for each
    // Messages that may wait in Python, by count and payload, before reading stops; 0: no bound.
    std::size_t receive_messages = 0;
    std::size_t receive_bytes = 0;
};

// -- to the engine

struct connect_command {
    std::uint64_t ticket;
    connect_settings settings;
};
// Replaces the client's own Session State. From then on client_state_event tells each change,
// numbered from 1, packets that depend on it wait for stored_command, and messages of QoS 1 and 2
// are taken without a connection too.
struct keep_command {
    kept_state state;
};
// At QoS 0 answered once it is sent, give or take a bounded output.
struct client_publish_command {
    std::uint64_t ticket;
    message_ptr content;
};
struct subscribe_command {
    std::uint64_t ticket;
    std::vector<std::pair<std::string, subscription_options>> filters;
    encoded_properties properties;
};
struct unsubscribe_command {
    std::uint64_t ticket;
    std::vector<std::string> filters;
    encoded_properties properties;
};
struct ping_command {
    std::uint64_t ticket;
};
// AUTH: the next step of an exchange, or the first of a new one. Answered by auth_event.
struct authenticate_command {
    reason_code code;
    encoded_properties properties;
};
// connection is the ticket of its connect_command.
struct acknowledge_command {
    std::uint64_t connection;
    std::uint16_t packet_id;
    reason_code code;
};
// Changes up to that number are stored.
struct stored_command {
    std::uint64_t number;
};
// So many messages of that size wait in Python no more.
struct consumed_command {
    std::size_t messages;
    std::size_t bytes;
};
// Sends DISCONNECT, closes, and answers when the connection is closed.
struct disconnect_command {
    std::uint64_t ticket;
    reason_code code = reason_code::success;
    encoded_properties properties = {};
};
// Closes without DISCONNECT; answered like disconnect_command.
struct abort_command {
    std::uint64_t ticket;
};
// Nobody waits for the ticket any more: forget the message under it unless it has left, or the
// attempt to connect. Not answered, and neither is the command that had the ticket.
struct cancel_command {
    std::uint64_t ticket;
};
// The client is gone; its handle must not be used again.
struct forget_command {};

struct client_command {
    client_handle client;
    std::variant<connect_command, keep_command, client_publish_command, subscribe_command,
                 unsubscribe_command, ping_command, authenticate_command, acknowledge_command,
                 stored_command, consumed_command, disconnect_command, abort_command,
                 cancel_command, forget_command>
        what;
};

// -- from the engine

// The transport is up and CONNACK has come, whatever its code says.
struct connack_event {
    std::uint64_t ticket;
    std::uint8_t return_code;
    bool session_present;
    encoded_properties properties;
};
// A command failed, because there is no connection or it was lost. ENOBUFS: because all packet
// identifiers are in use. EMSGSIZE: because the server has said that it does not accept this.
struct failure_event {
    std::uint64_t ticket;
    int error;  // errno, or 0
    std::string text;
};
// The QoS flow of a publish is complete, or PINGRESP or the close has come.
struct completion_event {
    std::uint64_t ticket;
    std::uint16_t packet_id;
    reason_code code;
    encoded_properties properties;
};
// SUBACK or UNSUBACK.
struct suback_event {
    std::uint64_t ticket;
    std::vector<reason_code> codes;
    encoded_properties properties;
};
struct auth_event {
    reason_code code;
    encoded_properties properties;
};
// The server has sent DISCONNECT; connection_lost_event or a failure follows.
struct server_disconnect_event {
    reason_code code;
    encoded_properties properties;
};
// The properties of content are encoded_properties.
struct message_event {
    message_ptr content;
    std::uint16_t packet_id;
};
struct client_packet_event {
    bool sent;
    std::vector<std::uint8_t> packet;
};
struct client_state_event {
    client_state_change change;
};
// The connection is gone without having been asked to go.
struct connection_lost_event {
    std::string text;
};

struct client_event {
    client_handle client;
    std::variant<connack_event, failure_event, completion_event, suback_event, auth_event,
                 server_disconnect_event, message_event, client_packet_event, client_state_event,
                 connection_lost_event>
        what;
};

}  // namespace amqtt
