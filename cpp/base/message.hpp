// An application message, stored once and shared by everything that has to deliver it.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include <boost/smart_ptr/intrusive_ptr.hpp>

#include "base/bytes.hpp"
#include "base/qos.hpp"

namespace amqtt {

class message;
using message_ptr = boost::intrusive_ptr<const message>;

// Immutable; topic and payload live in the same allocation as the header. References may be
// held by several threads.
class message {
  public:
    static message_ptr create(std::string_view topic, bytes_view payload, qos level, bool retain);

    message(const message&) = delete;
    message& operator=(const message&) = delete;

    std::string_view topic() const noexcept { return {data(), topic_size_}; }
    bytes_view payload() const noexcept {
        return as_bytes({data() + topic_size_, payload_size_});
    }
    // The QoS and RETAIN flag it was published with.
    qos level() const noexcept { return qos_; }
    bool retain() const noexcept { return retain_; }
    // What it counts for in queues that are bounded in bytes.
    std::size_t size() const noexcept { return topic_size_ + payload_size_; }

  private:
    message(std::uint32_t topic_size, std::uint32_t payload_size, qos level, bool retain) noexcept
        : topic_size_(topic_size), payload_size_(payload_size), qos_(level), retain_(retain) {}
    ~message() = default;

    const char* data() const noexcept { return reinterpret_cast<const char*>(this + 1); }

    friend void intrusive_ptr_add_ref(const message* m) noexcept {
        m->references_.fetch_add(1, std::memory_order_relaxed);
    }
    friend void intrusive_ptr_release(const message* m) noexcept;

    mutable std::atomic<std::uint32_t> references_{0};
    std::uint32_t topic_size_;
    std::uint32_t payload_size_;
    qos qos_;
    bool retain_;
};

}  // namespace amqtt
