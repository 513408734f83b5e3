#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace amqtt {

// The Subscription Identifiers that a message is delivered with (5.0: MQTT-3.3.4-3, -4), shared by
// everything that keeps the message; null when there are none.
using subscription_ids = std::shared_ptr<const std::vector<std::uint32_t>>;

inline std::span<const std::uint32_t> view_of(const subscription_ids& ids) noexcept {
    if (!ids) return {};
    return *ids;
}

// The shared subscription (`$share/name/filter`) a message came by, as all its messages know it;
// null when it came by an ordinary one.
using share_name = std::shared_ptr<const std::string>;

}  // namespace amqtt
