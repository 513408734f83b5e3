#include "base/message.hpp"

#include <cstring>
#include <new>

namespace amqtt {

message_ptr message::create(std::string_view topic, bytes_view payload, qos level, bool retain) {
    void* memory = ::operator new(sizeof(message) + topic.size() + payload.size());
    auto* created = new (memory) message(static_cast<std::uint32_t>(topic.size()),
                                         static_cast<std::uint32_t>(payload.size()), level, retain);
    auto* data = reinterpret_cast<char*>(created + 1);
    if (!topic.empty()) std::memcpy(data, topic.data(), topic.size());
    if (!payload.empty()) std::memcpy(data + topic.size(), payload.data(), payload.size());
    return message_ptr(created);
}

void intrusive_ptr_release(const message* m) noexcept {
    if (m->references_.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
    m->~message();
    ::operator delete(const_cast<message*>(m));
}

}  // namespace amqtt
