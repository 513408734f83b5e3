#pragma once

#include <optional>
#include <string_view>
#include <utility>

#include "base/message.hpp"
#include "session/session.hpp"

namespace amqtt {

// A message on its way to subscribers. Views only, until somebody has to keep it.
class publication {
  public:
    // level nullopt: each subscriber gets it at the QoS it was granted.
    publication(std::string_view topic, bytes_view payload, std::optional<qos> level,
                bool retain) noexcept
        : topic_(topic), payload_(payload), level_(level), retain_(retain) {}

    // A message that was kept.
    publication(message_ptr kept, std::optional<qos> level,
                std::optional<std::uint32_t> expiry_interval) noexcept
        : topic_(kept->topic()),
          payload_(kept->payload()),
          forwarded_(kept->properties()),
          level_(level),
          retain_(kept->retain()),
          expiry_interval_(expiry_interval),
          shared_(std::move(kept)) {}

    // The properties of MQTT 5.0 that travel with it, encoded; they must outlive it.
    void set_forwarded(bytes_view properties) noexcept { forwarded_ = properties; }
    // It must not be delivered later than interval seconds from now on.
    void set_expiry(std::uint32_t interval, instant now) noexcept {
        expiry_interval_ = interval;
        expires_at_ = now + std::chrono::seconds(interval);
    }
    // The client that published it, if one did.
    void set_publisher(const session* publisher) noexcept { publisher_ = publisher; }
    // It is for one subscriber, so a stored copy would be shared with nobody.
    void set_for_one() noexcept { is_for_one_ = true; }

    std::string_view topic() const noexcept { return topic_; }
    bytes_view payload() const noexcept { return payload_; }
    bytes_view forwarded() const noexcept { return forwarded_; }
    bool retain() const noexcept { return retain_; }
    // What the stored copy counts for, as message::size().
    std::size_t size() const noexcept {
        return topic_.size() + payload_.size() + forwarded_.size() + kept_publisher().size();
    }
    const std::optional<qos>& level() const noexcept { return level_; }
    const std::optional<std::uint32_t>& expiry_interval() const noexcept {
        return expiry_interval_;
    }
    const session* publisher() const noexcept { return publisher_; }
    bool is_for_one() const noexcept { return is_for_one_ && !shared_; }
    qos level_for(qos granted) const noexcept {
        return level_ ? lower_of(*level_, granted) : granted;
    }

    // The one stored copy, made on the first call.
    const message_ptr& share() {
        if (!shared_) {
            shared_ = message::create(topic_, payload_, level_.value_or(qos::at_most_once), retain_,
                                      forwarded_, expires_at_, kept_publisher());
        }
        return shared_;
    }

  private:
    // Only of a retained message is it asked later who published it.
    std::string_view kept_publisher() const noexcept {
        if (shared_) return shared_->publisher();
        return retain_ && publisher_ != nullptr ? std::string_view(publisher_->client_id())
                                                : std::string_view();
    }

    std::string_view topic_;
    bytes_view payload_;
    bytes_view forwarded_;
    std::optional<qos> level_;
    bool retain_;
    bool is_for_one_ = false;
    std::optional<std::uint32_t> expiry_interval_;
    std::optional<instant> expires_at_;
    const session* publisher_ = nullptr;
    message_ptr shared_;
};

}  // namespace amqtt
