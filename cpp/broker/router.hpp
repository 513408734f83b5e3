// Who gets a message: subscriptions by topic, and the retained messages of filters.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <boost/unordered/unordered_flat_map.hpp>

#include "base/qos.hpp"
#include "session/session.hpp"
#include "topic/retained_store.hpp"
#include "topic/subscription_trie.hpp"

namespace amqtt {

// A subscriber of a topic; once, however many of its subscriptions match, at the highest QoS
// among them (3.1.1: MQTT-3.3.5-1).
struct route {
    session* subscriber;
    qos granted;
};

class router {
  public:
    // Adds or replaces a subscription; true if the filter is new to the session.
    bool subscribe(session& subscriber, std::string_view filter, subscription_options options);
    // True if there was such a subscription.
    bool unsubscribe(session& subscriber, std::string_view filter);
    void unsubscribe_all(session& subscriber);

    // Valid until the next subscribe, unsubscribe or routes_of().
    std::span<const route> routes_of(std::string_view topic);

    retained_store& retained() noexcept { return retained_; }
    const retained_store& retained() const noexcept { return retained_; }
    std::size_t subscription_count() const noexcept { return trie_.size(); }

  private:
    struct cached_routes {
        std::uint64_t generation = 0;
        std::vector<route> routes;
    };
    struct text_hash {
        using is_transparent = void;
        std::size_t operator()(std::string_view text) const noexcept {
            return boost::hash<std::string_view>()(text);
        }
    };

    void find_routes(std::string_view topic, std::vector<route>& routes);

    subscription_trie trie_;
    retained_store retained_;
    // Routes of the topics published to lately, valid for the generation they carry.
    boost::unordered_flat_map<std::string, cached_routes, text_hash, std::equal_to<>> cache_;
    std::uint64_t generation_ = 1;    // counts changes of subscriptions
    std::uint64_t mark_ = 0;
    std::vector<trie_entry*> found_;  // scratch
};

}  // namespace amqtt
