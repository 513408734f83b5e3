#include "session/session.hpp"

#include <utility>

namespace amqtt {

subscription* session::find_subscription(std::string_view name) noexcept {
    const auto it = subscriptions_.find(name);
    return it == subscriptions_.end() ? nullptr : it->get();
}

subscription& session::add_subscription(std::string_view name) {
    auto fresh = std::make_unique<subscription>();
    fresh->name = name;
    fresh->subscriber = this;
    subscription& added = *fresh;
    subscriptions_.insert(std::move(fresh));
    return added;
}

void session::remove_subscription(std::string_view name) {
    const auto it = subscriptions_.find(name);
    if (it != subscriptions_.end()) subscriptions_.erase(it);
}

}  // namespace amqtt
