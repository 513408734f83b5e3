#include "base/message.hpp"

#include <cstring>
#include <new>

namespace amqtt {

message_ptr message::create(std::string_view topic, bytes_view payload, qos level, bool retain,
                            bytes_view properties, std::optional<instant> expires_at,
                            std::string_view publisher) {
    const std::size_t size = topic.size() + payload.size() + properties.size() + publisher.size();
    void* memory = ::operator new(sizeof(message) + size);
    auto* created =
        new (memory) message(topic, payload, level, retain, properties, expires_at, publisher);
    auto* place = reinterpret_cast<char*>(created + 1);
    for (const std::string_view part : {topic, as_text(payload), as_text(properties), publisher}) {
        if (!part.empty()) std::memcpy(place, part.data(), part.size());
        place += part.size();
    }
    return message_ptr(created);
}

void intrusive_ptr_release(const message* m) noexcept {
    if (m->references_.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
    m->~message();
    ::operator delete(const_cast<message*>(m));
}

}  // namespace amqtt
