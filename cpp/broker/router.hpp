// Who gets a message: subscriptions by topic, and the retained messages of filters.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <boost/unordered/unordered_flat_map.hpp>

#include "base/by_text.hpp"
#include "base/qos.hpp"
#include "broker/shared_group.hpp"
#include "session/session.hpp"
#include "session/subscription_ids.hpp"
#include "topic/filter.hpp"
#include "topic/retained_store.hpp"
#include "topic/subscription_trie.hpp"

namespace amqtt {

// A subscriber of a topic; once, however many of its subscriptions match, at the highest QoS
// among them (3.1.1: MQTT-3.3.5-1, 5.0: MQTT-3.3.4-2).
struct route {
    session* subscriber = nullptr;
    qos granted = qos::at_most_once;
    bool retain_as_published = false;
    bool has_no_local = false;  // what it publishes itself goes another way, see own_route()
    subscription_ids ids;
};

// The way to the subscriber of one subscription.
route route_of(const subscription& s);

struct topic_routes {
    std::vector<route> routes;
    std::vector<shared_group*> groups;

    bool empty() const noexcept { return routes.empty() && groups.empty(); }
};

class router {
  public:
    // Adds or replaces a subscription; true if it is new to the session. name is what the client
    // calls it, filter the same taken apart.
    bool subscribe(session& subscriber, std::string_view name, const parsed_filter& filter,
                   subscription_options options, std::uint32_t id);
    // True if there was such a subscription.
    bool unsubscribe(session& subscriber, std::string_view name);
    void unsubscribe_all(session& subscriber);

    // Valid until the next subscribe, unsubscribe or routes_of().
    const topic_routes& routes_of(std::string_view topic);
    // How a session gets what it publishes itself: subscriptions with No Local do not count.
    std::optional<route> own_route(std::string_view topic, const session& publisher);
    // The group of a shared subscription by its whole name, or null.
    shared_group* find_group(std::string_view name) noexcept;

    retained_store& retained() noexcept { return retained_; }
    const retained_store& retained() const noexcept { return retained_; }
    // Subscribers in the cache of routes, for all its topics together.
    std::size_t cached_target_count() const noexcept { return cached_targets_; }
    std::size_t subscription_count() const noexcept { return subscription_count_; }

  private:
    struct cached_routes {
        std::uint64_t generation = 0;
        topic_routes routes;
    };

    void insert(subscription& added, const parsed_filter& filter);
    void take_out(subscription& existing);
    // The entry of a topic that is cached or is worth it, else null.
    cached_routes* cached(std::string_view topic);
    // Whether a topic has come before, as far as that is remembered.
    bool has_come_again(std::string_view topic);
    void find_routes(std::string_view topic, topic_routes& found);
    void assign_ids(topic_routes& found);
    void forget_cached();

    subscription_trie trie_;
    retained_store retained_;
    // Keys are views of the groups' name.
    boost::unordered_flat_map<std::string_view, std::unique_ptr<shared_group>> groups_;
    // Routes of topics that come again and again, valid for the generation they carry.
    map_by_text<cached_routes> cache_;
    // Which topics came lately: half of a topic's hash, at the place that the other half tells. To
    // fill the cache with topics that come once would cost more than to look for their routes.
    std::vector<std::uint32_t> lately_;
    topic_routes uncached_;  // what routes_of() has found for a topic that is not cached
    std::size_t cached_targets_ = 0;
    std::size_t subscription_count_ = 0;
    std::uint64_t generation_ = 1;  // counts changes of subscriptions
    std::uint64_t mark_ = 0;
    std::vector<trie_entry*> found_;                                  // scratch
    std::vector<std::pair<std::uint32_t, std::uint32_t>> found_ids_;  // scratch: route and id
};

}  // namespace amqtt
