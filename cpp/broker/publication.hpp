#pragma once

#include <optional>
#include <string_view>

#include "base/message.hpp"

namespace amqtt {

// A message on its way to subscribers. Views only, until somebody has to keep it.
class publication {
  public:
    // level nullopt: each subscriber gets it at the QoS it was granted.
    publication(std::string_view topic, bytes_view payload, std::optional<qos> level,
                bool retain) noexcept
        : topic_(topic), payload_(payload), level_(level), retain_(retain) {}

    std::string_view topic() const noexcept { return topic_; }
    bytes_view payload() const noexcept { return payload_; }
    bool retain() const noexcept { return retain_; }
    qos level_for(qos granted) const noexcept {
        return level_ ? lower_of(*level_, granted) : granted;
    }

    // The one stored copy, made on the first call.
    const message_ptr& share() {
        if (!shared_) {
            shared_ = message::create(topic_, payload_, level_.value_or(qos::at_most_once), retain_);
        }
        return shared_;
    }

  private:
    std::string_view topic_;
    bytes_view payload_;
    std::optional<qos> level_;
    bool retain_;
    message_ptr shared_;
};

}  // namespace amqtt
