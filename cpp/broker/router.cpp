#include "broker/router.hpp"

#include <algorithm>
#include <utility>

namespace amqtt {
namespace {

// A search that is as short is not worth to be suspended.
constexpr std::size_t least_nodes = 128;

}  // namespace

route route_of(const subscription& s) {
    route found{s.subscriber, s.options.level, s.options.retain_as_published, false, 0, nullptr};
    if (s.id != 0) found.ids = std::make_shared<const std::vector<std::uint32_t>>(1, s.id);
    return found;
}

bool router::subscribe(session& subscriber, std::string_view name, const parsed_filter& filter,
                       subscription_options options, std::uint32_t id) {
    ++generation_;
    if (subscription* existing = subscriber.find_subscription(name)) {
        existing->options = options;
        existing->id = id;
        return false;
    }
    bytes_ -= table_bytes(subscriber.subscriptions());
    subscription* made = nullptr;
    try {
        made = &subscriber.add_subscription(name);
    } catch (...) {
        bytes_ += table_bytes(subscriber.subscriptions());
        throw;
    }
    subscription& added = *made;
    bytes_ += table_bytes(subscriber.subscriptions()) + added.own_bytes();
    added.options = options;
    added.id = id;
    const std::size_t before = trie_.bytes() + group_bytes_;
    try {
        insert(added, filter);
    } catch (...) {  // what is not in the trie must not look like a subscription
        unsubscribe(subscriber, name);
        throw;
    }
    // Who adds a node pays for it, even when others use it later.
    const std::size_t after = std::max(before, trie_.bytes() + group_bytes_);
    added.charged = static_cast<std::uint32_t>(added.own_bytes() + (after - before));
    subscriber.subscription_charge += added.charged;
    return true;
}

void router::insert(subscription& added, const parsed_filter& filter) {
    ++subscription_count_;
    // The same text, but the subscription's own: it is what the name ends with.
    added.filter = added.name().substr(added.name().size() - filter.filter.size());
    if (filter.share.empty()) {
        trie_.insert(added);
        return;
    }
    shared_group* group = find_group(added.name());
    if (!group) {
        auto fresh = std::make_unique<shared_group>(added.name(), filter.filter);
        group = fresh.get();
        group_bytes_ -= table_bytes(groups_);
        groups_.insert(std::move(fresh));
        group_bytes_ += table_bytes(groups_) + group->own_bytes();
        try {
            trie_.insert(*group);
        } catch (...) {  // so that nobody finds one without a place
            group_bytes_ -= table_bytes(groups_) + group->own_bytes();
            groups_.erase(added.name());
            group_bytes_ += table_bytes(groups_);
            throw;
        }
    }
    group->add(added);
    group_bytes_ += shared_group::member_bytes;
}

bool router::unsubscribe(session& subscriber, std::string_view name) {
    subscription* existing = subscriber.find_subscription(name);
    if (!existing) return false;
    take_out(*existing);
    bytes_ -= table_bytes(subscriber.subscriptions());
    subscriber.remove_subscription(name);
    bytes_ += table_bytes(subscriber.subscriptions());
    return true;
}

void router::unsubscribe_all(session& subscriber) {
    for (const auto& entry : subscriber.subscriptions())
        take_out(*entry);
    bytes_ -= table_bytes(subscriber.subscriptions());
    subscriber.remove_subscriptions();
    for (route_search& each : searches_)
        each.forget(subscriber);
}

void router::unsubscribe_some(session& subscriber, std::size_t most) {
    auto& all = subscriber.subscriptions();
    for (auto it = all.begin(); it != all.end() && most > 0; --most) {
        const auto gone = it++;
        take_out(**gone);
        all.erase(gone);
    }
}

void router::take_out(subscription& existing) {
    ++generation_;
    --subscription_count_;
    bytes_ -= existing.own_bytes();
    existing.subscriber->subscription_charge -= existing.charged;
    if (existing.node) {
        trie_.remove(existing);
        return;
    }
    const auto it = groups_.find(existing.name());
    if (it == groups_.end()) return;
    shared_group& group = **it;
    group.remove(existing);
    group_bytes_ -= shared_group::member_bytes;
    if (!group.empty()) return;
    for (route_search& each : searches_)
        each.forget(group);
    trie_.remove(group);
    group_bytes_ -= table_bytes(groups_) + group.own_bytes();
    groups_.erase(it);
    shrink_if_sparse(groups_);
    group_bytes_ += table_bytes(groups_);
}

std::vector<const subscription*> router::subscriptions_of(std::string_view name) const {
    const auto group = groups_.find(name);
    if (group != groups_.end()) {
        const auto& members = (*group)->all_members();
        return {members.begin(), members.end()};
    }
    std::vector<const subscription*> found;
    const trie_entries* const entries = trie_.find(name);
    if (!entries) return found;
    for (const trie_entry* each = entries->first(); each; each = entries->after(*each)) {
        if (!each->is_group) found.push_back(static_cast<const subscription*>(each));
    }
    return found;
}

shared_group* router::find_group(std::string_view name) noexcept {
    const auto it = groups_.find(name);
    return it == groups_.end() ? nullptr : it->get();
}

const topic_routes* router::routes_of(std::string_view topic, work_budget& budget) {
    cached_topic* const entry = cached(topic);
    if (!entry) return find_routes(topic, uncached_, budget) ? &uncached_ : nullptr;
    if (entry->generation != generation_) {
        entry->generation = 0;
        const bool is_complete = find_routes(topic, entry->routes, budget);
        cache_.changed(*entry);
        if (!is_complete) return nullptr;
        entry->generation = generation_;
    }
    return &entry->routes;
}

std::unique_ptr<route_search> router::search(std::string_view topic) {
    auto begun = std::make_unique<route_search>(trie_.go_on(topic), generation_);
    begun->add(found_);
    searches_.push_back(*begun);
    return begun;
}

std::unique_ptr<route_search> router::keep(const topic_routes& found) {
    auto kept = std::make_unique<route_search>(found);
    searches_.push_back(*kept);
    return kept;
}

void router::remember(std::string_view topic, const route_search& over) {
    if (over.generation() != generation_ || topic.size() > route_cache::topic_size_max) return;
    const std::size_t hash = text_hash()(topic);
    cached_topic* const known = cache_.find(hash, topic);
    cached_topic& entry = known ? *known : cache_.add(hash, topic);
    entry.routes = over.found();
    entry.generation = generation_;
    cache_.changed(entry);
}

cached_topic* router::cached(std::string_view topic) {
    const std::size_t hash = text_hash()(topic);
    if (cached_topic* found = cache_.find(hash, topic)) return found;
    if (topic.size() > route_cache::topic_size_max || !has_come_again(hash)) return nullptr;
    return &cache_.add(hash, topic);
}

// In two steps, a message apart: the second needs what the first has loaded.
void router::expect(std::string_view topic) noexcept {
    cache_.prefetch_topic(expected_);
    if (topic.empty()) return;
    expected_ = text_hash()(topic);
    cache_.prefetch_line(expected_);
}

bool router::has_come_again(std::size_t hash) {
    lately_.resize(route_cache::most_topics);
    const auto rest = static_cast<std::uint16_t>(hash >> 48);
    return std::exchange(lately_[hash % route_cache::most_topics], rest) == rest;
}

bool router::find_routes(std::string_view topic, topic_routes& found, work_budget& budget) {
    found.routes.clear();
    found.groups.clear();
    found_.clear();
    found_ids_.clear();
    const std::size_t most = std::max(budget.left() / step_cost::node, least_nodes);
    std::size_t nodes = most;
    const bool is_complete = trie_.match(topic, found_, nodes);
    budget.spend((most - nodes) * step_cost::node);
    if (!is_complete) return false;
    bool has_no_local = false;
    ++mark_;
    for (trie_entry* entry : found_) {
        if (entry->is_group) {
            found.groups.push_back(static_cast<shared_group*>(entry));
            continue;
        }
        const auto& matched = static_cast<const subscription&>(*entry);
        session& subscriber = *matched.subscriber;
        if (subscriber.route_mark != mark_) {
            subscriber.route_mark = mark_;
            subscriber.route_index = static_cast<std::uint32_t>(found.routes.size());
            found.routes.push_back({&subscriber, qos::at_most_once, false, false, 0, nullptr});
        }
        merge(found.routes[subscriber.route_index], matched);
        has_no_local |= matched.options.no_local;
        if (matched.id != 0) found_ids_.emplace_back(subscriber.route_index, matched.id);
    }
    if (has_no_local) add_own_routes(found);
    assign_ids(found);
    return true;
}

void router::add_own_routes(topic_routes& found) {
    for (trie_entry* entry : found_) {
        if (entry->is_group) continue;
        const auto& matched = static_cast<const subscription&>(*entry);
        const std::uint32_t index = matched.subscriber->route_index;
        if (matched.options.no_local || !found.routes[index].has_no_local) continue;
        if (found.routes[index].own == 0) {
            found.routes[index].own = static_cast<std::uint32_t>(found.routes.size());
            found.routes.push_back({});
        }
        const std::uint32_t own = found.routes[index].own;
        merge(found.routes[own], matched);
        if (matched.id != 0) found_ids_.emplace_back(own, matched.id);
    }
}

// One list for each route, in the order its subscriptions were found.
void router::assign_ids(topic_routes& found) {
    std::stable_sort(found_ids_.begin(), found_ids_.end(),
                     [](const auto& a, const auto& b) { return a.first < b.first; });
    for (auto at = found_ids_.begin(); at != found_ids_.end();) {
        const std::uint32_t index = at->first;
        std::vector<std::uint32_t> ids;
        for (; at != found_ids_.end() && at->first == index; ++at)
            ids.push_back(at->second);
        found.routes[index].ids = share_ids(std::move(ids));
    }
    found_ids_.clear();
}

}  // namespace amqtt
