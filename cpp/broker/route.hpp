// The way of a message to those who get it.
#pragma once

#include <cstdint>
#include <optional>

#include <boost/container/small_vector.hpp>

#include "base/qos.hpp"
#include "broker/shared_group.hpp"
#include "session/session.hpp"
#include "session/subscription_ids.hpp"

namespace amqtt {

// A subscriber of a topic; once, however many of its subscriptions match, at the highest QoS
// among them (3.1.1: MQTT-3.3.5-1, 5.0: MQTT-3.3.4-2).
struct route {
    session* subscriber = nullptr;  // null: of no subscriber by itself, see own
    qos granted = qos::at_most_once;
    bool retain_as_published = false;
    bool has_no_local = false;  // what it publishes itself goes another way
    std::uint32_t own = 0;      // namely this one among the routes of the topic; 0: none
    subscription_ids ids;
};

// Most topics have one subscriber, who is found where the topic is.
struct topic_routes {
    // The way of what the subscriber of one of the routes publishes itself.
    std::optional<route> own_of(const route& one) const {
        if (one.own == 0) return std::nullopt;
        route own = routes[one.own];
        own.subscriber = one.subscriber;
        return own;
    }

    boost::container::small_vector<route, 1> routes;
    boost::container::small_vector<shared_group*, 1> groups;

    bool empty() const noexcept { return routes.empty() && groups.empty(); }
};

}  // namespace amqtt
