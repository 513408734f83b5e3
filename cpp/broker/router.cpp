#include "broker/router.hpp"

#include <algorithm>

namespace amqtt {
namespace {

// Topics in the cache of routes; when it is full it starts afresh.
constexpr std::size_t cached_topics = 16 * 1024;
// A longer topic is not worth its place.
constexpr std::size_t cached_topic_size = 256;

}  // namespace

bool router::subscribe(session& subscriber, std::string_view filter,
                       subscription_options options) {
    ++generation_;
    if (subscription* existing = subscriber.find_subscription(filter)) {
        existing->options = options;
        return false;
    }
    trie_.insert(subscriber.add_subscription(filter, options));
    return true;
}

bool router::unsubscribe(session& subscriber, std::string_view filter) {
    subscription* existing = subscriber.find_subscription(filter);
    if (!existing) return false;
    ++generation_;
    trie_.remove(*existing);
    subscriber.remove_subscription(filter);
    return true;
}

void router::unsubscribe_all(session& subscriber) {
    if (subscriber.subscriptions().empty()) return;
    ++generation_;
    for (auto& [filter, entry] : subscriber.subscriptions())
        trie_.remove(*entry);
    subscriber.subscriptions().clear();
}

std::span<const route> router::routes_of(std::string_view topic) {
    auto it = cache_.find(topic);
    if (it == cache_.end()) {
        if (cache_.size() >= cached_topics) cache_.clear();
        const bool worth_it = topic.size() <= cached_topic_size;
        // The empty topic is no topic, so its place is free for what is not cached.
        it = cache_.try_emplace(worth_it ? std::string(topic) : std::string()).first;
        it->second.generation = 0;
    }
    cached_routes& cached = it->second;
    if (cached.generation != generation_) {
        find_routes(topic, cached.routes);
        cached.generation = topic.size() <= cached_topic_size ? generation_ : 0;
    }
    return cached.routes;
}

void router::find_routes(std::string_view topic, std::vector<route>& routes) {
    routes.clear();
    found_.clear();
    trie_.match(topic, found_);
    ++mark_;
    for (trie_entry* entry : found_) {
        auto& matched = static_cast<subscription&>(*entry);
        session& subscriber = *matched.subscriber;
        if (subscriber.route_mark == mark_) {
            qos& granted = routes[subscriber.route_index].granted;
            granted = std::max(granted, matched.options.level);
            continue;
        }
        subscriber.route_mark = mark_;
        subscriber.route_index = static_cast<std::uint32_t>(routes.size());
        routes.push_back({&subscriber, matched.options.level});
    }
}

}  // namespace amqtt
