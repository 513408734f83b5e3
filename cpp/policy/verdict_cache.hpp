// Decisions of plugins on topics that hold for a while.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include <boost/unordered/unordered_flat_map.hpp>

#include "broker/hooks.hpp"

namespace amqtt {

// By client, action and topic. Bounded: a full cache starts afresh.
class verdict_cache {
  public:
    explicit verdict_cache(std::size_t most = 100'000) noexcept : most_(most) {}

    // What was decided and holds still.
    std::optional<decision> find(std::string_view client_id, topic_action action,
                                 std::string_view topic, instant now);
    // Keeps a decision for as long as it holds.
    void store(std::string_view client_id, topic_action action, std::string_view topic,
               const decision& made, instant now);
    void forget(std::string_view client_id);
    void forget(std::string_view client_id, std::string_view topic);
    void forget_topic(std::string_view topic);
    void clear();

    std::size_t size() const noexcept { return size_; }

  private:
    struct text_hash {
        using is_transparent = void;
        std::size_t operator()(std::string_view text) const noexcept {
            return boost::hash<std::string_view>()(text);
        }
    };
    struct entry {
        decision made;
        instant until{0};
    };
    // Keys are the action as one character and the topic.
    using entries = boost::unordered_flat_map<std::string, entry, text_hash, std::equal_to<>>;

    void erase(entries& of, std::string_view topic);

    std::size_t most_;
    std::size_t size_ = 0;
    boost::unordered_flat_map<std::string, entries, text_hash, std::equal_to<>> clients_;
    std::string key_;  // scratch
};

}  // namespace amqtt
