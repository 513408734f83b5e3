// What waits for decisions on topics.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/message.hpp"
#include "base/qos.hpp"
#include "base/reason_code.hpp"
#include "broker/router.hpp"
#include "codec/subscribe.hpp"

namespace amqtt {

struct held_publish {
    message_ptr content;
    std::optional<std::uint32_t> expiry_interval;
    std::uint16_t packet_id = 0;
};

// The rest of it is client::unfinished.
struct held_subscribe {};

// A packet of a client that is not read from until it is decided.
struct held_packet {
    std::variant<held_publish, held_subscribe> what;
    std::vector<std::uint64_t> tickets;
};

// A message for a subscriber that waits for its decision or behind one that does.
struct gated_message {
    std::uint64_t ticket = 0;  // 0: decided, to be delivered
    route to;
    share_name share;
    message_ptr content;
    std::optional<qos> level;
    std::optional<std::uint32_t> expiry_interval;
    bool retained = false;     // for a new subscription
    std::uint64_t record = 0;  // of the delivery in the store, while it is undecided
};

// The messages of one subscriber in their order, bounded like its queue.
struct authorization_queue {
    // What a message with that many bytes of texts counts for.
    static constexpr std::size_t cost_of(std::size_t size) noexcept {
        return message::footprint_of(size) + sizeof(gated_message);
    }

    std::deque<gated_message> waiting;
    std::size_t bytes = 0;
    instant next_expiry = instant::max();  // before it, none of them expires
};

}  // namespace amqtt
