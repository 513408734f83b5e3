// The way of a message to those who get it.
#pragma once

#include <boost/container/small_vector.hpp>

#include "base/qos.hpp"
#include "broker/shared_group.hpp"
#include "session/session.hpp"
#include "session/subscription_ids.hpp"

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

// Most topics have one subscriber, who is found where the topic is.
struct topic_routes {
    boost::container::small_vector<route, 1> routes;
    boost::container::small_vector<shared_group*, 1> groups;

    bool empty() const noexcept { return routes.empty() && groups.empty(); }
};

}  // namespace amqtt
