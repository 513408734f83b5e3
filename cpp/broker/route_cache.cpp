#include "broker/route_cache.hpp"

#include <algorithm>
#include <utility>

namespace amqtt {

// -- one topic

std::unique_ptr<cached_topic> cached_topic::create(std::string_view topic) {
    void* memory = ::operator new(sizeof(cached_topic) + topic.size());
    auto* fresh = new (memory) cached_topic();
    std::copy(topic.begin(), topic.end(), reinterpret_cast<char*>(fresh + 1));
    fresh->topic_size = static_cast<std::uint16_t>(topic.size());
    return std::unique_ptr<cached_topic>(fresh);
}

std::size_t cached_topic::bytes() const noexcept {
    std::size_t sum = allocated(sizeof(cached_topic) + topic_size);
    // The first of each has its place inside.
    if (routes.routes.capacity() > 1) sum += allocated(routes.routes.capacity() * sizeof(route));
    if (routes.groups.capacity() > 1) {
        sum += allocated(routes.groups.capacity() * sizeof(shared_group*));
    }
    for (const route& each : routes.routes) {
        // A vector with its count of references, and what is in it.
        if (each.ids)
            sum += allocated(40) + allocated(each.ids->capacity() * sizeof(std::uint32_t));
    }
    return sum;
}

// -- all of them

cached_topic* route_cache::find(std::size_t hash, std::string_view topic) const noexcept {
    for (const slot& each : line_of(hash).slots) {
        if (each.hash == hash && each.topic && each.topic->topic() == topic) {
            return each.topic.get();
        }
    }
    return nullptr;
}

cached_topic& route_cache::add(std::size_t hash, std::string_view topic) {
    if (size_ >= 2 * lines_.size() && 4 * lines_.size() < most_topics) grow();
    slot& into = free_slot(line_of(hash), hash);
    put(into, hash, cached_topic::create(topic));
    changed(*into.topic);
    return *into.topic;
}

void route_cache::changed(cached_topic& topic) {
    const std::size_t bytes = topic.bytes();
    bytes_ += bytes - std::exchange(topic.counted_bytes, bytes);
    for (std::size_t n = 0; bytes_ > most_bytes && n < lines_.size(); ++n) {
        next_to_go_ = (next_to_go_ + 1) & (lines_.size() - 1);
        for (slot& each : lines_[next_to_go_].slots) {
            if (each.topic && each.topic.get() != &topic) put(each, 0, nullptr);
        }
    }
}

void route_cache::prefetch_topic(std::size_t hash) const noexcept {
    for (const slot& each : line_of(hash).slots) {
        if (each.hash != hash) continue;
        const auto* at = reinterpret_cast<const char*>(each.topic.get());
        __builtin_prefetch(at);
        __builtin_prefetch(at + 64);
        return;
    }
}

// One that is empty, or else any: which one, parts of the hash tell that have not told the line.
route_cache::slot& route_cache::free_slot(line& of, std::size_t hash) noexcept {
    for (slot& each : of.slots) {
        if (!each.topic) return each;
    }
    return of.slots[hash >> 62];
}

void route_cache::put(slot& into, std::size_t hash, std::unique_ptr<cached_topic> topic) noexcept {
    if (into.topic) {
        --size_;
        bytes_ -= into.topic->counted_bytes;
    }
    into.hash = hash;
    into.topic = std::move(topic);
    if (into.topic) ++size_;
}

// Each line becomes two.
void route_cache::grow() {
    std::vector<line> old(2 * lines_.size());
    old.swap(lines_);
    for (line& each : old) {
        for (slot& from : each.slots) {
            if (from.topic) free_slot(line_of(from.hash), from.hash) = std::move(from);
        }
    }
}

}  // namespace amqtt
