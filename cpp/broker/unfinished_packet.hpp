// Packets that are dealt with in several turns.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "broker/publication.hpp"
#include "broker/route_search.hpp"
#include "codec/subscribe.hpp"

namespace amqtt {

// A message that not all subscribers have yet.
struct unfinished_publish {
    publication content;  // stored
    std::uint16_t packet_id = 0;
    std::unique_ptr<route_search> search = nullptr;  // null: it has not begun
    std::size_t next_route = 0;
    std::size_t next_group = 0;
    std::uint64_t until = 0;  // what its acknowledgement is to wait for
};

// How far the filters of a SUBSCRIBE are checked, and then subscribed to.
struct subscribe_progress {
    // Nothing can be done before there are answers.
    bool waits_for_decisions() const noexcept { return is_checked && open > 0; }

    std::uint32_t id = 0;            // Subscription Identifier
    std::vector<reason_code> codes;  // of those that were checked: why it is refused, or success
    std::string reason;              // of a refusal
    std::size_t open = 0;            // decisions that are still to come
    bool is_checked = false;         // all of them are, as far as there are decisions
    std::size_t next = 0;
    bool is_answered = false;
    std::uint64_t until = 0;
    // Filters whose retained messages are wanted. The QoS as well: a later request for the same
    // filter may have changed the subscription.
    std::vector<std::pair<std::size_t, qos>> with_retained;
};

struct unfinished_subscribe {
    std::vector<char> text;  // of the filters: a short std::string would move with its owner
    subscribe_packet packet;
    subscribe_progress progress;
};

struct unsubscribe_progress {
    std::vector<reason_code> codes;
    std::size_t next = 0;
    std::uint64_t until = 0;
};

struct unfinished_unsubscribe {
    std::vector<char> text;  // of the filters: a short std::string would move with its owner
    unsubscribe_packet packet;
    unsubscribe_progress progress;
};

struct unfinished_packet {
    std::variant<std::unique_ptr<unfinished_publish>, unfinished_subscribe, unfinished_unsubscribe>
        what;
};

}  // namespace amqtt
