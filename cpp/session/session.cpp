#include "session/session.hpp"

#include <utility>

namespace amqtt {

subscription* session::find_subscription(std::string_view name) noexcept {
    const auto it = subscriptions_.find(name);
    return it == subscriptions_.end() ? nullptr : it->second.get();
}

subscription& session::add_subscription(std::string_view name) {
    auto fresh = std::make_unique<subscription>();
    fresh->name = name;
    fresh->subscriber = this;
    subscription& added = *fresh;
    subscriptions_.emplace(std::string_view(added.name), std::move(fresh));
    return added;
}

void session::remove_subscription(std::string_view name) {
    const auto it = subscriptions_.find(name);
    if (it == subscriptions_.end()) return;
    // The key is a view of the subscription, so that must outlive the erasure.
    const std::unique_ptr<subscription> last = std::move(it->second);
    subscriptions_.erase(it);
}

}  // namespace amqtt
