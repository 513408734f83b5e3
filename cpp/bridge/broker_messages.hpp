// What crosses between a broker's engine and Python.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/log.hpp"
#include "base/message.hpp"
#include "base/qos.hpp"
#include "base/reason_code.hpp"
#include "base/time.hpp"
#include "bridge/offer.hpp"
#include "codec/protocol_version.hpp"
#include "storage/state_changes.hpp"

namespace amqtt {

struct will_facts {
    std::string topic;
    std::string payload;
    qos level = qos::at_most_once;
    bool retain = false;
};

// What a plugin sees of a client and its session, at one moment.
struct session_facts {
    std::string client_id;
    bool connected = false;
    std::optional<std::string> user_name;
    // Of the CONNECT, while connected.
    std::optional<std::string> password;
    std::string address;
    std::uint16_t port = 0;
    protocol_version version = protocol_version::v3_1_1;
    std::uint16_t keep_alive = 0;
    bool clean_start = false;
    std::string listener;
    std::uint64_t external = 0;  // number of a connection that was handed in; 0: it was not
    std::optional<will_facts> will;
    std::vector<std::uint8_t> properties;  // encoded, without their length
    // What the handshake of TLS has proven; nothing without TLS.
    bool is_encrypted = false;
    std::vector<std::uint8_t> certificate;  // in DER; empty: none
    std::string psk_identity;
    std::string tls_version;
    std::string tls_cipher;
    // Of the session.
    std::uint64_t login = 0;  // that the session was admitted with last; 0: none by this process
    std::size_t inflight_out = 0;
    std::size_t inflight_in = 0;
    std::size_t queued = 0;
};

// The bytes that the facts take.
inline std::size_t size_of(const session_facts& facts) noexcept {
    const auto length = [](const std::optional<std::string>& text) {
        return text ? text->size() : 0;
    };
    std::size_t size = sizeof facts + facts.client_id.size() + length(facts.user_name) +
                       length(facts.password) + facts.properties.size() + facts.certificate.size();
    if (facts.will) size += facts.will->topic.size() + facts.will->payload.size();
    return size;
}

// -- from the engine

struct authenticate_event {
    std::uint64_t ticket;
    std::shared_ptr<offer<session_facts>> who;  // taken back: nobody waits for the answer
};
struct step_content {
    std::unique_ptr<session_facts> who;  // with the first step of a client that connects
    std::string client_id;
    std::string method;
    std::string data;
    bool is_first;
    bool is_repeated;  // of a client that is connected
};
// A step of enhanced authentication (section 4.12 of 5.0); it wants an
// authentication_reply_command.
struct authentication_step_event {
    std::uint64_t ticket;                          // the same for all steps of an exchange
    std::shared_ptr<offer<step_content>> content;  // as above
};
struct authentication_ended_event {
    std::uint64_t ticket;
};
struct topic_event {  // may a client do that?
    std::uint64_t ticket;
    std::string client_id;
    std::uint8_t action;  // 0 subscribe, 1 publish, 2 receive
    std::string topic;
    // Who the client is: another may have the session when this is looked at.
    std::uint64_t login;
    std::optional<std::string> user_name;
};
struct connected_event {
    std::uint64_t ticket;  // that of its authenticate_event
    bool session_present;
    std::unique_ptr<session_facts> who;
};
struct disconnected_event {
    std::string client_id;
    reason_code reason;
};
// The client of an authenticate_event was not admitted.
struct refused_event {
    std::uint64_t ticket;
};
struct session_ended_event {
    std::string client_id;
};
struct subscription_event {
    std::string client_id;
    std::string filter;
    std::optional<qos> granted;  // nothing: unsubscribed
};
enum class message_fate : std::uint8_t { received, broadcast, retained, queued };
struct broker_message_event {
    message_fate fate;
    std::string client_id;  // empty: the server
    message_ptr content;
    std::uint16_t packet_id;
};
struct packet_event {
    bool sent;
    std::optional<std::string> client_id;  // nothing before the client is admitted
    protocol_version version;
    std::vector<std::uint8_t> packet;
};
struct local_message_event {
    std::uint64_t subscriber;
    message_ptr content;
    bool retain;
};
// A client of TLS calls itself by that name: which key does it have? Wants a key_command.
struct key_event {
    std::uint64_t ticket;
    std::string listener;
    std::string identity;
};
// A connection that was handed in is over, or was not taken.
struct external_ended_event {
    std::uint64_t number;
};

// A batch to be stored; wants a committed_command.
struct state_changes_event {
    std::unique_ptr<state_changes> batch;
};

using broker_event =
    std::variant<log_record, authenticate_event, authentication_step_event,
                 authentication_ended_event, topic_event, connected_event, disconnected_event,
                 refused_event, session_ended_event, subscription_event, broker_message_event,
                 packet_event, local_message_event, external_ended_event, key_event,
                 state_changes_event>;

// -- to the engine

struct publish_command {
    message_ptr content;
    std::optional<qos> level;  // nullopt: the QoS each subscriber was granted
};
struct authenticated_command {
    std::uint64_t ticket;
    bool allowed;
    reason_code code;
    std::string reason;
    std::optional<std::string> user_name;  // by which the client is known from now on
};
struct authentication_reply_command {
    std::uint64_t ticket;
    enum class kind : std::uint8_t { accepted, challenge, refused } outcome;
    std::string data;  // Authentication Data for the client
    reason_code code;  // and reason: when refused
    std::string reason;
    std::optional<std::string> user_name;
};
struct topic_decided_command {
    std::uint64_t ticket;
    bool allowed;
    reason_code code;
    std::string reason;
    duration holds;
};
// What most answers are: yes, without more to say.
struct topics_allowed_command {
    std::vector<std::uint64_t> tickets;
    duration holds;
};
struct key_command {
    std::uint64_t ticket;
    std::string key;  // empty: there is none
};
struct retain_command {
    message_ptr content;  // with an empty payload: forget
};
// Which events Python wants, and which the native event logger logs: bits of hook.
struct hooks_command {
    std::uint32_t python;
    std::uint32_t logged;
};
struct disconnect_client_command {
    std::string client_id;
    reason_code code;
};
struct forget_verdicts_command {
    std::optional<std::string> client_id;
    std::optional<std::string> topic;
};
struct unsubscribe_local_command {
    std::uint64_t subscriber;
};
struct committed_command {
    std::uint64_t number;  // of the batch
};

using broker_command =
    std::variant<publish_command, authenticated_command, authentication_reply_command,
                 topic_decided_command, topics_allowed_command, retain_command, hooks_command,
                 disconnect_client_command, forget_verdicts_command, unsubscribe_local_command,
                 key_command, committed_command>;

}  // namespace amqtt
