// An application message, stored once and shared by everything that has to deliver it.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include <boost/smart_ptr/intrusive_ptr.hpp>

#include "base/bytes.hpp"
#include "base/footprint.hpp"
#include "base/qos.hpp"
#include "base/time.hpp"

namespace amqtt {

class message;
using message_ptr = boost::intrusive_ptr<const message>;

// Immutable; topic, payload, properties and publisher live in the same allocation as the header.
// References may be held by several threads.
class message {
  public:
    // properties: those of MQTT 5.0 that travel with the message unaltered, encoded.
    // expires_at: when it must not be delivered any more.
    // publisher: client identifier of who published it; empty: the server, or nobody asks.
    static message_ptr create(std::string_view topic, bytes_view payload, qos level, bool retain,
                              bytes_view properties = {},
                              std::optional<instant> expires_at = std::nullopt,
                              std::string_view publisher = {});

    message(const message&) = delete;
    message& operator=(const message&) = delete;

    std::string_view topic() const noexcept { return {data(), topic_size_}; }
    bytes_view payload() const noexcept { return as_bytes({data() + topic_size_, payload_size_}); }
    bytes_view properties() const noexcept {
        return as_bytes({data() + topic_size_ + payload_size_, properties_size_});
    }
    std::string_view publisher() const noexcept {
        return {data() + topic_size_ + payload_size_ + properties_size_, publisher_size_};
    }
    const std::optional<instant>& expires_at() const noexcept { return expires_at_; }
    bool is_expired(instant now) const noexcept { return expires_at_ && *expires_at_ <= now; }
    // The QoS and RETAIN flag it was published with.
    qos level() const noexcept { return qos_; }
    bool retain() const noexcept { return retain_; }
    // Bytes of its texts.
    std::size_t size() const noexcept {
        return topic_size_ + payload_size_ + properties_size_ + publisher_size_;
    }
    // What a message with that many bytes of texts takes of memory, and what this one does.
    static constexpr std::size_t footprint_of(std::size_t size) noexcept {
        return allocated(sizeof(message) + size);
    }
    std::size_t footprint() const noexcept { return footprint_of(size()); }

  private:
    message(std::string_view topic, bytes_view payload, qos level, bool retain,
            bytes_view properties, std::optional<instant> expires_at,
            std::string_view publisher) noexcept
        : topic_size_(static_cast<std::uint32_t>(topic.size())),
          payload_size_(static_cast<std::uint32_t>(payload.size())),
          properties_size_(static_cast<std::uint32_t>(properties.size())),
          publisher_size_(static_cast<std::uint16_t>(publisher.size())),
          qos_(level),
          retain_(retain),
          expires_at_(expires_at) {}
    ~message() = default;

    const char* data() const noexcept { return reinterpret_cast<const char*>(this + 1); }

    friend void intrusive_ptr_add_ref(const message* m) noexcept {
        m->references_.fetch_add(1, std::memory_order_relaxed);
    }
    friend void intrusive_ptr_release(const message* m) noexcept;
    friend class backlog;

    mutable std::atomic<std::uint32_t> references_{0};
    // Places in queues and windows of sessions that have it: the business of their backlog, on the
    // thread of the broker.
    mutable std::uint32_t places_ = 0;
    std::uint32_t topic_size_;
    std::uint32_t payload_size_;
    std::uint32_t properties_size_;
    std::uint16_t publisher_size_;  // as client identifiers are at most 65,535 bytes
    qos qos_;
    bool retain_;
    std::optional<instant> expires_at_;
};

}  // namespace amqtt
