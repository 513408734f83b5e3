// Keeps the routes of topics that come again and again.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <string_view>
#include <vector>

#include "broker/route.hpp"

namespace amqtt {

// A topic and its routes. There may be many, each looked at rarely: the topic is in the same
// allocation.
struct cached_topic {
    static std::unique_ptr<cached_topic> create(std::string_view topic);
    // The size of the type is not that of the allocation.
    static void operator delete(void* memory) noexcept { ::operator delete(memory); }

    std::string_view topic() const noexcept {
        return {reinterpret_cast<const char*>(this + 1), topic_size};
    }
    std::size_t bytes() const noexcept;

    std::uint64_t generation = 0;  // of subscriptions, for which the routes are valid; 0: for none
    topic_routes routes;
    std::size_t counted_bytes = 0;
    std::uint16_t topic_size = 0;
};

// A topic has its place in one line of memory that its hash tells, beside a few others, so that to
// find it takes two accesses to memory that are far apart: that line, and what it points to. A
// topic that finds its line full takes the place of another.
class route_cache {
  public:
    static constexpr std::size_t most_topics = 256 * 1024;
    // A longer topic is not worth its place.
    static constexpr std::size_t topic_size_max = 256;
    // Of all topics together, with their routes.
    static constexpr std::size_t most_bytes = std::size_t{32} * 1024 * 1024;

    cached_topic* find(std::size_t hash, std::string_view topic) const noexcept;
    // Precondition: it is not there.
    cached_topic& add(std::size_t hash, std::string_view topic);
    // The routes of a topic have changed; forgets others when that is too much.
    void changed(cached_topic& topic);

    // Loads what find() will look at first, without waiting for it.
    void prefetch_line(std::size_t hash) const noexcept { __builtin_prefetch(&line_of(hash)); }
    // And what it will look at then, if the topic is there.
    void prefetch_topic(std::size_t hash) const noexcept;

    std::size_t size() const noexcept { return size_; }
    std::size_t bytes() const noexcept { return bytes_; }

  private:
    struct slot {
        std::size_t hash = 0;
        std::unique_ptr<cached_topic> topic;
    };
    struct alignas(64) line {
        std::array<slot, 4> slots;
    };

    const line& line_of(std::size_t hash) const noexcept {
        return lines_[hash & (lines_.size() - 1)];
    }
    line& line_of(std::size_t hash) noexcept { return lines_[hash & (lines_.size() - 1)]; }
    static slot& free_slot(line& of, std::size_t hash) noexcept;
    void put(slot& into, std::size_t hash, std::unique_ptr<cached_topic> topic) noexcept;
    void grow();

    // Few topics are to have lines of their own: those that are forgotten in turn cost a search
    // each.
    static constexpr std::size_t least_lines = 64;

    std::vector<line> lines_ = std::vector<line>(least_lines);  // a power of two of them
    std::size_t size_ = 0;
    std::size_t bytes_ = 0;
    std::size_t next_to_go_ = 0;  // the line that is emptied next when there is too much
};

}  // namespace amqtt
