#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/qos.hpp"
#include "base/time.hpp"
#include "session/message_queue.hpp"

namespace amqtt {

// What an administrator may set; the defaults are those of the configuration file.
struct broker_settings {
    std::size_t max_packet_size = 268'435'460;
    std::size_t max_inflight_messages = 1000;  // unacknowledged, towards one client
    queue_limits queue;                        // of one session
    duration connect_timeout = std::chrono::seconds(30);
    duration decision_timeout = std::chrono::seconds(30);  // for a pending authentication
    std::optional<duration> session_expiry;    // of a disconnected session; none: never
    std::uint32_t keep_alive_extra = 0;        // seconds added to 1.5 times keep alive
    qos max_qos = qos::exactly_once;           // highest QoS granted
    std::uint64_t random_seed = 0;             // of assigned client identifiers
    // Output of one connection above which messages wait in the session's queue instead.
    std::size_t output_high_water = 256 * 1024;
};

}  // namespace amqtt
