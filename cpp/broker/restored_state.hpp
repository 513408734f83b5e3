// What has come of the store so far, while it comes.
#pragma once

#include <cstdint>
#include <vector>

#include <boost/unordered/unordered_flat_map.hpp>

#include "session/session.hpp"
#include "storage/state_changes.hpp"

namespace amqtt {

struct restored_state {
    struct kept_message {
        message_ptr content;
        bool is_wanted = false;
    };

    boost::unordered_flat_map<std::uint64_t, session*> sessions;
    std::vector<std::uint64_t> connected;  // when the broker that wrote it ended
    boost::unordered_flat_map<std::uint64_t, kept_message> messages;
    // What is of no use, and what has no number yet: all changes come after all that is there.
    std::vector<std::uint64_t> useless_sessions;
    std::vector<std::uint64_t> useless_subscriptions;
    std::vector<std::uint64_t> useless_deliveries;
    std::vector<std::uint64_t> useless_retained;
    std::vector<subscription_row> new_subscriptions;
    std::vector<delivery_row> new_deliveries;
    std::vector<message_ptr> new_retained;
};

}  // namespace amqtt
