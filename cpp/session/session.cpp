#include "session/session.hpp"

#include <algorithm>
#include <utility>

namespace amqtt {

std::unique_ptr<subscription> subscription::create(std::string_view name) {
    void* memory = ::operator new(sizeof(subscription) + name.size());
    std::unique_ptr<subscription> fresh(new (memory) subscription());
    std::copy(name.begin(), name.end(), reinterpret_cast<char*>(fresh.get() + 1));
    fresh->name_size = static_cast<std::uint16_t>(name.size());
    return fresh;
}

absence& session::absence_begins() {
    if (!away) away = std::make_unique<absence>();
    return *away;
}

subscription* session::find_subscription(std::string_view name) noexcept {
    const auto it = subscriptions_.find(name);
    return it == subscriptions_.end() ? nullptr : it->get();
}

subscription& session::add_subscription(std::string_view name) {
    auto fresh = subscription::create(name);
    fresh->subscriber = this;
    subscription& added = *fresh;
    subscriptions_.insert(std::move(fresh));
    return added;
}

void session::remove_subscription(std::string_view name) {
    const auto it = subscriptions_.find(name);
    if (it == subscriptions_.end()) return;
    if (!wants_retained.empty() && &wants_retained.front() == it->get()) turn.reset();
    subscriptions_.erase(it);
    shrink_if_sparse(subscriptions_);
}

void session::remove_subscriptions() noexcept {
    turn.reset();
    subscriptions_ = {};
}

}  // namespace amqtt
