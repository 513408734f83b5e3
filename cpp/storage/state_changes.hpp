// What is stored of sessions and retained messages, as rows: the broker writes them, and reads
// them when it starts. Rows refer to each other by numbers of the broker's choice.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/message.hpp"
#include "base/qos.hpp"
#include "base/time.hpp"

namespace amqtt {

struct will_row {
    std::string topic;
    std::string payload;
    qos level = qos::at_most_once;
    bool retain = false;
    std::uint32_t delay = 0;               // seconds
    std::vector<std::uint8_t> properties;  // that travel with it, encoded
    std::optional<std::uint32_t> expiry_interval;
};

struct session_row {
    std::uint64_t id = 0;
    std::string client_id;
    std::optional<std::string> user_name;  // empty: it came without; nothing: it is nobody's yet
    std::uint32_t expiry_interval = 0;     // seconds; UINT32_MAX: for ever
    std::optional<instant> disconnected_at;
    std::uint16_t keep_alive = 0;
    bool clean_start = false;
    std::optional<will_row> will;  // that is still to be published, or may be
};

struct subscription_row {
    std::uint64_t id = 0;
    std::uint64_t session = 0;
    std::string name;
    qos level = qos::at_most_once;
    bool no_local = false;
    bool retain_as_published = false;
    std::uint8_t retain_handling = 0;
    std::uint32_t identifier = 0;
};

struct message_row {
    std::uint64_t id = 0;
    message_ptr content;
};

enum class delivery_state : std::uint8_t {
    queued,
    awaiting_puback,
    awaiting_pubrec,
    awaiting_pubcomp,
    undecided,  // whether the subscriber may have it
};

struct delivery_row {
    std::uint64_t id = 0;
    std::uint64_t session = 0;
    std::uint64_t message = 0;
    qos level = qos::at_most_once;
    bool retain = false;
    std::shared_ptr<const std::vector<std::uint32_t>> identifiers;
    std::shared_ptr<const std::string> share;
    std::uint16_t packet_id = 0;
    delivery_state state = delivery_state::queued;
};

struct delivery_change {
    std::uint64_t id = 0;
    std::uint16_t packet_id = 0;
    delivery_state state = delivery_state::queued;
};

struct received_row {
    std::uint64_t session = 0;
    std::uint16_t packet_id = 0;
};

// Rows that are new or, of sessions and subscriptions, replace those with the same id.
struct stored_state {
    std::vector<session_row> sessions;
    std::vector<subscription_row> subscriptions;
    std::vector<message_row> messages;
    std::vector<delivery_row> deliveries;
    std::vector<received_row> received;
    std::vector<message_row> retained;
};

// To be stored as a whole or not at all; what is removed is removed after the rest is written, but
// removed_received before it.
struct state_changes : stored_state {
    std::uint64_t number = 0;  // of the batch
    std::vector<std::uint64_t> ended_sessions;
    std::vector<std::uint64_t> removed_subscriptions;
    std::vector<std::uint64_t> removed_messages;
    std::vector<delivery_change> delivery_states;
    std::vector<std::uint64_t> removed_deliveries;
    std::vector<received_row> removed_received;
    std::vector<std::uint64_t> removed_retained;
};

}  // namespace amqtt
