#include "broker/route_search.hpp"

#include <algorithm>

namespace amqtt {

void merge(route& into, const subscription& matched) {
    into.granted = std::max(into.granted, matched.options.level);
    into.retain_as_published |= matched.options.retain_as_published;
    into.has_no_local |= matched.options.no_local;
}

subscription_ids share_ids(std::vector<std::uint32_t> ids) {
    if (ids.empty()) return nullptr;
    return std::make_shared<const std::vector<std::uint32_t>>(std::move(ids));
}

bool route_search::go_on(std::size_t& steps) {
    if (walk_) {
        matched_.clear();
        walk_->go_on(matched_, steps);
        add(matched_);
        if (!walk_->is_over()) return false;
        walk_.reset();
    }
    for (; shared_ids_ < gathered_.size() && steps > 0; --steps)
        complete(shared_ids_++);
    return is_over();
}

void route_search::add(std::span<trie_entry* const> entries) {
    find_places();
    for (trie_entry* const entry : entries) {
        if (!entry->is_group) {
            add(static_cast<const subscription&>(*entry));
            continue;
        }
        auto* const group = static_cast<shared_group*>(entry);
        group_places_.emplace(group, static_cast<std::uint32_t>(found_.groups.size()));
        found_.groups.push_back(group);
    }
}

void route_search::add(const subscription& matched) {
    const auto fresh = static_cast<std::uint32_t>(found_.routes.size());
    const auto [at, is_new] = places_.try_emplace(matched.subscriber, fresh);
    if (is_new) {
        found_.routes.push_back({});
        found_.routes.back().subscriber = matched.subscriber;
        gathered_.emplace_back();
    }
    gathered& about = gathered_[at->second];
    merge(found_.routes[at->second], matched);
    if (matched.id != 0) about.ids.push_back(matched.id);
    if (matched.options.no_local) return;
    merge(about.own, matched);
    about.has_own = true;
    if (matched.id != 0) about.own_ids.push_back(matched.id);
}

void route_search::complete(std::size_t index) {
    gathered& about = gathered_[index];
    found_.routes[index].ids = share_ids(std::move(about.ids));
    if (!found_.routes[index].has_no_local || !about.has_own) return;
    about.own.ids = share_ids(std::move(about.own_ids));
    found_.routes[index].own = static_cast<std::uint32_t>(found_.routes.size());
    found_.routes.push_back(std::move(about.own));
}

void route_search::find_places() {
    if (std::exchange(has_places_, true)) return;
    for (std::uint32_t i = 0; i < found_.routes.size(); ++i) {
        if (found_.routes[i].subscriber) places_.emplace(found_.routes[i].subscriber, i);
    }
    for (std::uint32_t i = 0; i < found_.groups.size(); ++i)
        group_places_.emplace(found_.groups[i], i);
}

void route_search::forget(const session& gone) {
    find_places();
    const auto at = places_.find(&gone);
    if (at == places_.end()) return;
    found_.routes[at->second].subscriber = nullptr;
    places_.erase(at);
}

void route_search::forget(const shared_group& gone) {
    find_places();
    const auto at = group_places_.find(&gone);
    if (at == group_places_.end()) return;
    found_.groups[at->second] = nullptr;
    group_places_.erase(at);
}

}  // namespace amqtt
