#pragma once

#include <cstdint>

namespace amqtt {

// Totals since the start.
struct broker_stats {
    std::uint64_t bytes_received = 0;
    std::uint64_t bytes_sent = 0;
    std::uint64_t packets_received = 0;
    std::uint64_t packets_sent = 0;
    std::uint64_t publish_received = 0;
    std::uint64_t publish_sent = 0;
    // For each subscriber that did not get a message: because its queue was full, and because it
    // was larger than a packet can be or the subscriber accepts.
    std::uint64_t publish_dropped = 0;
    std::uint64_t publish_too_large = 0;
    std::uint64_t publish_refused = 0;  // messages of clients that were not passed on
    std::uint64_t connections = 0;      // accepted CONNECTs
    std::uint64_t disconnections = 0;   // of what was accepted
    std::uint64_t clients_connected = 0;
    std::uint64_t clients_maximum = 0;  // most at one time
};

}  // namespace amqtt
