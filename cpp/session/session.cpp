#include "session/session.hpp"

#include <utility>

namespace amqtt {

subscription* session::find_subscription(std::string_view filter) noexcept {
    const auto it = subscriptions_.find(filter);
    return it == subscriptions_.end() ? nullptr : it->second.get();
}

subscription& session::add_subscription(std::string_view filter, subscription_options options) {
    auto fresh = std::make_unique<subscription>();
    fresh->filter = filter;
    fresh->subscriber = this;
    fresh->options = options;
    subscription& added = *fresh;
    subscriptions_.emplace(std::string_view(added.filter), std::move(fresh));
    return added;
}

void session::remove_subscription(std::string_view filter) {
    subscriptions_.erase(filter);
}

}  // namespace amqtt
