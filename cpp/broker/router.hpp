// Who gets a message: subscriptions by topic, and the retained messages of filters.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/by_text.hpp"
#include "broker/route_cache.hpp"
#include "broker/route_search.hpp"
#include "broker/work_budget.hpp"
#include "topic/filter.hpp"
#include "topic/retained_store.hpp"
#include "topic/subscription_trie.hpp"

namespace amqtt {

// The way to the subscriber of one subscription.
route route_of(const subscription& s);

struct group_name {
    static std::string_view of(const std::unique_ptr<shared_group>& group) noexcept {
        return group->name();
    }
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
    // That many of them, or the rest.
    void unsubscribe_some(session& subscriber, std::size_t most);

    // Valid until the next subscribe, unsubscribe or routes_of(). Null: the turn has no steps left
    // for what there is to search; then search() goes on with that, if it comes next.
    const topic_routes* routes_of(std::string_view topic, work_budget& budget);
    std::unique_ptr<route_search> search(std::string_view topic);
    // Routes that stay while sessions and groups come and go.
    std::unique_ptr<route_search> keep(const topic_routes& found);
    // What was searched for is over; if nothing has changed meanwhile, routes_of() knows it.
    void remember(std::string_view topic, const route_search& over);
    // There is so much that expect() pays.
    bool is_large() const noexcept { return cache_.bytes() > large; }
    // Tells a topic that routes_of() will be asked for after the next one, so that what is known of
    // it is in the processor's cache by then.
    void expect(std::string_view topic) noexcept;
    // The subscriptions of that name, for which it need not look at others.
    std::vector<const subscription*> subscriptions_of(std::string_view name) const;
    // The group of a shared subscription by its whole name, or null.
    shared_group* find_group(std::string_view name) noexcept;

    retained_store& retained() noexcept { return retained_; }
    const retained_store& retained() const noexcept { return retained_; }
    const route_cache& cache() const noexcept { return cache_; }
    std::size_t subscription_count() const noexcept { return subscription_count_; }
    // What all subscriptions take of memory, with the tree and the tables they are found by.
    std::size_t subscription_bytes() const noexcept {
        return bytes_ + group_bytes_ + trie_.bytes();
    }

  private:
    // Bytes that processors keep near.
    static constexpr std::size_t large = std::size_t{256} * 1024;

    void insert(subscription& added, const parsed_filter& filter);
    void take_out(subscription& existing);
    // The entry of a topic that is cached or is worth it, else null.
    cached_topic* cached(std::string_view topic);
    // Whether a topic has come before, as far as that is remembered.
    bool has_come_again(std::size_t hash);
    // False: the turn is over before the search is.
    bool find_routes(std::string_view topic, topic_routes& found, work_budget& budget);
    void add_own_routes(topic_routes& found);
    void assign_ids(topic_routes& found);

    subscription_trie trie_;
    retained_store retained_;
    set_by_text<std::unique_ptr<shared_group>, group_name> groups_;
    route_cache cache_;
    // Which topics came lately: a part of a topic's hash, at the place that another part tells. To
    // fill the cache with topics that come once would cost more than to look for their routes.
    std::vector<std::uint16_t> lately_;
    std::size_t expected_ = 0;  // hash of the topic that was expected last
    topic_routes uncached_;     // what routes_of() has found for a topic that is not cached
    std::size_t subscription_count_ = 0;
    std::size_t bytes_ = 0;         // of subscriptions and the tables of sessions
    std::size_t group_bytes_ = 0;   // of shared subscriptions
    std::uint64_t generation_ = 1;  // counts changes of subscriptions
    std::uint64_t mark_ = 0;
    boost::intrusive::list<route_search, boost::intrusive::constant_time_size<false>> searches_;
    std::vector<trie_entry*> found_;                                  // scratch
    std::vector<std::pair<std::uint32_t, std::uint32_t>> found_ids_;  // scratch: route and id
};

}  // namespace amqtt
