// Counts the messages that are not passed on, and logs them at a bounded rate.
#pragma once

#include <cstdint>

#include "base/log_limiter.hpp"
#include "base/time.hpp"
#include "broker/stats.hpp"
#include "session/session.hpp"

namespace amqtt {

enum class drop_reason : std::uint8_t {
    queue_full,      // of a subscriber
    too_large,       // for an MQTT packet, or for the Maximum Packet Size of a subscriber
    server_topic,    // a client has published it to a topic that starts with '$'
    payload_format,  // it is not UTF-8, though its publisher says so
};

class drop_log {
  public:
    // All must outlive it; now is the broker's present time.
    drop_log(log_limiter& log, broker_stats& stats, const instant& now) noexcept
        : log_(log), stats_(stats), now_(now) {}

    // A message was dropped for a subscriber, or, with the last two reasons, refused from a
    // publisher.
    void count(drop_reason why, const session& whose);

  private:
    log_limiter& log_;
    broker_stats& stats_;
    const instant& now_;
};

}  // namespace amqtt
